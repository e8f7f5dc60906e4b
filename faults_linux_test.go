package grpcpipe_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/internal/testing/seccomp"
	"github.com/grpcpipe/grpcpipe/internal/testing/soak"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

func init() {
	seccomp.Enter()
	programs["faulty server"] = faultyServer
	programs["faulty client"] = faultyClient
}

// faultyServer serves on the pipe of its first argument, with its log on
// standard output, until its standard input ends.
func faultyServer() {
	lc := namedpipe.ListenConfig{Logger: slog.New(slog.NewTextHandler(os.Stdout, nil))}
	lis, err := lc.Listen(context.Background(), os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		untilEOF(os.Stdin)
		lis.Close()
		os.Exit(0)
	}()
	srv := grpc.NewServer(grpcpipe.ServerOptions()...)
	grpc_testing.RegisterTestServiceServer(srv, &service{name: os.Args[1]})
	fmt.Println("ready")
	if err := srv.Serve(lis); err != nil {
		log.Fatal(err)
	}
}

// faultyClient calls the server on the pipe of its first argument until its
// standard input ends, on a new channel every third time, and prints how each
// call ended. No call waits for more than faultLimit.
func faultyClient() {
	go func() {
		untilEOF(os.Stdin)
		os.Exit(0)
	}()
	for {
		cc, err := grpcpipe.NewClient(os.Args[1])
		if err != nil {
			log.Fatal(err)
		}
		for range 3 {
			fmt.Println(oneCall(context.Background(), cc))
			time.Sleep(5 * time.Millisecond) // don't flood the test
		}
		cc.Close()
	}
}

// untilEOF reads to the end, whatever errors come before it.
func untilEOF(r io.Reader) {
	for b := make([]byte, 1); ; {
		if _, err := r.Read(b); err == io.EOF {
			return
		}
	}
}

// oneCall makes a call and says in a line how it went.
func oneCall(ctx context.Context, cc *grpc.ClientConn) string {
	ctx, cancel := context.WithTimeout(ctx, faultLimit)
	defer cancel()
	_, err := call(ctx, cc, grpc.PerRPCCredentials(secret{}))
	if err == nil {
		return "good"
	}
	return fmt.Sprintf("%v: %q", status.Code(err), status.Convert(err).Message())
}

// secret is sent only to who is known to be safe.
type secret struct{}

func (secret) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	info, _ := credentials.RequestInfoFromContext(ctx)
	return nil, credentials.CheckSecurityLevel(info.AuthInfo, credentials.PrivacyAndIntegrity)
}

func (secret) RequireTransportSecurity() bool { return true }

const (
	// faultLimit is what a call may take that meets a fault.
	faultLimit = 8 * time.Second
	// faultCalls is the number of calls in a row that show that all is well.
	faultCalls = 30
)

// A fault makes a system call of one of the ends fail.
type fault struct {
	side string // server or client
	call string // the system call, or an option of getsockopt
	err  string
	when string // which calls, as strace has it: 1+, 2..6; of options all
	want string // goes on, recovers, or a part of the one error of the callers or the server
}

const (
	goesOn   = "no call fails"
	recovers = "calls fail until the fault is over"
)

// faults are the table. Those that hit the first call of their kind are there
// when the process starts; the others come when it is at work.
var faults = []fault{
	{"server", "socket", "EMFILE", "1+", "server: too many open files"},
	{"server", "bind", "EACCES", "1+", "server: permission denied"},
	{"server", "listen", "ENOBUFS", "1+", "server: no buffer space"},
	{"server", "linkat", "EPERM", "1+", goesOn},
	{"server", "inotify_init1", "EMFILE", "1+", goesOn},
	{"server", "inotify_init1", "ENOSYS", "1+", goesOn},
	{"server", "inotify_add_watch", "ENOSPC", "1+", goesOn},
	{"server", "pidfd_open", "EMFILE", "1+", goesOn},
	{"server", "pidfd_open", "ENOSYS", "1+", goesOn},
	{"server", "SO_PEERPIDFD", "ENOPROTOOPT", "", goesOn},
	{"server", "SO_PEERGROUPS", "ENOPROTOOPT", "", goesOn},
	{"server", "getsockopt", "EPERM", "1+", "see its log"},
	{"server", "accept4", "EMFILE", "at work 1..10", goesOn},
	{"server", "accept4", "ENFILE", "at work 1..10", goesOn},
	{"server", "accept4", "ECONNABORTED", "at work 1..10", goesOn},
	{"server", "accept4", "ENOMEM", "at work 1..10", goesOn},
	{"server", "accept4", "EPERM", "at work 1+", "server: operation not permitted"},
	{"server", "epoll_ctl", "ENOSPC", "at work 1..3", recovers},
	{"server", "epoll_ctl", "ENOMEM", "at work 1..3", recovers},
	{"server", "epoll_pwait", "EINTR", "at work 1..50", goesOn},
	{"server", "read", "ECONNRESET", "at work 1..3", recovers},
	{"server", "read", "EIO", "at work 1..3", recovers},
	{"server", "read", "EINTR", "at work 1..9", goesOn},
	{"server", "write", "ENOBUFS", "at work 2", recovers},
	{"server", "write", "ENOMEM", "at work 3", recovers},
	{"server", "write", "EINTR", "at work 1..3", goesOn},

	{"client", "socket", "EMFILE", "1..4", recovers},
	{"client", "socket", "EMFILE", "1+", "too many open files"},
	{"client", "socket", "EACCES", "1+", "permission denied"},
	{"client", "connect", "EAGAIN", "1..6", goesOn},
	{"client", "connect", "ECONNREFUSED", "1..4", recovers},
	{"client", "connect", "ENOENT", "1+", "no such pipe"},
	{"client", "connect", "EACCES", "1+", "permission denied"},
	{"client", "epoll_ctl", "ENOSPC", "3..6", recovers},
	{"client", "epoll_pwait", "EINTR", "at work 1..50", goesOn},
	{"client", "pidfd_open", "EMFILE", "1+", goesOn},
	{"client", "SO_PEERPIDFD", "ENOPROTOOPT", "", goesOn},
	{"client", "SO_PEERGROUPS", "ENOPROTOOPT", "", goesOn},
	{"client", "getsockopt", "EPERM", "1+", "getsockopt SO_PEERCRED: operation not permitted"},
	{"client", "read", "ECONNRESET", "at work 1..3", recovers},
	{"client", "read", "EIO", "at work 1..3", recovers},
	{"client", "write", "ENOBUFS", "at work 2", recovers},
	{"client", "write", "ENOMEM", "at work 3", recovers},
	{"client", "write", "EINTR", "at work 1..3", goesOn},
}

// TestSoakFaults makes system calls fail one by one, in the server or in the
// client. Either the fault passes unseen, or the calls that meet it fail and the
// later ones don't, or there is one clear error. Nothing hangs.
func TestSoakFaults(t *testing.T) {
	if !soak.Full() {
		t.Skip("a part of make soak, which gets strace if need be")
	}
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not there: install the package of that name")
	}
	for _, f := range faults {
		t.Run(strings.ReplaceAll(f.side+" "+f.call+" "+f.err+" "+f.when, " ", "_"), func(t *testing.T) {
			measured := ""
			for range 20 { // the Go runtime's own writes, which it can't do without, are met too
				if measured = f.try(t, strace); measured != "" {
					break
				}
			}
			if measured == "" {
				t.Error("the fault has hit the Go runtime only")
			}
			soak.Report(t, fmt.Sprintf("fault in the %s: %s %s %s", f.side, f.call, f.err, f.when), f.want, measured)
		})
	}
}

// atWork reports whether the fault comes to a process that is at work.
func (f fault) atWork() bool { return strings.HasPrefix(f.when, "at work") }

// tracing is strace's arguments for the fault; what it did goes to the file log.
func (f fault) tracing(log string, what ...string) []string {
	spec := fmt.Sprintf("inject=%s:error=%s:when=%s", f.call, f.err, strings.TrimPrefix(f.when, "at work "))
	return append([]string{"-f", "-o", log, "-e", "trace=" + f.call, "-e", spec}, what...)
}

// start starts a side, with the fault if that is there from the start.
func (f fault) start(t *testing.T, side, name, strace, log string) *testproc.Process {
	t.Helper()
	cmd, err := testproc.Self(context.Background(), "faulty "+side, name)
	if err != nil {
		t.Fatal(err)
	}
	if option, ok := options[f.call]; ok && side == f.side {
		cmd.Env = append(cmd.Env, seccomp.Env(option))
	} else if side == f.side && !f.atWork() {
		cmd.Args = append([]string{strace}, f.tracing(log, append([]string{cmd.Path}, cmd.Args[1:]...)...)...)
		cmd.Path = strace
	}
	p, err := testproc.Start(t, cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.CloseStdin) // strace's death alone doesn't end it
	return p
}

// try runs a server and a client, one of them with the fault, and says what
// came of it: nothing if the fault has hit the Go runtime.
func (f fault) try(t *testing.T, strace string) string {
	name, log := pipeName(t), filepath.Join(t.TempDir(), "log")
	words, serverEnds := strings.CutPrefix(f.want, "server: ")
	server := f.start(t, "server", name, strace, log)
	if serverEnds && !f.atWork() {
		return f.ends(t, server, words)
	}
	if _, err := server.WaitLine(testContext(t), "ready"); err != nil {
		t.Fatal(err)
	}
	client := f.start(t, "client", name, strace, log)
	before := 0
	if f.atWork() {
		if err := client.WaitStdout(testContext(t), "three good calls", func(said string) bool { return endsWith(said, 3, "good") }); err != nil {
			t.Fatal(err)
		}
		target := map[string]*testproc.Process{"server": server, "client": client}[f.side]
		tracer, err := testproc.Start(t, exec.Command(strace, f.tracing(log, "-p", strconv.Itoa(target.Pid()))...))
		if err != nil {
			t.Fatal(err)
		}
		before = len(client.Stdout())
		if err := tracer.WaitStderr(testContext(t), "attached"); err != nil {
			t.Fatal(err)
		}
	}
	if serverEnds {
		return f.ends(t, server, words)
	}
	last, n := "good", faultCalls
	if f.want != goesOn && f.want != recovers {
		last, n = f.want, 5
	}
	runtimeHit := func() bool {
		return strings.Contains(server.Stderr()+client.Stderr(), "netpollBreak write failed")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err := client.WaitStdout(ctx, fmt.Sprintf("%d times %q", n, last), func(said string) bool {
		return endsWith(said[before:], n, last) && f.met(log) > 0 || runtimeHit()
	})
	switch {
	case runtimeHit():
		return ""
	case err != nil:
		t.Errorf("%v; the fault was met %d times; the server says %s %s", err, f.met(log), server.Stdout(), server.Stderr())
		return "no end"
	}
	return f.judge(t, client.Stdout()[before:], strings.Count(server.Stdout(), "\n")-1, f.met(log))
}

// met is how many times the fault was met, as far as that is known.
func (f fault) met(log string) int {
	if _, ok := options[f.call]; ok {
		return 1
	}
	b, _ := os.ReadFile(log)
	return strings.Count(string(b), "(INJECTED)")
}

// ends waits for the server to end with an error that has the words.
func (f fault) ends(t *testing.T, server *testproc.Process, words string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := server.Wait(ctx); err == nil || ctx.Err() != nil {
		t.Errorf("the server ended with %v", err)
	}
	said := strings.TrimSpace(server.Stderr())
	if strings.Contains(said, "\n") || !strings.Contains(said, words) {
		t.Errorf("the server said %q, want one line with %q", said, words)
	}
	return "one error: " + said
}

// judge says how the calls went.
func (f fault) judge(t *testing.T, said string, logged, hit int) string {
	texts := map[string]int{}
	calls := 0
	for line := range strings.Lines(said) {
		if calls++; line != "good\n" {
			texts[strings.TrimSpace(line)]++
		}
	}
	failed := 0
	for text, n := range texts {
		failed += n
		for _, bad := range []codes.Code{codes.DeadlineExceeded, codes.PermissionDenied, codes.Unauthenticated, codes.Unknown, codes.Internal} {
			if strings.HasPrefix(text, bad.String()) {
				t.Errorf("%d calls: %s", n, text)
			}
		}
	}
	if f.want == goesOn && failed > 0 {
		t.Errorf("%d calls failed: %v", failed, texts)
	}
	if f.side == "server" && f.want == goesOn && logged > 2 {
		t.Errorf("the server logged %d lines", logged)
	}
	switch {
	case failed == 0:
		return fmt.Sprintf("met %d times; %d calls, none failed", hit, calls)
	case f.want == recovers:
		return fmt.Sprintf("met %d times; %d of %d calls failed, the last %d not", hit, failed, calls, faultCalls)
	}
	if len(texts) > 2 {
		t.Errorf("%d different errors: %v", len(texts), texts)
	}
	return fmt.Sprintf("%d of %d calls failed with %d texts", failed, calls, len(texts))
}

// endsWith reports whether the last n lines have the words.
func endsWith(said string, n int, words string) bool {
	lines := strings.Split(strings.TrimSpace(said), "\n")
	if len(lines) < n {
		return false
	}
	return !slices.ContainsFunc(lines[len(lines)-n:], func(line string) bool { return !strings.Contains(line, words) })
}

// options are those of getsockopt, which strace can't distinguish.
var options = map[string]int{"SO_PEERGROUPS": unix.SO_PEERGROUPS, "SO_PEERPIDFD": unix.SO_PEERPIDFD}
