package child

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// PipeEnv is the environment variable that holds the name of the child's pipe.
const PipeEnv = "GRPCPIPE_CHILD_PIPE"

// orphanTimeout is how long a child has to end by itself once its parent is
// gone.
const orphanTimeout = 5 * time.Second

// ErrNoParent matches the error of Listen in a process that Start did not
// start.
var ErrNoParent = errors.New("this process was not started as a child")

// A Listener is the child's end of the pipe. It accepts connections of the
// parent process only. Its methods are safe for concurrent use.
type Listener struct {
	*namedpipe.Listener
	name       string
	parent     *os.Process
	ctx        context.Context
	stop       context.CancelFunc
	parentInfo atomic.Pointer[Info]
}

// pipeName is the name of this process's pipe. It removes the variable from the
// environment, so that the child's own children don't mistake the pipe for
// theirs.
var pipeName = sync.OnceValue(func() string {
	defer os.Unsetenv(PipeEnv)
	return os.Getenv(PipeEnv)
})

// Listen listens on the pipe that the parent has named in the environment. The
// end of ctx ends [Listener.Context] and nothing else; Close frees the pipe.
// Listen reads standard input until it ends, so the program must not use it. In
// a process that Start did not start, the error matches [ErrNoParent].
func Listen(ctx context.Context) (*Listener, error) {
	name := pipeName()
	if name == "" {
		return nil, fmt.Errorf("child: %s is not set: start this program from its parent, which calls child.Start: %w", PipeEnv, ErrNoParent)
	}
	parent, err := findParent()
	if err != nil {
		return nil, err
	}
	l := &Listener{name: name, parent: parent}
	lc := namedpipe.ListenConfig{Access: namedpipe.Access{Check: onlyProcess(func() *os.Process { return parent }, "this process's parent")}}
	if l.Listener, err = lc.Listen(ctx, name); err != nil {
		return nil, fmt.Errorf("child: the pipe named in %s: %w", PipeEnv, err)
	}
	l.ctx, l.stop = context.WithCancel(ctx)
	go l.awaitStop(os.Stdin, os.Getppid())
	return l, nil
}

// findParent returns the process that has started this one.
func findParent() (*os.Process, error) {
	pid := os.Getppid()
	parent, err := os.FindProcess(pid)
	// If the parent had ended before it was found, another process could have
	// its id by now, but then the system would have given this process a new
	// parent.
	if err == nil && os.Getppid() != pid {
		err = os.ErrProcessDone
	}
	if err != nil {
		return nil, fmt.Errorf("child: the parent process %d is gone: %w", pid, err)
	}
	return parent, nil
}

// awaitStop ends the context when standard input ends. It ends a process whose
// parent is gone, if neither the system nor the program does.
func (l *Listener) awaitStop(stdin io.Reader, parent int) {
	io.Copy(io.Discard, stdin)
	l.stop()
	if os.Getppid() != parent {
		time.Sleep(orphanTimeout)
		fmt.Fprintf(os.Stderr, "child: the parent process is gone and this one has not ended in %v\n", orphanTimeout)
		os.Exit(1)
	}
}

// Context returns a context that ends when the parent asks the child to stop or
// is gone. The child then ends by itself, usually by
//
//	context.AfterFunc(lis.Context(), srv.GracefulStop)
//
// A child that does not end in the parent's Config.StopTimeout is killed.
func (l *Listener) Context() context.Context { return l.ctx }

// Close stops listening and ends Context.
func (l *Listener) Close() error {
	l.stop()
	return l.Listener.Close()
}

// Parent returns a channel to the services of the parent's Config.Server. It
// accepts no server but the parent process. The caller must close the channel.
func (l *Listener) Parent(opts ...grpc.DialOption) (*grpc.ClientConn, error) {
	return newClient(parentPipe(l.name), onlyProcess(func() *os.Process { return l.parent }, "this process's parent"), opts)
}

// newClient makes a channel that accepts only the servers that check accepts.
func newClient(pipe string, check func(*namedpipe.Peer) error, opts []grpc.DialOption) (*grpc.ClientConn, error) {
	dialer := &namedpipe.Dialer{Server: namedpipe.Trust{Check: check}}
	return grpcpipe.NewClient("npipe:"+pipe, append([]grpc.DialOption{grpcpipe.WithDialer(dialer)}, opts...)...)
}

// onlyProcess returns a check that accepts the process that of returns.
func onlyProcess(of func() *os.Process, what string) func(*namedpipe.Peer) error {
	return func(p *namedpipe.Peer) error {
		process := of()
		if process == nil || !p.IsProcess(process) {
			return fmt.Errorf("process %d is not %s", p.PID, what)
		}
		return nil
	}
}

// parentPipe returns the name of the pipe on which the parent serves the child
// whose pipe has the given name.
func parentPipe(pipe string) string { return pipe + "-parent" }
