// Package h2spec runs the cases of h2spec against package fastgrpc's server.
package h2spec

import (
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/summerwind/h2spec/config"
	"github.com/summerwind/h2spec/generic"
	"github.com/summerwind/h2spec/hpack"
	"github.com/summerwind/h2spec/http2"
	"github.com/summerwind/h2spec/spec"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/grpcpipe/grpcpipe/fastgrpc"
	"github.com/grpcpipe/grpcpipe/internal/testing/interoptest"
)

// explained are the cases that the server fails on purpose; docs/fastgrpc.md
// says why.
var explained = map[string]bool{
	"generic/2/2": true, "generic/2/3": true, "http2/5.1.2/1": true, "http2/8.1.2.6/1": true, "http2/8.1.2.6/2": true,
}

// failed returns the cases of a group that failed, by h2spec's names for them,
// and the number of those that ran.
func failed(g *spec.TestGroup) (names map[string]*spec.TestCase, ran int) {
	names = map[string]*spec.TestCase{}
	for i, c := range append(g.Tests, g.StrictTests...) {
		if c.Result == nil {
			continue
		}
		ran++
		if c.Result.Failed {
			names[g.ID()+"/"+string(rune('1'+i))] = c
		}
	}
	for _, sub := range g.Groups {
		more, n := failed(sub)
		ran += n
		for name, c := range more {
			names[name] = c
		}
	}
	return names, ran
}

// TestServer: the server fails no case but those that are explained.
func TestServer(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := fastgrpc.NewServer(fastgrpc.ServerConfig{
		Credentials: insecure.NewCredentials(),
		Limits:      fastgrpc.Limits{FrameBytes: 16 << 10}, // h2spec's idea of a large frame is 20 KB
	})
	interoptest.Register(s)
	go s.Serve(lis) // until Stop
	defer s.Stop()
	docs, err := os.ReadFile("../../docs/fastgrpc.md")
	if err != nil {
		t.Fatal(err)
	}

	c := &config.Config{
		Host: "127.0.0.1", Port: lis.Addr().(*net.TCPAddr).Port, Path: "/", Timeout: time.Second, MaxHeaderLen: 4000, Strict: true,
	}
	total := 0
	for _, g := range []*spec.TestGroup{generic.Spec(), http2.Spec(), hpack.Spec()} {
		g.Test(c)
		bad, ran := failed(g)
		total += ran
		for name, tc := range bad {
			switch {
			case !explained[name]:
				t.Errorf("%s: %s: %v", name, tc.Desc, tc.Result.Error)
			case !strings.Contains(string(docs), "`"+name+"`"):
				t.Errorf("docs/fastgrpc.md doesn't explain why %s fails", name)
			}
		}
		for name := range explained {
			if strings.HasPrefix(name, g.Key+"/") && bad[name] == nil {
				t.Errorf("%s passes by now: take it off the list", name)
			}
		}
	}
	t.Logf("%d cases, %d of them fail and are explained", total, len(explained))
	if total < 145 || len(explained) > 5 {
		t.Errorf("%d cases ran, %d are to fail", total, len(explained))
	}
}
