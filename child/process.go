package child

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/grpcpipe/grpcpipe/namedpipe"
)

const (
	defaultStartTimeout = 10 * time.Second
	defaultStopTimeout  = 5 * time.Second
	// The wait before a restart doubles from the first of these to the second.
	// A child that has lived for longer than the second starts over.
	minBackoff = 100 * time.Millisecond
	maxBackoff = 30 * time.Second
	// maxPoll is the longest time between two looks for a new child's pipe; the
	// first are a millisecond apart.
	maxPoll = 50 * time.Millisecond
)

// A Config holds options for starting a child. The zero value is ready to use.
type Config struct {
	// Info is what the child is told about its parent.
	Info Info

	// Server serves the child's calls to its parent; nil if there are none. A
	// *grpc.Server can serve several children, and is the caller's to stop.
	Server interface{ Serve(net.Listener) error }

	// Log gets a record for each line that the child writes to standard output
	// or standard error, with the attributes child (the program's name), pid
	// and stream. A line that is a JSON object becomes a record with its
	// members as attributes. nil means slog.Default().
	Log *slog.Logger

	// Restart starts the child again when it has ended and Close has not been
	// called: at once after it has lived for 30 s, otherwise after a wait that
	// doubles from 100 ms to 30 s.
	Restart bool

	// StartTimeout bounds the time from the start of the process to the answer
	// to the first call. 0 means 10 s.
	StartTimeout time.Duration

	// StopTimeout is what the child has to end once Close has asked it to; then
	// it is killed. 0 means 5 s.
	StopTimeout time.Duration

	// Pipe is the name of the child's pipe, for a program that takes it as an
	// argument. "" means a random name.
	Pipe string

	// DialOptions are options of the channel to the child.
	DialOptions []grpc.DialOption
}

// A Process is a child. Its methods may be called by any number of goroutines.
type Process struct {
	cfg  Config
	cmd  *exec.Cmd // what is started, never run itself
	pipe string
	dir  *privateDir // holds the sockets, nil if there is none
	conn *grpc.ClientConn
	back net.Listener // for the child's calls, or nil

	closing   chan struct{}
	closeOnce sync.Once
	done      chan struct{} // closed once the last run has ended and everything is freed

	mu   sync.Mutex
	run  *run
	info Info
	err  error // set before done is closed
}

// Start starts cmd as a child with the zero Config.
func Start(ctx context.Context, cmd *exec.Cmd) (*Process, error) {
	return Config{}.Start(ctx, cmd)
}

// Start starts cmd as a child and returns once the child serves. ctx bounds
// only the start. The child ends with Close, and with this process, however it
// ends: on Windows by a job object, on Linux by a parent-death signal, elsewhere
// by the end of its standard input.
//
// cmd is a template: its Path, Args, Env, Dir, Stdout, Stderr, ExtraFiles and
// SysProcAttr are used, a context is not. What goes to a Stdout or Stderr that is
// an *os.File is not logged. Standard input belongs to the contract, see the
// package's documentation. The child gets a process group of
// its own, so that Ctrl-C in a terminal reaches the parent alone.
//
// A child that ends before it serves, or does not serve in time, is an error
// that holds the last lines of its output; nothing of it is left then.
func (cfg Config) Start(ctx context.Context, cmd *exec.Cmd) (*Process, error) {
	if cmd.Process != nil || cmd.Stdin != nil {
		return nil, fmt.Errorf("child: %s: cmd must not have been started or have a Stdin: %w", cmd.Path, fs.ErrInvalid)
	}
	if cmd.Err != nil {
		return nil, fmt.Errorf("child: %w", cmd.Err)
	}
	if cfg.StartTimeout < 0 || cfg.StopTimeout < 0 {
		return nil, fmt.Errorf("child: %s: Config.StartTimeout and Config.StopTimeout must not be negative: %w", cmd.Path, fs.ErrInvalid)
	}
	if cfg.StartTimeout == 0 {
		cfg.StartTimeout = defaultStartTimeout
	}
	if cfg.StopTimeout == 0 {
		cfg.StopTimeout = defaultStopTimeout
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	p := &Process{cfg: cfg, cmd: cmd, pipe: cfg.Pipe, closing: make(chan struct{}), done: make(chan struct{})}
	if err := p.prepare(); err != nil {
		p.free()
		return nil, err
	}
	r, err := p.launch(ctx)
	if err != nil {
		p.free()
		return nil, err
	}
	go p.supervise(r)
	return p, nil
}

// prepare makes what all runs of the child share.
func (p *Process) prepare() (err error) {
	if p.pipe == "" {
		if p.pipe, p.dir, err = randomPipe(); err != nil {
			return fmt.Errorf("child: %s: %w", p.cmd.Path, err)
		}
	}
	if p.conn, err = newClient(p.pipe, p.check(), append([]grpc.DialOption{
		grpc.WithChainUnaryInterceptor(p.explainUnary), grpc.WithChainStreamInterceptor(p.explainStream),
	}, p.cfg.DialOptions...)); err != nil {
		return err
	}
	if p.cfg.Server == nil {
		return nil
	}
	lc := namedpipe.ListenConfig{Access: namedpipe.Access{Check: onlyProcess(p.process, "the child")}}
	if p.back, err = lc.Listen(context.Background(), parentPipe(p.pipe)); err != nil {
		return err
	}
	go p.cfg.Server.Serve(p.back) // ends with the listener
	return nil
}

// launch starts the process and returns once it serves.
func (p *Process) launch(ctx context.Context) (*run, error) {
	r, err := startRun(p.command(), p.cfg.Log)
	if err != nil {
		return nil, fmt.Errorf("child: %s: %w", p.cmd.Path, err)
	}
	p.mu.Lock()
	p.run = r
	p.mu.Unlock()
	info, err := p.firstCall(ctx, r)
	if err != nil {
		r.kill()
		return nil, err
	}
	p.mu.Lock()
	p.info = info
	p.mu.Unlock()
	return r, nil
}

// command returns what a run starts.
func (p *Process) command() *exec.Cmd {
	t := p.cmd
	cmd := &exec.Cmd{Path: t.Path, Args: t.Args, Dir: t.Dir, Stdout: t.Stdout, Stderr: t.Stderr, ExtraFiles: t.ExtraFiles, SysProcAttr: t.SysProcAttr}
	cmd.Env = append(t.Environ(), PipeEnv+"="+p.pipe)
	return cmd
}

// firstCall waits until the child answers.
func (p *Process) firstCall(ctx context.Context, r *run) (Info, error) {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.StartTimeout)
	defer cancel()
	go func() {
		select {
		case <-r.ended:
			cancel()
		case <-ctx.Done():
		}
	}()
	info, err := p.ask(ctx)
	if err == nil {
		return info, nil
	}
	select {
	case <-r.ended:
		return Info{}, fmt.Errorf("child: %s ended before it served on %s: %w", r, p.pipe, r.problem())
	default:
	}
	if cause := ctx.Err(); cause != nil && !errors.Is(err, cause) {
		err = fmt.Errorf("%w: %w", cause, err)
	}
	return Info{}, fmt.Errorf("child: %s runs but does not serve on the pipe named in %s: %w%s", r, PipeEnv, err, r.said())
}

// ask makes the first call, once the pipe is there.
func (p *Process) ask(ctx context.Context) (Info, error) {
	if err := p.awaitPipe(ctx); err != nil {
		return Info{}, err
	}
	var header metadata.MD
	ctx = metadata.NewOutgoingContext(ctx, p.cfg.Info.metadata())
	_, err := healthpb.NewHealthClient(p.conn).Check(ctx, &healthpb.HealthCheckRequest{}, grpc.WaitForReady(true), grpc.Header(&header))
	if status.Code(err) == codes.Unimplemented {
		err = nil
	}
	return infoFrom(header), err
}

// awaitPipe opens the pipe until that succeeds, more often than a channel would
// try: a process serves a few milliseconds after its start. A server that is not
// the child is an error at once; any other passes as the child goes on starting.
func (p *Process) awaitPipe(ctx context.Context) error {
	d := namedpipe.Dialer{Server: namedpipe.Trust{Check: p.check()}}
	for wait := time.Millisecond; ; wait = min(wait+wait/8, maxPoll) {
		c, err := d.Dial(ctx, p.pipe)
		if err == nil {
			return c.Close()
		}
		var untrusted *namedpipe.TrustError
		if errors.As(err, &untrusted) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait):
		}
	}
}

// check returns what holds a server against the child.
func (p *Process) check() func(*namedpipe.Peer) error {
	return onlyProcess(p.process, "the child that was started (a command that runs the server as another process, such as a shell, can't be a child)")
}

// process returns the process that is the child now, or nil.
func (p *Process) process() *os.Process {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.run == nil {
		return nil
	}
	return p.run.cmd.Process
}

// Conn returns the channel to the child, which lives as long as the Process and
// follows restarts. A call that fails because the child has ended says how it
// has. The Process closes the channel.
func (p *Process) Conn() *grpc.ClientConn { return p.conn }

// Info returns what the child has told about itself. It is the zero Info for a
// child that tells nothing.
func (p *Process) Info() Info {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.info
}

// PID returns the process id, which a restart changes.
func (p *Process) PID() int { return p.process().Pid }

// Pipe returns the name of the child's pipe.
func (p *Process) Pipe() string { return p.pipe }

// Done returns a channel that is closed when the child has ended for good.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err returns nil before Done is closed and after a Close that ended the child
// in an orderly way; otherwise how the child has ended.
func (p *Process) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// Close asks the child to stop, by the end of its standard input, waits for
// Config.StopTimeout, and kills it if it still runs then. Calls under way have
// that time to finish. Close returns Err. It may be called again.
func (p *Process) Close() error {
	p.closeOnce.Do(func() { close(p.closing) })
	<-p.done
	return p.Err()
}

// supervise waits for the end of the child, starts it again if that is wanted,
// and frees everything in the end.
func (p *Process) supervise(r *run) {
	defer close(p.done)
	defer p.free()
	backoff := minBackoff
	for {
		select {
		case <-p.closing:
			p.end(r.stop(p.cfg.StopTimeout))
			return
		case <-r.ended:
		}
		ended := fmt.Errorf("child: %s ended: %w", r, r.problem())
		if !p.cfg.Restart {
			p.end(ended)
			return
		}
		if r.lived() > maxBackoff {
			backoff = minBackoff
		}
		p.cfg.Log.Warn("child: restarting", "in", backoff, "error", ended)
		if r = p.restart(&backoff); r == nil {
			return
		}
	}
}

// restart starts the child again until that succeeds. It returns nil after
// Close.
func (p *Process) restart(backoff *time.Duration) *run {
	for {
		select {
		case <-p.closing:
			return nil
		case <-time.After(*backoff):
		}
		*backoff = min(2**backoff, maxBackoff)
		r, err := p.relaunch()
		if err == nil {
			return r
		}
		p.cfg.Log.Warn("child: the restart failed, trying again", "in", *backoff, "error", err)
	}
}

// relaunch is launch until Close.
func (p *Process) relaunch() (*run, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-p.closing:
			cancel()
		case <-ctx.Done():
		}
	}()
	return p.launch(ctx)
}

func (p *Process) end(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
}

// free gives back what prepare has made.
func (p *Process) free() {
	if p.conn != nil {
		p.conn.Close()
	}
	if p.back != nil {
		p.back.Close()
	}
	if p.dir != nil {
		p.dir.remove()
	}
}

// programName returns the program's name for messages.
func programName(cmd *exec.Cmd) string { return filepath.Base(cmd.Path) }

var errKilled = errors.New("it did not stop when asked and was killed")
