package child

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"time"
)

// waitDelay is how long processes that a child leaves behind may keep its
// output open.
const waitDelay = time.Second

// A run is one process of a child.
type run struct {
	cmd   *exec.Cmd
	group group // kills the process and everything it has started
	stdin io.Closer
	tail  tail
	began time.Time
	ended chan struct{} // closed when the process has ended; err and end are set
	err   error
	end   time.Time
}

// startRun starts the process.
func startRun(cmd *exec.Cmd, log *slog.Logger) (*run, error) {
	r := &run{cmd: cmd, began: time.Now(), ended: make(chan struct{})}
	var err error
	if r.stdin, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	log = log.With("child", programName(cmd))
	flush := r.capture(&cmd.Stdout, log.With("stream", "stdout"))
	flush2 := r.capture(&cmd.Stderr, log.With("stream", "stderr"))
	cmd.WaitDelay = waitDelay
	started := make(chan error)
	go func() {
		// Linux sends the parent-death signal when the thread that started the
		// child ends, so this thread must live as long as the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := r.group.start(cmd)
		started <- err
		if err != nil {
			return
		}
		r.err = cmd.Wait()
		r.end = time.Now()
		r.group.close()
		flush()
		flush2()
		close(r.ended)
	}()
	if err := <-started; err != nil {
		r.stdin.Close()
		return nil, err
	}
	return r, nil
}

// capture logs what is written to the stream w and passes it on to the caller's
// writer. A file is handed to the child as is. The returned function logs a
// last line that has no newline.
func (r *run) capture(w *io.Writer, log *slog.Logger) (flush func()) {
	o := &output{cmd: r.cmd, log: log, tail: &r.tail}
	switch to := (*w).(type) {
	case nil:
		*w = o
	case *os.File:
	default:
		*w = io.MultiWriter(to, o)
	}
	return o.flush
}

func (r *run) String() string {
	return fmt.Sprintf("%s (process %d)", programName(r.cmd), r.cmd.Process.Pid)
}

// problem returns how the process has ended.
func (r *run) problem() error {
	err := r.err
	if err == nil {
		err = errors.New("exit status 0")
	}
	return fmt.Errorf("%w%s", err, r.said())
}

// said returns the end of the process's output for an error.
func (r *run) said() string {
	if last := r.tail.String(); last != "" {
		return "; its last output:\n" + last
	}
	return "; it wrote nothing"
}

// lived returns how long the process ran.
func (r *run) lived() time.Duration { return r.end.Sub(r.began) }

// kill ends the process at once and waits until it is gone.
func (r *run) kill() {
	r.group.kill(r.cmd)
	<-r.ended
	r.stdin.Close()
}

// stop asks the process to end and kills it if it still runs after timeout.
func (r *run) stop(timeout time.Duration) error {
	r.stdin.Close()
	late := time.NewTimer(timeout)
	defer late.Stop()
	select {
	case <-r.ended:
		if r.err != nil {
			return fmt.Errorf("child: %s was asked to stop: %w", r, r.problem())
		}
		return nil
	case <-late.C:
		r.kill()
		return fmt.Errorf("child: %s: %w after %v%s", r, errKilled, timeout, r.said())
	}
}
