package namedpipe

import (
	"context"
	"log/slog"
	"net"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/grpcpipe/grpcpipe/internal/pipename"
)

// listener keeps several pipe instances waiting. One goroutine waits for all of
// them: each has an event of its own, and the connected handle joins the Go
// runtime's poller only once its ConnectNamedPipe is over.
type listener struct {
	addr         *Addr
	sd           *windows.SECURITY_DESCRIPTOR
	pipeType     uint32 // byte type, and whether remote clients are let in
	bufferSize   uint32
	maxInstances uint32
	log          *slog.Logger
	stat         *counters
	anchor       windows.Handle // keeps the name for the listener's life; 0 before there is one
	instances    []*instance

	stop     windows.Handle        // event: set by close and retire, waited for by serve
	stopped  chan struct{}         // closed by close, for those who wait in Go
	retired  chan struct{}         // closed when a successor has the name and all clients are in ready
	left     chan []windows.Handle // the instances that wait, for the successor
	passedOn chan struct{}         // closed when the successor has them
	done     chan struct{}         // closed when all is freed
	ready    chan conn             // connected, not yet accepted
	waiting  atomic.Int64

	deadline acceptDeadline
	once     sync.Once

	mu    sync.Mutex
	idle  int  // the number of instances to make at begin
	ended bool // stop is being closed
}

func (l *Listener) start(cfg ListenConfig) error {
	if err := l.init(cfg); err != nil {
		return err
	}
	w := &l.l
	err := error(nil)
	if w.anchor, err = w.takeName(); err == nil {
		err = w.fill(cfg.Instances)
	}
	if err != nil {
		w.shutdown()
		return explainCreate(l.addr.path, err)
	}
	go w.serve()
	return nil
}

// init makes a listener without a name.
func (l *Listener) init(cfg ListenConfig) error {
	sd, err := cfg.Access.securityDescriptor()
	if err != nil {
		if _, explained := err.(*problem); explained {
			return err
		}
		return explain(err, "can't make the pipe's security descriptor", "")
	}
	stop, err := windows.CreateEvent(nil, 1, 0, nil)
	if err != nil {
		return explain(err, "can't make an event", "")
	}
	w := &l.l
	pipeType := uint32(windows.FILE_PIPE_BYTE_STREAM_TYPE | windows.FILE_PIPE_REJECT_REMOTE_CLIENTS)
	if cfg.Access.Remote {
		pipeType = windows.FILE_PIPE_BYTE_STREAM_TYPE | windows.FILE_PIPE_ACCEPT_REMOTE_CLIENTS
	}
	*w = listener{
		addr: l.addr, sd: sd, pipeType: pipeType, bufferSize: uint32(cfg.BufferSize), log: cfg.log(), stat: &l.stat,
		stop: stop, stopped: make(chan struct{}), retired: make(chan struct{}), left: make(chan []windows.Handle, 1), passedOn: make(chan struct{}), done: make(chan struct{}),
		ready: make(chan conn, cfg.Instances), maxInstances: instancesOwn,
	}
	if cfg.Share {
		w.maxInstances = instancesShared
	}
	return nil
}

// fill makes the instances.
func (l *listener) fill(instances int) error {
	for range instances {
		in, err := newInstance()
		if err != nil {
			return err
		}
		l.instances = append(l.instances, in)
		if err := l.arm(in); err != nil {
			return err
		}
	}
	return nil
}

func (l *listener) accept() (conn, error) {
	select {
	case <-l.stopped:
		return conn{}, net.ErrClosed
	default:
	}
	passed := l.deadline.passed()
	select {
	case <-passed:
		return conn{}, os.ErrDeadlineExceeded
	default:
	}
	select {
	case c := <-l.ready:
		return c, nil
	case <-l.stopped:
		return conn{}, net.ErrClosed
	case <-passed:
		return conn{}, os.ErrDeadlineExceeded
	case <-l.retired:
	}
	select {
	case c := <-l.ready:
		return c, nil
	default:
		return conn{}, errTakenOver
	}
}

func (l *listener) close() error {
	err := net.ErrClosed
	l.once.Do(func() {
		err = nil
		close(l.stopped)
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.idle > 0 { // serve doesn't run
			l.ended = true
			l.shutdown()
			return
		}
		windows.SetEvent(l.stop) // can't fail: the handle is open until serve has ended
	})
	<-l.done
	return err
}

func (l *listener) setDeadline(t time.Time) error {
	select {
	case <-l.stopped:
		return net.ErrClosed
	default:
	}
	l.deadline.set(t)
	return nil
}

func (l *listener) depth() (waiting, queued int) {
	return int(l.waiting.Load()), len(l.ready)
}

// serve waits for clients until close.
func (l *listener) serve() {
	defer l.end()
	handles := make([]windows.Handle, 0, len(l.instances)+1)
	which := make([]*instance, 0, len(l.instances)+1)
	for first := 0; ; first++ {
		// Windows reports the first of several signalled objects, so the order
		// rotates: no waiting client is passed over for ever.
		handles, which = append(handles[:0], l.stop), append(which[:0], nil)
		timeout := uint32(windows.INFINITE)
		for i := range l.instances {
			in := l.instances[(first+i)%len(l.instances)]
			if in.pipe == windows.InvalidHandle {
				timeout = min(timeout, in.untilRetry())
				continue
			}
			handles, which = append(handles, in.event), append(which, in)
		}
		n, err := windows.WaitForMultipleObjects(handles, false, timeout)
		switch {
		case err != nil:
			// The handles are this listener's own, so this can't be; not to
			// spin if it is, the loop goes at the pace of a retry.
			l.report(slog.LevelError, "namedpipe: can't wait for clients", err)
			windows.WaitForSingleObject(l.stop, retryLongest)
		case n == windows.WAIT_OBJECT_0:
			if !isClosed(l.stopped) {
				l.drain()
				<-l.stopped
			}
			return
		case n == uint32(windows.WAIT_TIMEOUT):
			l.retryMissing()
		default:
			l.handOver(which[n-windows.WAIT_OBJECT_0])
		}
		select {
		case <-l.stopped:
			return
		default:
		}
	}
}

// handOver passes on the client that has connected to in. The instance that
// takes its place is made first, so that the name is this listener's all the
// time and the next client finds a place.
func (l *listener) handOver(in *instance) {
	pipe, err := in.take()
	l.waiting.Add(-1)
	if in.last {
		in.close()
		l.instances = slices.DeleteFunc(l.instances, func(i *instance) bool { return i == in })
	} else if rerr := l.arm(in); rerr != nil {
		l.failed(in, rerr)
	}
	if err != nil {
		windows.CloseHandle(pipe)
		l.gone(err)
		return
	}
	l.pass(pipe)
}

// pass hands a connected pipe to accept.
func (l *listener) pass(pipe windows.Handle) {
	c, err := newConn(pipe, l.addr)
	if err != nil {
		l.stat.retries.Add(1)
		l.report(slog.LevelWarn, "namedpipe: a connection could not be used", err)
		return
	}
	select {
	case l.ready <- c:
	case <-l.stopped:
		c.Close()
		l.stat.closed.Add(1)
	}
}

// arm makes a new pipe instance and begins to wait for its client. A client
// that has come and gone before the wait began is passed over.
func (l *listener) arm(in *instance) error {
	for {
		// Only an instance of the name that the anchor keeps: FILE_OPEN makes no
		// new name, and the anchor lets nobody else have this one.
		pipe, err := l.create(windows.GENERIC_READ|windows.GENERIC_WRITE|windows.SYNCHRONIZE, windows.FILE_OPEN)
		if err != nil {
			return err
		}
		err = in.connect(pipe)
		if err == nil {
			in.failures = 0
			l.waiting.Add(1)
			return nil
		}
		windows.CloseHandle(pipe)
		if err != windows.ERROR_NO_DATA {
			return err
		}
		l.gone(err)
	}
}

func (l *listener) gone(err error) {
	l.stat.gone.Add(1)
	l.report(slog.LevelDebug, "namedpipe: a client left before it was accepted", err)
}

// report logs for serve. The logger is the caller's and may call Close, which waits
// for serve.
func (l *listener) report(level slog.Level, msg string, err error) {
	if !l.log.Enabled(context.Background(), level) {
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.log.Log(context.Background(), level, msg, "pipe", l.addr.path, "error", err)
	}()
	select {
	case <-done:
	case <-l.stopped:
	}
}

// failed notes that an instance could not be made. The others go on, and serve
// tries again.
func (l *listener) failed(in *instance, err error) {
	in.failures++
	in.retryAt = time.Now().Add(in.backoff())
	l.stat.retries.Add(1)
	l.report(slog.LevelWarn, "namedpipe: can't make a pipe instance, trying again", err)
}

func (l *listener) retryMissing() {
	for _, in := range l.instances {
		if in.pipe == windows.InvalidHandle && in.untilRetry() == 0 {
			if err := l.arm(in); err != nil {
				l.failed(in, err)
			}
		}
	}
}

// end frees everything once serve is over.
func (l *listener) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	l.shutdown()
}

// shutdown frees everything. It runs when nobody else touches the instances.
func (l *listener) shutdown() {
	defer close(l.done)
	for _, in := range l.instances {
		if in.close() {
			l.stat.closed.Add(1)
		}
	}
	l.waiting.Store(0)
	if l.anchor != 0 {
		windows.CloseHandle(l.anchor)
	}
	windows.CloseHandle(l.stop)
	for {
		select {
		case left := <-l.left:
			for _, pipe := range left {
				windows.CloseHandle(pipe)
			}
		case c := <-l.ready:
			c.Close()
			l.stat.closed.Add(1)
		default:
			return
		}
	}
}

// createPipe is NtCreateNamedPipeFile, which unlike CreateNamedPipe can demand
// that a name exists, or that it doesn't. A test makes it fail.
var createPipe = windows.NtCreateNamedPipeFile

// create makes one pipe instance: byte mode, overlapped, and, unless Access says
// otherwise, for clients of this machine only.
func (l *listener) create(access, disposition uint32) (windows.Handle, error) {
	name, err := windows.NewNTUnicodeString(`\??\pipe\` + l.addr.path[len(pipename.Prefix):])
	if err != nil {
		return windows.InvalidHandle, err
	}
	oa := &windows.OBJECT_ATTRIBUTES{
		ObjectName:         name,
		Attributes:         windows.OBJ_CASE_INSENSITIVE, // and not inheritable
		SecurityDescriptor: l.sd,
	}
	oa.Length = uint32(unsafe.Sizeof(*oa))
	var (
		pipe    windows.Handle
		iosb    windows.IO_STATUS_BLOCK
		timeout = int64(-50 * 10_000) // WaitNamedPipe's default, 50 ms in units of 100 ns, as CreateNamedPipe sets it
	)
	err = createPipe(&pipe, access, oa, &iosb,
		windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE, disposition, 0,
		l.pipeType, windows.FILE_PIPE_BYTE_STREAM_MODE, windows.FILE_PIPE_QUEUE_OPERATION,
		l.maxInstances, l.bufferSize, l.bufferSize, &timeout)
	runtime.KeepAlive(oa)
	if err != nil {
		return windows.InvalidHandle, err
	}
	return pipe, nil
}
