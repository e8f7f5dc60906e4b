package namedpipe

import "os"

// IsProcess reports whether the peer is the process p: one that this process
// has started and not waited for, or has found by os.FindProcess and that still
// runs. Unlike a comparison of process ids it can't be met by a later process
// with the same number, since p holds the process itself, by pidfd on Linux and
// by handle on Windows; on systems without either, a process that was not
// waited for keeps its number. What can't be found out is false.
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
