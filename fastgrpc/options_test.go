package fastgrpc_test

import (
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/experimental"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/grpcpipe/grpcpipe/fastgrpc"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
)

// options returns the names of what package pkg exports to make options of a
// call, a client and a server.
func options(t *testing.T, pkg string) (names []string) {
	t.Helper()
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go command here (under Wine there is none): the native run has checked it")
	}
	dir, err := exec.Command(tool, "list", "-f", "{{.Dir}}", pkg).Output()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := parser.ParseFile(gotoken.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range source.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv != nil || !f.Name.IsExported() || f.Type.Results == nil {
				continue
			}
			kind := f.Type.Results.List[0].Type
			if s, ok := kind.(*ast.SelectorExpr); ok {
				kind = s.Sel
			}
			if id, ok := kind.(*ast.Ident); ok && slices.Contains([]string{"CallOption", "DialOption", "ServerOption"}, id.Name) {
				names = append(names, f.Name.Name)
			}
		}
	}
	return names
}

// docs/fastgrpc.md says of each option of grpc-go what becomes of it.
func TestOptionsDocument(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../docs/fastgrpc.md")
	if err != nil {
		t.Fatal(err)
	}
	all := slices.Concat(options(t, "google.golang.org/grpc"), options(t, "google.golang.org/grpc/experimental"))
	if len(all) < 80 {
		t.Errorf("found %d options only", len(all))
	}
	for _, name := range all {
		if !strings.Contains(string(doc), "`"+name+"`") {
			t.Errorf("docs/fastgrpc.md doesn't name the option %s", name)
		}
	}
}

// A foreignOption is an option of another package that grpc-go would act on.
type foreignOption struct{ grpc.CallOption }

// What can't be honored is refused by the client and by the call, by its name.
func TestOptionsRefused(t *testing.T) {
	t.Parallel()
	pipe := testproc.PipeName()
	cc := newClientWith(t, pipe, fastgrpc.ClientConfig{})
	for name, o := range map[string]grpc.CallOption{
		"foreignOption":     foreignOption{grpc.WaitForReady(true)},
		"acceptCompressors": experimental.AcceptCompressors("gzip"),
	} {
		_, err := fastgrpc.NewClient(pipe, fastgrpc.ClientConfig{CallOptions: []grpc.CallOption{o}})
		for what, err := range map[string]error{
			"client": err, "call": cc.Invoke(testContext(t), "/x/y", nil, nil, o),
		} {
			if status.Code(err) != codes.Internal || !strings.Contains(err.Error(), name) {
				t.Errorf("%s: of the %s: %v", name, what, err)
			}
		}
	}
	// Options that do nothing for grpc-go do nothing here.
	type tracing struct{ grpc.EmptyCallOption }
	fine, err := fastgrpc.NewClient(pipe, fastgrpc.ClientConfig{CallOptions: []grpc.CallOption{tracing{}}})
	if err != nil {
		t.Fatal(err)
	}
	fine.Close()
}

// TestPreparedMsg: a message that is encoded for grpc-go's streams is refused by
// name, at both ends, and the stream goes on.
func TestPreparedMsg(t *testing.T) {
	t.Parallel()
	p := newPair(t, "fastgrpc", "fastgrpc")
	refused := func(err error) bool {
		return status.Code(err) == codes.Internal && strings.Contains(err.Error(), "grpc.PreparedMsg")
	}
	p.full = func(st grpc.BidiStreamingServer[testpb.StreamingOutputCallRequest, testpb.StreamingOutputCallResponse]) error {
		if _, err := st.Recv(); err != nil {
			return err
		}
		if err := st.SendMsg(&grpc.PreparedMsg{}); !refused(err) {
			return fmt.Errorf("at the server: %v", err)
		}
		return st.Send(&testpb.StreamingOutputCallResponse{})
	}
	p.serve(fastgrpc.ServerConfig{})
	p.dial(fastgrpc.ClientConfig{})
	st, err := p.calls.FullDuplexCall(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := st.SendMsg(&grpc.PreparedMsg{}); !refused(err) {
		t.Errorf("at the client: %v", err)
	}
	if err := st.Send(&testpb.StreamingOutputCallRequest{}); err != nil {
		t.Fatal(err)
	}
	if _, err := st.Recv(); err != nil {
		t.Error(err)
	}
}

func TestCallOptions(t *testing.T) {
	inPairs(t, setup{}, func(p *pair) {
		p.unary = echoUnary
		var finished []error
		opts := []grpc.CallOption{
			grpc.StaticMethod(), grpc.MaxRetryRPCBufferSize(1), quietOption{}, grpc.CallContentSubtype("PROTO"),
			grpc.OnFinish(func(err error) { finished = append(finished, err) }), grpc.UseCompressor("identity"),
		}
		if _, err := p.calls.UnaryCall(p.Context(), &testpb.SimpleRequest{Payload: payload(9)}, opts...); err != nil {
			p.Error(err)
		}
		ctx, cancel := context.WithCancel(p.Context())
		cancel()
		p.calls.UnaryCall(ctx, &testpb.SimpleRequest{}, opts...)
		if len(finished) != 2 || finished[0] != nil || finished[1] == nil {
			p.Errorf("finished: %v", finished)
		}
		for _, o := range []grpc.CallOption{grpc.CallContentSubtype("nosuch"), grpc.UseCompressor("nosuch")} {
			if _, err := p.calls.UnaryCall(p.Context(), &testpb.SimpleRequest{}, o); status.Code(err) != codes.Internal {
				p.Errorf("%+v: %v", o, err)
			}
		}
		if _, err := p.calls.UnaryCall(p.Context(), &testpb.SimpleRequest{}, grpc.CallAuthority("other")); status.Code(err) != codes.OK && p.client == "fastgrpc" {
			p.Errorf("an authority of its own: %v", err)
		}
		if p.client == "fastgrpc" {
			_, err := p.calls.UnaryCall(p.Context(), &testpb.SimpleRequest{}, oddOption{})
			if status.Code(err) != codes.Internal || !strings.Contains(err.Error(), "oddOption") {
				p.Errorf("an option that can't be honored: %v", err)
			}
		}
	})
	if _, err := fastgrpc.NewClient("x", fastgrpc.ClientConfig{CallOptions: []grpc.CallOption{oddOption{}}}); err == nil {
		t.Error("among defaults: no error")
	}
}
