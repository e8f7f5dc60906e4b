package cli

import (
	"bytes"
	"strings"
	"testing"

	"github.com/grpcpipe/grpcpipe/internal/inspect"
	"github.com/grpcpipe/grpcpipe/internal/testing/dotnetpeer"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
)

// command runs the command line and returns what it wrote.
func command(t *testing.T, args ...string) (exit int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	exit = execute(t.Context(), args, strings.NewReader(""), &out, &errs)
	return exit, out.String(), errs.String()
}

// The command against the real Kestrel.
func TestKestrel(t *testing.T) {
	dotnetpeer.Program(t)
	pipe := testproc.PipeName()
	dotnetpeer.StartServer(t, pipe)
	for _, tt := range []struct {
		args []string
		exit int
		want []string // in standard output, or in standard error if it failed
	}{
		{[]string{"ping", pipe, "--wait", "-v"}, 0, []string{": SERVING", "MAX_CONCURRENT_STREAMS = 100"}},
		{[]string{"services", pipe}, 0, []string{"greet.Greeter\n", "grpc.testing.TestService\n"}},
		{[]string{"describe", pipe, "greet.Greeter/SayHello"}, 0, []string{"rpc SayHello", "A request to fill in"}},
		{[]string{"call", pipe, "greet.Greeter/SayHello", "-d", `{"name":"Kestrel"}`}, 0, []string{"Hello Kestrel"}},
		{[]string{"call", pipe, "grpc.testing.TestService/FullDuplexCall", "-d", `{"responseParameters":[{"size":1}]}{"responseParameters":[{"size":2}]}`}, 0,
			[]string{`{"payload":{"body":"AA=="}}`, `{"payload":{"body":"AAA="}}`}},
		{[]string{"call", pipe, "grpc.testing.TestService/UnaryCall", "-d", `{"responseStatus":{"code":5,"message":"not here"}}`}, 69, []string{"NOT_FOUND: not here"}},
		{[]string{"call", pipe, "greet.Greeter/SayHello", "--authority", "a%5Cb"}, 77, []string{"as Kestrel does when it does not accept the :authority"}},
		{[]string{"doctor", pipe}, 0, []string{"ok       http/2", "SERVING", "version v1", "resets calls whose :authority is not a host's name"}},
		{[]string{"doctor", pipe, "--authority", `a%5Cb`}, 77, nil},
		{[]string{"bench", pipe, "greet.Greeter/SayHello", "-d", `{"name":"x"}`, "--duration", "500ms", "--warmup", "100ms", "-c", "4"}, 0, []string{"p99 "}},
	} {
		exit, stdout, stderr := command(t, tt.args...)
		text := stdout
		if tt.exit != 0 {
			text = stderr
		}
		if exit != tt.exit {
			t.Errorf("%s: exit status %d, want %d: %s%s", tt.args, exit, tt.exit, stdout, stderr)
			continue
		}
		for _, want := range tt.want {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %q in %s", tt.args, want, text)
			}
		}
	}
}

// Kestrel with the mistakes that are made with it.
func TestKestrelTroubles(t *testing.T) {
	dotnetpeer.Program(t)
	for _, tt := range []struct {
		name   string
		server []string
		doctor []string
		exit   int
		want   string
	}{
		{"HTTP/1.1 only", []string{"--protocols", "Http1"}, nil, exitConnect, "HTTP/1.1"},
		{"the default protocols", []string{"--protocols", "Http1AndHttp2"}, nil, exitConnect, "HttpProtocols.Http2"},
		{"TLS that isn't expected", []string{"--tls", "../../interop/testdata/cert.pfx"}, nil, exitConnect, "--tls"},
		{"TLS with its certificate", []string{"--tls", "../../interop/testdata/cert.pfx"}, []string{"--cacert", "../../interop/testdata/cert.pem"}, exitOK, "ok       tls"},
		{"no TLS", nil, []string{"--tls"}, exitConnect, "leave out --tls"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pipe := testproc.PipeName()
			dotnetpeer.StartServer(t, pipe, tt.server...)
			exit, stdout, _ := command(t, append([]string{"doctor", pipe}, tt.doctor...)...)
			if exit != tt.exit || !strings.Contains(stdout, tt.want) {
				t.Errorf("exit status %d, want %d; no %q in %s", exit, tt.exit, tt.want, stdout)
			}
		})
	}
}

// A Kestrel that was killed leaves its socket behind off Windows.
func TestKestrelGone(t *testing.T) {
	dotnetpeer.Program(t)
	pipe := testproc.PipeName()
	server := dotnetpeer.StartServer(t, pipe)
	server.Kill()
	exit, stdout, _ := command(t, "doctor", pipe)
	want := "a .NET service"
	if inspect.HasInstances {
		want = "there is no such pipe"
	}
	if exit != exitConnect || !strings.Contains(stdout, want) {
		t.Errorf("exit status %d: %s", exit, stdout)
	}
}
