package demo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/internal/demo/demopb"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// A Config configures a demo.
type Config struct {
	// Command returns the command of a server process that calls Serve with
	// the given pipe name. It must use exec.CommandContext.
	Command func(ctx context.Context, pipe string) (*exec.Cmd, error)
	// Out is where the report is written.
	Out io.Writer
	// Color allows escape sequences in the report. JSON makes each line an object.
	Color, JSON bool
}

const (
	// demoLimit bounds the whole demo, which takes a second or two.
	demoLimit = 30 * time.Second
	// stopLimit bounds the orderly end of the server process.
	stopLimit = 5 * time.Second
	// noticeLimit bounds the time until a client notices that its server is gone.
	noticeLimit = time.Second
)

// Run runs the demo. It returns an error as soon as a result isn't the expected
// one; whatever it has written before is correct. When it returns, the server
// process has ended.
func Run(ctx context.Context, cfg Config) error {
	interrupted := ctx
	ctx, cancel := context.WithTimeout(ctx, demoLimit)
	defer cancel()
	began := time.Now()
	name := "grpcpipe-demo-" + strings.ToLower(rand.Text()[:8])
	addr, err := namedpipe.ResolveAddr(name)
	if err != nil {
		return err
	}
	d := &demo{cfg: cfg, name: name, path: addr.String(), out: printer{w: cfg.Out, color: cfg.Color, json: cfg.JSON}}
	if err := d.start(ctx); err != nil {
		return err
	}
	defer func() { d.server.end() }()

	conn, err := grpcpipe.NewClient(name)
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, part := range []func(context.Context, *grpc.ClientConn) error{d.meet, d.calls, d.speed, d.failure} {
		if err := part(ctx, conn); err != nil {
			if interrupted.Err() != nil {
				return errors.New("interrupted")
			}
			return d.explain(err)
		}
	}
	if err := d.server.stop(stopLimit); err != nil {
		return err
	}
	d.out.end(time.Since(began))
	return d.out.err
}

// demo is the state of one run.
type demo struct {
	cfg    Config
	name   string // of the pipe
	path   string // its full path
	server *child
	out    printer
}

// explain adds the pipe's path and what the server process said to an error.
func (d *demo) explain(err error) error {
	err = fmt.Errorf("%w (pipe %s)", err, d.path)
	d.server.end() // so that its standard error is whole
	if said := strings.TrimSpace(d.server.stderr.String()); said != "" {
		err = fmt.Errorf("%w; the server said: %s", err, said)
	}
	return err
}

func (d *demo) start(ctx context.Context) error {
	cmd, err := d.cfg.Command(ctx, d.name)
	if err != nil {
		return err
	}
	server, err := startChild(ctx, cmd)
	if err != nil {
		return fmt.Errorf("%w (pipe %s)", err, d.path)
	}
	d.server = server
	return nil
}

// meet checks that the child answers, on the expected pipe.
func (d *demo) meet(ctx context.Context, conn *grpc.ClientConn) error {
	if err := d.checkInfo(ctx, conn); err != nil {
		return err
	}
	d.out.title("grpcpipe demo: a server and a client, two processes, one named pipe")
	d.out.pair("pipe", d.path)
	d.out.pair("server", fmt.Sprintf("process %d", d.server.pid()))
	d.out.pair("client", fmt.Sprintf("process %d", os.Getpid()))
	return nil
}

func (d *demo) checkInfo(ctx context.Context, conn grpc.ClientConnInterface, opts ...grpc.CallOption) error {
	info, err := demopb.NewDemoClient(conn).Info(ctx, &demopb.InfoRequest{}, opts...)
	if err != nil {
		return fmt.Errorf("ask the server for its process: %w", err)
	}
	if got, want := info.GetProcessId(), int64(d.server.pid()); got != want {
		return fmt.Errorf("process %d answered, the server is process %d", got, want)
	}
	if info.GetPipe() != d.path {
		return fmt.Errorf("the server listens on %s", info.GetPipe())
	}
	return nil
}

func (d *demo) calls(ctx context.Context, conn *grpc.ClientConn) error {
	d.out.head("Calls, as each side saw them")
	for _, s := range steps {
		got, err := runStep(ctx, conn, s)
		if err != nil {
			return err
		}
		d.out.sides(s.name, got)
	}
	return nil
}

func runStep(ctx context.Context, conn grpc.ClientConnInterface, s step) (shown, error) {
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	got, err := s.run(ctx, conn)
	if err != nil {
		return shown{}, fmt.Errorf("%s: %w", s.name, err)
	}
	return got, nil
}

func (d *demo) speed(ctx context.Context, conn *grpc.ClientConn) error {
	// A TCP channel lacks the options that a pipe's channel has: set those that
	// matter here, so that both are alike.
	tcp, err := grpcpipe.NewClient(d.server.tcp,
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy(),
		grpc.WithStaticStreamWindowSize(8<<20), grpc.WithStaticConnWindowSize(64<<20),
		grpc.WithReadBufferSize(64<<10), grpc.WithWriteBufferSize(64<<10))
	if err != nil {
		return fmt.Errorf("TCP loopback: %w", err)
	}
	defer tcp.Close()
	overPipe, overTCP, err := measure(ctx, conn, tcp)
	if err != nil {
		return fmt.Errorf("measuring: %w", err)
	}
	d.out.head("The time of a call, 2,000 calls over each")
	d.out.row("", "median", "99th percentile")
	d.out.row("named pipe", micros(overPipe.median), micros(overPipe.p99))
	d.out.row("TCP loopback", micros(overTCP.median), micros(overTCP.p99))
	return nil
}

// failure kills the server during a call, starts another and measures when the
// same channel works again.
func (d *demo) failure(ctx context.Context, conn *grpc.ClientConn) error {
	var killed time.Time
	old := d.server
	callCtx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	err := waitFor(callCtx, conn, "killed", func(bool) error {
		killed = time.Now()
		return old.cmd.Process.Kill()
	})
	noticed := time.Since(killed)
	old.kill() // reaps it
	if killed.IsZero() || status.Code(err) != codes.Unavailable {
		return fmt.Errorf("server killed in mid-call: got %w, want Unavailable", orNil(err))
	}
	if noticed > noticeLimit {
		return fmt.Errorf("server killed in mid-call: the client knew after %v, limit %v", noticed, noticeLimit)
	}
	d.out.head("A server that is killed, and the next one")
	d.out.sides("killed mid-call", shown{"Unavailable after " + millis(noticed), fmt.Sprintf("process %d is gone", old.pid())})

	// The call starts while there is no server; the next one serves it.
	served := make(chan error, 1)
	var back time.Time
	go func() {
		_, err := demopb.NewDemoClient(conn).Info(callCtx, &demopb.InfoRequest{}, grpc.WaitForReady(true))
		back = time.Now()
		served <- err
	}()
	if err := d.start(ctx); err != nil {
		cancel()
		return errors.Join(err, <-served)
	}
	if err := <-served; err != nil {
		return fmt.Errorf("after the restart: %w", err)
	}
	if err := d.checkInfo(callCtx, conn); err != nil {
		return fmt.Errorf("after the restart: %w", err)
	}
	if d.server.pid() == old.pid() {
		return fmt.Errorf("after the restart: process %d answered, which was killed", old.pid())
	}
	d.out.sides("restarted", shown{
		fmt.Sprintf("the same channel works again %s after the new process started", millis(back.Sub(d.server.began))),
		fmt.Sprintf("process %d, listening after %s", d.server.pid(), millis(d.server.ready.Sub(d.server.began))),
	})
	return nil
}
