package cli

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/rogpeppe/go-internal/testscript"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/grpcpipe/grpcpipe/fastgrpc"
	"github.com/grpcpipe/grpcpipe/internal/follow"
	"github.com/grpcpipe/grpcpipe/internal/testing/dotnetpeer"
	"github.com/grpcpipe/grpcpipe/internal/testing/engine"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
)

func TestMain(m *testing.M) {
	testscript.Main(testproc.Checked{M: m}, map[string]func(){
		"grpcpipe": func() {
			if os.Getenv(demoEnv) == engine.Fast.Name {
				newDemoServer = func() grpcServer { return engine.Fast.NewTestServer(fastgrpc.ServerConfig{}) }
			}
			os.Exit(Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
		},
		"peer":       func() { os.Exit(peerMain(os.Args[1:])) },
		"probe-wait": func() { os.Exit(probeWait(os.Args[1:])) },
		"within":     func() { os.Exit(within(os.Args[1:])) },
		"nobody":     func() { os.Exit(asNobody(os.Args[1:])) },
	})
}

// demoEnv names the implementation of serve-demo's server.
const demoEnv = "GRPCPIPE_TEST_DEMO"

// TestScriptsFast: the command finds no difference in a server of package
// fastgrpc.
func TestScriptsFast(t *testing.T) {
	params := scripts()
	params.Dir = ""
	for _, name := range []string{"call", "doctor", "features", "ping", "protoset", "schema", "text"} {
		params.Files = append(params.Files, filepath.Join("testdata", "script", name+".txtar"))
	}
	params.Setup = func(env *testscript.Env) error {
		env.Setenv(demoEnv, engine.Fast.Name)
		return setup(env)
	}
	testscript.Run(t, params)
}

// Every script runs by itself with names of its own in $PIPE and $PIPE2.
func TestScripts(t *testing.T) { testscript.Run(t, scripts()) }

func scripts() testscript.Params {
	return testscript.Params{
		Dir:                 "testdata/script",
		Setup:               setup,
		Condition:           condition,
		RequireExplicitExec: true,
		Cmds:                commands,
	}
}

func setup(env *testscript.Env) error {
	env.Setenv("PIPE", testproc.PipeName())
	env.Setenv("PIPE2", testproc.PipeName())
	env.Setenv("PIPE3", testproc.PipeName())
	env.Setenv("NO_COLOR", "")
	certs, err := filepath.Abs("../../interop/testdata")
	if err != nil {
		return err
	}
	env.Setenv("CERTS", filepath.ToSlash(certs))
	// Programs of the test's own keep to one folder, whose name must be short
	// enough for a socket's address.
	if runtime.GOOS != "windows" {
		dir, err := os.MkdirTemp("/tmp", "gp")
		if err != nil {
			return err
		}
		env.Defer(func() { os.RemoveAll(dir) })
		env.Setenv("TMPDIR", dir)
	}
	return nil
}

// condition knows the conditions of this system: wine, lists (pipes can be
// listed) and dotnet (there is a .NET peer to run).
func condition(name string) (bool, error) {
	switch name {
	case "wine":
		return dotnetpeer.UnderWine(), nil
	case "lists":
		_, err := follow.System.List("*")
		return !errors.Is(err, errors.ErrUnsupported), nil
	case "root":
		return os.Geteuid() == 0, nil
	}
	return false, errors.New("unknown condition " + name)
}

// commands are the scripts' own commands.
var commands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	// waitfor FILE TEXT waits until TEXT is in FILE.
	"waitfor": func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) != 2 {
			ts.Fatalf("usage: waitfor FILE TEXT")
		}
		path := ts.MkAbs(args[0])
		for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
			b, err := os.ReadFile(path)
			if err == nil && strings.Contains(string(b), args[1]) {
				return
			}
			<-time.After(10 * time.Millisecond)
		}
		b, _ := os.ReadFile(path)
		ts.Fatalf("%q isn't in %s: %s", args[1], filepath.Base(path), b)
	},
	// loneset FILE writes a descriptor set that lacks what its file imports.
	"loneset": func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) != 1 {
			ts.Fatalf("usage: loneset FILE")
		}
		b, err := proto.Marshal(&descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{
			{Name: proto.String("a.proto"), Dependency: []string{"b.proto"}},
		}})
		ts.Check(err)
		ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o600))
	},
	// utf16 FROM TO writes a file in UTF-16 with a byte order mark, as PowerShell's
	// > does, and bom one in UTF-8 with the mark.
	"utf16": func(ts *testscript.TestScript, neg bool, args []string) {
		b := []byte{0xff, 0xfe}
		for _, u := range utf16.Encode([]rune(ts.ReadFile(args[0]))) {
			b = binary.LittleEndian.AppendUint16(b, u)
		}
		ts.Check(os.WriteFile(ts.MkAbs(args[1]), b, 0o600))
	},
	"bom": func(ts *testscript.TestScript, neg bool, args []string) {
		ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte("\ufeff"+ts.ReadFile(args[0])), 0o600))
	},
	// expand FROM TO writes a file with the value of $PIPE in it.
	"expand": func(ts *testscript.TestScript, neg bool, args []string) {
		text := strings.ReplaceAll(ts.ReadFile(args[0]), "$PIPE", ts.Getenv("PIPE"))
		ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o600))
	},
	// oneline NAME checks that the last command's standard error is one line.
	"oneline": func(ts *testscript.TestScript, neg bool, args []string) {
		text := ts.ReadFile("stderr")
		if neg || strings.Count(text, "\n") != 1 || strings.Contains(text, "goroutine ") {
			ts.Fatalf("standard error is not one line: %q", text)
		}
	},
}
