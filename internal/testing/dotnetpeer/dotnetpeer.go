// Package dotnetpeer starts the .NET peer of interop/dotnet for tests: the
// server and the client of Microsoft's article, as one program.
package dotnetpeer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
)

// Env is the environment variable with the folder that holds the programs, as
// linux-x64/dotnet-peer and win-x64/dotnet-peer.exe.
const Env = "GRPCPIPE_DOTNET_PEER"

const (
	// startLimit bounds the start of a program: the first one of all unpacks
	// itself.
	startLimit = 60 * time.Second
	// stopLimit bounds the orderly stop of the server. Kestrel gives calls that
	// are still under way 30 s.
	stopLimit = 45 * time.Second
)

// errUnset is why there is no program when nobody has named one.
var errUnset = errors.New(Env + " is not set: build the .NET peer as interop/dotnet/README.md says and set it to the folder with the programs")

// Program returns the path of the program. Where none is configured the test
// is skipped; where the configured one is missing it fails.
func Program(t testing.TB) string {
	t.Helper()
	path, err := find(os.Getenv(Env))
	switch {
	case errors.Is(err, errUnset):
		t.Skip(err)
	case err != nil:
		t.Fatal(err)
	}
	return path
}

// find returns the program for this system in the given folder.
func find(dir string) (string, error) {
	if dir == "" {
		return "", errUnset
	}
	var name string
	switch platform := runtime.GOOS + "/" + runtime.GOARCH; platform {
	case "linux/amd64":
		name = filepath.Join("linux-x64", "dotnet-peer")
	case "windows/amd64":
		name = filepath.Join("win-x64", "dotnet-peer.exe")
	default:
		return "", fmt.Errorf("%s is set, but the tests know of no .NET peer for %s", Env, platform)
	}
	// Under Wine the folder is a Unix path; made absolute it is on the drive of
	// the current folder, which is the one that holds the whole system.
	path, err := filepath.Abs(filepath.Join(dir, name))
	if err != nil {
		return "", err
	}
	if info, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s is %s, but the program isn't there: %w; build it as interop/dotnet/README.md says", Env, dir, err)
	} else if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is %s, but %s is not a program: %w", Env, dir, path, fs.ErrInvalid)
	}
	return path, nil
}

// A Server is a running .NET server.
type Server struct {
	*testproc.Process
}

// StartServer starts the server on the pipe, with more arguments if any, and
// waits until it is ready. It is killed when the test ends.
func StartServer(t testing.TB, pipe string, args ...string) Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startLimit)
	defer cancel()
	p := start(t, t.Context(), append([]string{"server", "--pipe", pipe}, args...))
	if _, err := p.WaitLine(ctx, "ready"); err != nil {
		t.Fatal(err)
	}
	return Server{p}
}

// Stop has the server end in an orderly way.
func (s Server) Stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	s.CloseStdin()
	if err := s.Wait(ctx); err != nil {
		return fmt.Errorf("the .NET server did not stop: %w; standard error: %s", err, s.Stderr())
	}
	return nil
}

type keepAliveKey struct{}

// WithKeepAlive has the clients that are started with the returned context send
// HTTP/2 pings once they have heard nothing for a second.
func WithKeepAlive(ctx context.Context) context.Context {
	return context.WithValue(ctx, keepAliveKey{}, true)
}

func start(t testing.TB, ctx context.Context, args []string) *testproc.Process {
	t.Helper()
	cmd := exec.CommandContext(ctx, Program(t), args...)
	cmd.Env = os.Environ()
	if ctx.Value(keepAliveKey{}) != nil {
		cmd.Env = append(cmd.Env, "PEER_KEEPALIVE_SECONDS=1")
	}
	if UnderWine() {
		// With AVX, .NET under Wine 10 loses vector registers when its garbage
		// collector stops a thread: 16 or 32 bytes of a large string become
		// zeros, over TLS as well, in about half of the runs of hello_16MiB.
		// Without AVX none of 24 runs did.
		cmd.Env = append(cmd.Env, "DOTNET_EnableAVX=0")
	}
	p, err := testproc.Start(t, cmd)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Cases are the peer's own cases, in its order.
var Cases = []string{
	"greeter", "empty_unary", "large_unary", "huge_unary_16MiB", "client_streaming", "server_streaming", "ping_pong", "empty_stream",
	"cancel_after_begin", "cancel_after_first_response", "timeout_on_sleeping_server", "custom_metadata", "status_code_and_message",
	"special_status_message", "unimplemented_method", "unimplemented_service", "concurrent_unary_500", "full_duplex_flood_64MiB",
	"server_streaming_100k_messages", "metadata_8KiB", "burst_of_64_connections",
}

// RunClient runs the client against the pipe, with more arguments if any, and
// returns the outcome of every case of wanted (nil: every case there is): nil
// or an error. A case that the client said nothing about is an error, and so
// is one that isn't wanted, and a summary or an exit status that differs from
// the cases.
func RunClient(ctx context.Context, t testing.TB, pipe string, wanted []string, args ...string) (map[string]error, error) {
	t.Helper()
	line := append([]string{"client", "--pipe", pipe}, args...)
	for _, c := range wanted {
		line = append(line, "--case", c)
	}
	if wanted == nil {
		wanted = Cases
	}
	p := start(t, ctx, line)
	exit, err := waitExit(ctx, t, p, "N passed, N failed", summaryLine.MatchString)
	if err != nil {
		return nil, err
	}
	results, err := parse(p.Stdout(), exit, wanted)
	if err != nil {
		err = fmt.Errorf("%w; standard error: %s", err, p.Stderr())
	}
	return results, err
}

// summaryLine is the last thing that the client says.
var summaryLine = regexp.MustCompile(`(?m)^\d+ passed, \d+ failed\r?$`)

const (
	// exitLimit bounds the end of a program that has said all it had to say.
	exitLimit = 10 * time.Second
	// unknownExit stands for the exit status of a program that had to be killed
	// at its very end.
	unknownExit = -1000
)

// waitExit waits for the end of a program and returns its exit status. A
// program that has said all and doesn't end all the same is an error, except
// under Wine: there, once in some thirty runs, the runtime's own shutdown
// doesn't end after the last line.
func waitExit(ctx context.Context, t testing.TB, p *testproc.Process, last string, saidAll func(string) bool) (int, error) {
	t.Helper()
	// An early end isn't an error here: the exit status and what was said tell
	// more about it.
	saidErr := p.WaitStdout(ctx, last, saidAll)
	if saidErr != nil && ctx.Err() != nil {
		p.Kill()
		return 0, saidErr
	}
	exitCtx, cancel := context.WithTimeout(ctx, exitLimit)
	defer cancel()
	err := p.Wait(exitCtx)
	status := new(exec.ExitError)
	switch {
	case err == nil:
		return 0, nil
	case errors.As(err, &status):
		return status.ExitCode(), nil
	case saidErr == nil && UnderWine():
		t.Logf(".NET under Wine did not end after its last line and was killed: %v", err)
		return unknownExit, nil
	}
	return 0, fmt.Errorf("%w; it said: %s; standard error: %s", err, p.Stdout(), p.Stderr())
}

// parse reads what the client has printed.
func parse(out string, exit int, wanted []string) (map[string]error, error) {
	results := map[string]error{}
	var problems []error
	summary, failed := "", 0
	for line := range strings.Lines(out) {
		line = strings.TrimRight(line, "\r\n")
		var name string
		var result error
		if rest, ok := strings.CutPrefix(line, "ok "); ok {
			name = rest
		} else if rest, ok := strings.CutPrefix(line, "FAIL "); ok {
			var reason string
			name, reason, _ = strings.Cut(rest, ":")
			result = fmt.Errorf(".NET client:%s", reason)
			failed++
		} else {
			summary = line
			continue
		}
		if !slices.Contains(wanted, name) {
			problems = append(problems, fmt.Errorf("the .NET client ran a case that the tests don't know: %q", name))
		}
		results[name] = result
	}
	for _, name := range wanted {
		if _, ok := results[name]; !ok {
			results[name] = errors.New("the .NET client said nothing about this case")
		}
	}
	want := strconv.Itoa(len(wanted)-failed) + " passed, " + strconv.Itoa(failed) + " failed"
	if summary != want {
		problems = append(problems, fmt.Errorf("the .NET client ended with %q, want %q", summary, want))
	}
	if exit != failed && exit != unknownExit {
		problems = append(problems, fmt.Errorf("the .NET client ended with status %d, want %d", exit, failed))
	}
	return results, errors.Join(problems...)
}

// BenchResult is what the peer's bench prints.
type BenchResult struct {
	Mode           string  `json:"mode"`
	Concurrency    int     `json:"concurrency"`
	Calls          int     `json:"calls"`
	CallsPerSecond float64 `json:"calls_per_second"`
	P50us          float64 `json:"p50_us"`
	P99us          float64 `json:"p99_us"`
}

// A Bench is a running bench: calls in a closed loop, the first of which that
// fails ends it with an error.
type Bench struct {
	*testproc.Process
	t testing.TB
}

// StartBench starts the bench against the pipe. The time it takes is a quarter
// more than its --seconds.
func StartBench(ctx context.Context, t testing.TB, pipe string, args ...string) Bench {
	t.Helper()
	return Bench{start(t, ctx, append([]string{"bench", "--pipe", pipe}, args...)), t}
}

// Result waits for the end and returns what was measured. A call that failed
// is an error.
func (b Bench) Result(ctx context.Context) (BenchResult, error) {
	var r BenchResult
	exit, err := waitExit(ctx, b.t, b.Process, "{...}", func(said string) bool { return strings.HasSuffix(strings.TrimRight(said, "\r\n"), "}") })
	if err != nil {
		return r, err
	}
	if exit != 0 && exit != unknownExit {
		return r, fmt.Errorf("the .NET bench ended with status %d; standard error: %s", exit, b.Stderr())
	}
	if err := json.Unmarshal([]byte(b.Stdout()), &r); err != nil {
		return r, fmt.Errorf("the .NET bench printed %q: %w", b.Stdout(), err)
	}
	return r, nil
}
