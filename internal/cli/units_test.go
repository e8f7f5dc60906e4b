package cli

import (
	"bytes"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/grpcpipe/grpcpipe/internal/inspect"
	"github.com/grpcpipe/grpcpipe/internal/target"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

func TestWrap(t *testing.T) {
	for _, tt := range []struct {
		text string
		room int
		want []string
	}{
		{"one two three", 7, []string{"one two", "three"}},
		{"one two three", 100, []string{"one two three"}},
		{"unbreakable word", 5, []string{"unbreakable", "word"}},
		{"unbreakable", 5, []string{"unbreakable"}},
		{"äöü äöü", 4, []string{"äöü", "äöü"}},
		{"", 5, []string{""}},
	} {
		if got := wrap(tt.text, tt.room); !slices.Equal(got, tt.want) {
			t.Errorf("wrap(%q, %d) = %q", tt.text, tt.room, got)
		}
	}
}

func TestClip(t *testing.T) {
	if got := clip("12345\n123456\näöüäöü", 5); got != "12345\n1234…\näöüä…\n" {
		t.Errorf("%q", got)
	}
}

// What comes from a server can't move the cursor or feign another line.
func TestOneLine(t *testing.T) {
	if got := oneLine("a\r\nb\x1b[31mc\u009bd"); got != "a b\ufffd[31mc\ufffdd" {
		t.Errorf("%q", got)
	}
}

func TestReport(t *testing.T) {
	for _, tt := range []struct {
		err  error
		exit int
	}{
		{errors.New("unknown flag"), exitUsage},
		{internal(errors.New("x")), exitInternal},
		{&inspect.Error{Kind: inspect.Unreachable, Err: errors.New("x\ny")}, exitConnect},
		{new(inspect.Session).StatusError("a/b", false, status.Error(codes.NotFound, "x\ny")), 69},
		{errors.Join(nil, new(inspect.Session).StatusError("a/b", false, status.Error(codes.Internal, ""))), 77},
	} {
		for _, asJSON := range []bool{false, true} {
			var b bytes.Buffer
			if exit := report(&b, asJSON, tt.err); exit != tt.exit || strings.Count(b.String(), "\n") != 1 {
				t.Errorf("%v: %d %q", tt.err, exit, &b)
			}
		}
	}
}

// A panic is one line and status 1.
func TestPanic(t *testing.T) {
	var stdout, stderr bytes.Buffer
	exit := execute(t.Context(), []string{"version"}, nil, nil, &stderr) // no standard output: a nil dereference
	if exit != exitInternal || strings.Count(stderr.String(), "\n") != 1 || !strings.Contains(stderr.String(), "please report it") {
		t.Errorf("%d %q %q", exit, &stdout, &stderr)
	}
}

// TCP doesn't leave this machine.
func TestEndpoints(t *testing.T) {
	for text, want := range map[string]string{
		"tcp:5000": "127.0.0.1:5000", "tcp:0": "127.0.0.1:0", "tcp::5000": "127.0.0.1:5000", "tcp://127.0.0.1:5000": "127.0.0.1:5000",
		"tcp:localhost:5000": "127.0.0.1:5000", "127.0.0.2:5000": "127.0.0.2:5000", "tcp:[::1]:5000": "[::1]:5000", "localhost:5000": "127.0.0.1:5000",
	} {
		if e, err := parseEndpoint(text); err != nil || e != (endpoint{"tcp", want}) {
			t.Errorf("%s: %v, %v", text, e, err)
		}
	}
	for _, text := range []string{
		"tcp:0.0.0.0:5000", "tcp:[::]:5000", "tcp:10.0.0.1:5000", "192.168.0.1:5000", "tcp:example.com:5000", "tcp:localhost.example:5000",
		"tcp:[::ffff:10.0.0.1]:5000", "tcp:127.0.0.1.example:5000", "tcp:127.1:5000", "tcp:[fe80::1]:5000",
	} {
		if e, err := parseEndpoint(text); err == nil || !strings.Contains(err.Error(), "loopback only") {
			t.Errorf("%s: %v, %v", text, e, err)
		}
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]int{"1": 1, "64KiB": 65536, "16MB": 16e6, "1 GiB": 1 << 30, "2k": 2048} {
		if got, err := size("--x", text); got != want || err != nil {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "0", "x", "-1", "4GiB", "1TiB", "99999999999999999999"} {
		if got, err := size("--x", text); err == nil {
			t.Errorf("%q: %d", text, got)
		}
	}
}

// The command line that serve-demo prints reaches its pipe, whatever the name.
func TestAnnouncedTarget(t *testing.T) {
	t.Parallel()
	name := testproc.PipeName()
	names := []string{name, name + ",b", name + ":5000", `\\.\pipe\` + name + "c,d"}
	if runtime.GOOS != "windows" {
		names = append(names, t.TempDir()+"/a,b.sock")
	}
	for _, name := range names {
		lis, err := namedpipe.Listen(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		defer lis.Close()
		var stdout bytes.Buffer
		a := &app{stdout: &stdout}
		if err := a.announce(name, lis, nil, namedpipe.Access{}); err != nil {
			t.Fatal(err)
		}
		_, line, _ := strings.Cut(stdout.String(), "grpcpipe call ")
		text, _, _ := strings.Cut(line, " greet.Greeter")
		if to, err := target.Parse(text); err != nil || !slices.Equal(to.Paths, []string{lis.Addr().String()}) {
			t.Errorf("%s: call %s reaches %q, %v", name, text, to.Paths, err)
		}
	}
}

// The noise is half the distance of the quartiles of whole seconds, and unknown
// of less than four.
func TestSpread(t *testing.T) {
	run := func(values ...float64) *summary {
		s := &summary{}
		for i, v := range values {
			s.Series = append(s.Series, pointJSON{At: float64(i + 1), Calls: 1, P50: v})
		}
		return s
	}
	p50 := func(p pointJSON) float64 { return p.P50 }
	if got := spread(run(100, 100, 100), p50); got >= 0 {
		t.Errorf("three seconds: %v", got)
	}
	if got := spread(run(90, 100, 110, 100, 100), p50); got != 0 {
		t.Errorf("one second in five differs: %v", got)
	}
	if got := spread(run(80, 90, 100, 110, 120), p50); got != 0.1 {
		t.Errorf("%v, want 0.1", got)
	}
	cut := run(80, 90, 100, 110, 120, 5000)
	cut.Series[5].At = 5.2 // the end of the run
	if got := spread(cut, p50); got != 0.1 {
		t.Errorf("with a cut second %v, want 0.1", got)
	}
}

func TestConditions(t *testing.T) {
	s := &summary{Calls: 99, PerSecond: 1000, Errors: []errorJSON{{Count: 1}}, Mean: 2000, Percentiles: []percentileJSON{{99, 5000}}}
	s.earlier = &summary{Calls: 1, Mean: 1000, Percentiles: []percentileJSON{{99, 5000}}}
	for text, want := range map[string]bool{
		"p99>5ms": false, "p99>=5ms": true, "p99<6ms": true, "mean > 1.9ms": true, "rate<1000": false, "rate<=1e3": false, "rate<1001": true,
		"errors>0": true, "error-rate>1%": false, "error-rate>=0.01": true, "mean>+99%": true, "mean>+101%": false, "p99<-1%": false, "calls<100": true, "missed>0": false,
	} {
		c, err := parseCondition(text, s.earlier)
		if text == "rate<=1e3" {
			if err == nil {
				t.Errorf("%s was read", text)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := s.judge([]failCondition{c}) != nil; got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

// Where a table is wider than the terminal, details are in blocks that fit.
func TestBlocks(t *testing.T) {
	var out bytes.Buffer
	a := &app{stdout: &out, color: "never"}
	rows := []inspect.Pipe{{Name: "MyPipe", State: inspect.Listening, Details: &inspect.Details{
		Owner: `NT AUTHORITY\SYSTEM`, PID: 4711, Executable: "/opt/a long folder/with many words/in its name/server", Access: "user root, group wheel, user one, user two, user three, user four"}}}
	if err := a.printBlocks(rows, 60); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		if len(strings.TrimRight(line, "\n")) > 60 {
			t.Errorf("%q has more than 60 columns", line)
		}
	}
	for _, part := range []string{"MyPipe  listening", "4711 /opt/a long folder/with many", "user four"} {
		if !strings.Contains(out.String(), part) {
			t.Errorf("%q is missing in\n%s", part, &out)
		}
	}
}
