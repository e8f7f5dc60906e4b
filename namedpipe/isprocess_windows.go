package namedpipe

import (
	"os"

	"golang.org/x/sys/windows"
)

// holds reports whether the number of the process is still its own: Windows
// gives it to no other as long as a handle is open.
func holds(process *os.Process) bool { return process.WithHandle(func(uintptr) {}) == nil }

// unknowable reports whether the system doesn't report when a process started.
func unknowable(error) bool { return false }

// processOf returns what is known of a client that has not sent a byte.
func (c *Conn) processOf() (*Peer, error) {
	p := &Peer{}
	err := c.onHandle(func(pipe windows.Handle) error {
		var pid uint32
		if p.Remote = isRemote(pipe); p.Remote {
			return nil
		}
		if err := windows.GetNamedPipeClientProcessId(pipe, &pid); err != nil {
			return explain(err, "the system doesn't report which process the client is", "")
		}
		p.PID = int(pid)
		return nil
	})
	if err != nil {
		return nil, err
	}
	p.Executable = executableOf(p.PID)
	p.birth, _ = birthOf(p.PID)
	return p, nil
}
