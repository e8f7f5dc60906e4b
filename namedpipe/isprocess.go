package namedpipe

import "os"

// IsProcess reports whether the peer is the given process, which must be one that
// this process started and has not waited for, or found with os.FindProcess while
// it runs. A later process with the same id does not match, unlike in a comparison
// of process ids, since an os.Process holds the process itself, by pidfd on Linux
// and by handle on Windows; on systems with neither, a process that was not waited
// for keeps its id. IsProcess returns false if it can't find out.
func (p *Peer) IsProcess(process *os.Process) bool {
	if p.PID == 0 || p.PID != process.Pid || p.Remote {
		return false
	}
	birth, err := birthOf(process.Pid)
	if unknowable(err) {
		return holds(process)
	}
	// The number was the process's own while it was looked up, if it is now.
	return err == nil && birth != 0 && birth == p.birth && holds(process)
}
