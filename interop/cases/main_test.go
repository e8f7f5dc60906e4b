package main

import (
	"bytes"
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/internal/testing/interoptest"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

func serve(t *testing.T, s *grpc.Server) (pipe string) {
	t.Helper()
	pipe = testproc.PipeName()
	lis, err := namedpipe.Listen(t.Context(), pipe)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	go s.Serve(lis) // ends with Stop
	return pipe
}

// leaver stops its server in the first call after the one that looks for it.
type leaver struct {
	testpb.UnimplementedTestServiceServer
	leave func()
}

func (l leaver) EmptyCall(context.Context, *testpb.Empty) (*testpb.Empty, error) {
	return &testpb.Empty{}, nil
}

func (l leaver) UnaryCall(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	go l.leave()
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestRun(t *testing.T) {
	good := serve(t, interoptest.NewServer(grpcpipe.ServerOptions()...))
	poor := grpc.NewServer()
	testpb.RegisterTestServiceServer(poor, testpb.UnimplementedTestServiceServer{})
	leaving := grpc.NewServer()
	testpb.RegisterTestServiceServer(leaving, leaver{leave: leaving.Stop})
	silent := testproc.PipeName()
	lis, err := namedpipe.Listen(t.Context(), silent)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lis.Close() })
	go func() {
		var held []net.Conn
		for {
			c, err := lis.Accept()
			if err != nil {
				for _, c := range held {
					c.Close()
				}
				return
			}
			held = append(held, c)
		}
	}()
	for _, tt := range []struct {
		name string
		args []string
		code int
		out  string
		err  string
	}{
		{"a case", []string{"-target", good, "-case", "empty_unary", "-case", "ping_pong"}, 0, "ok ping_pong\n2 passed, 0 failed\n", ""},
		{"fastgrpc", []string{"-target", good, "-engine", "fastgrpc", "-case", "ping_pong", "-case", "channel_soak"}, 0, "ok channel_soak\n2 passed, 0 failed\n", ""},
		{"a wrong engine", []string{"-target", good, "-engine", "drpc"}, 2, "", "want grpc-go or fastgrpc"},
		{"list", []string{"-list"}, 0, "empty_unary\n", ""},
		{"help", []string{"-h"}, 0, "", usageText},
		{"a case fails", []string{"-target", serve(t, poor), "-case", "empty_unary"}, 1, "0 passed, 1 failed\n", "not every case"},
		{"a wrong case", []string{"-target", good, "-case", "no_such"}, 2, "", `no case "no_such"`},
		{"no target", nil, 2, "", usageText},
		{"an argument too many", []string{"-target", good, "more"}, 2, "", usageText},
		{"a wrong flag", []string{"-x"}, 2, "", "-x"},
		{"a wrong target", []string{"-target", "npipe:"}, 2, "", "name is missing"},
		{"no server", []string{"-target", testproc.PipeName()}, 2, "", "no such pipe"},
		{"a dead pipe", []string{"-target", silent}, 2, "", "sent nothing in 5s"},
		{"a server that goes", []string{"-target", serve(t, leaving), "-case", "large_unary", "-case", "empty_unary"}, 2, "FAIL large_unary", "the server has gone"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out, err bytes.Buffer
			start := time.Now()
			code := run(t.Context(), tt.args, &out, &err)
			if code != tt.code || !strings.Contains(out.String(), tt.out) || !strings.Contains(err.String(), tt.err) {
				t.Errorf("got %d, %q, %q, want %d, %q, %q", code, out.String(), err.String(), tt.code, tt.out, tt.err)
			}
			if took := time.Since(start); took > 30*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}
