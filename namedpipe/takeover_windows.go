package namedpipe

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/windows"
)

// join makes a listener beside its predecessor's, with a copy of the handle that
// keeps the name. It has no instances before begin: clients are the
// predecessor's until then.
func (l *Listener) join(cfg ListenConfig, before *Conn, o offer) error {
	if err := l.init(cfg); err != nil {
		return err
	}
	err := before.onHandle(func(pipe windows.Handle) (err error) {
		l.l.anchor, err = copyHandle(pipe, windows.Handle(o.handle))
		return err
	})
	if err != nil {
		err = explainAs(errNameTaken, err, "can't copy a handle of the server that has the name", "run this one with the same elevation")
	} else {
		err = l.l.matches(l.l.anchor)
	}
	if err != nil {
		l.l.shutdown()
		return err
	}
	l.l.idle = cfg.Instances
	return nil
}

// copyHandle copies a handle of the pipe's server.
func copyHandle(pipe, theirs windows.Handle) (ours windows.Handle, err error) {
	var pid uint32
	if err := windows.GetNamedPipeServerProcessId(pipe, &pid); err != nil {
		return 0, err
	}
	process, err := windows.OpenProcess(windows.PROCESS_DUP_HANDLE, false, pid)
	if err != nil {
		return 0, err
	}
	defer windows.CloseHandle(process)
	err = windows.DuplicateHandle(process, theirs, windows.CurrentProcess(), &ours, 0, false, windows.DUPLICATE_SAME_ACCESS)
	return ours, err
}

// begin makes the instances, then has the predecessor stop and takes the
// instances that still wait there.
func (l *listener) begin(before *Conn) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return nil // closed, as accept says
	}
	if err := l.fill(l.idle); err != nil {
		for _, in := range l.instances {
			in.close()
		}
		l.instances = nil
		l.waiting.Store(0)
		return explainCreate(l.addr.path, err)
	}
	l.idle = 0
	left, err := before.inherit()
	if err != nil {
		// In a goroutine, since the logger may call Close, which waits for this.
		go l.log.Warn("namedpipe: the server that had the name has ended without passing its instances on", "pipe", l.addr.path, "error", err)
	}
	for _, pipe := range left {
		l.add(pipe)
	}
	go l.serve()
	return nil
}

// add waits for the client of an instance that a predecessor has made. A client
// may connect to an instance at any time before its last handle is closed, so
// those that wait are not closed but passed on until they have had their client.
func (l *listener) add(pipe windows.Handle) {
	in, err := newInstance()
	if err == nil && len(l.instances) < maxInstances {
		in.last = true
		if err = in.connect(pipe); err == nil {
			l.instances = append(l.instances, in)
			l.waiting.Add(1)
			return
		}
		l.gone(err)
	}
	windows.CloseHandle(pipe)
	if in != nil {
		in.close()
	}
}

// inherit tells the predecessor to stop and copies the instances that it has
// left. Their number comes first, then the handles.
func (c *Conn) inherit() (left []windows.Handle, err error) {
	b := make([]byte, 8)
	next := func() (uint64, error) {
		_, err := io.ReadFull(c, b)
		return binary.LittleEndian.Uint64(b), err
	}
	if _, err := c.Write([]byte{takes}); err != nil {
		return nil, err
	}
	n, err := next()
	if n > maxInstances {
		return nil, fmt.Errorf("the server offers %d instances: no listener has more than %d", n, maxInstances)
	}
	for err == nil && n > 0 {
		var theirs uint64
		if theirs, err = next(); err != nil {
			break
		}
		err = c.onHandle(func(pipe windows.Handle) error {
			ours, err := copyHandle(pipe, windows.Handle(theirs))
			if err == nil {
				left = append(left, ours)
			}
			return err
		})
		n--
	}
	if err == nil {
		_, err = c.Write(b[:1]) // all are copied
	}
	return left, err
}

// retire has serve pass the clients that have connected to accept, which then
// ends, and leaves the instances that wait to the successor.
func (l *listener) retire(next *Conn) {
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		return
	}
	windows.SetEvent(l.stop)
	l.mu.Unlock()
	select {
	case left := <-l.left:
		next.bequeath(left)
		close(l.passedOn)
	case <-l.stopped:
	}
}

// bequeath keeps the handles open until the successor has copied them.
func (c *Conn) bequeath(left []windows.Handle) {
	defer func() {
		for _, pipe := range left {
			windows.CloseHandle(pipe)
		}
	}()
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(left)))
	for _, pipe := range left {
		b = binary.LittleEndian.AppendUint64(b, uint64(pipe))
	}
	if _, err := c.Write(b); err == nil {
		io.ReadFull(c, b[:1])
	}
}

// drain gives up the instances.
func (l *listener) drain() {
	var left, connected []windows.Handle
	for _, in := range l.instances {
		pipe, hasClient := in.giveUp()
		switch {
		case pipe == windows.InvalidHandle:
		case hasClient:
			connected = append(connected, pipe)
		default:
			left = append(left, pipe)
		}
	}
	l.waiting.Store(0)
	l.left <- left
	for _, pipe := range connected {
		l.pass(pipe)
	}
	select {
	case <-l.passedOn:
		close(l.retired)
	case <-l.stopped:
	}
}

// leave has nothing to do: a successor has a handle on the name.
func (l *listener) leave() {}

func (l *listener) send(c *Conn) error {
	_, err := c.Write(offer{handle: uint64(l.anchor)}.encode())
	return err
}

func (c *Conn) receive(b []byte) (*os.File, error) {
	_, err := io.ReadFull(c, b)
	return nil, err
}
