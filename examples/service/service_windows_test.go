package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"google.golang.org/grpc"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/examples/greeter/greetpb"
	"github.com/grpcpipe/grpcpipe/internal/testing/dotnetpeer"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// Wine starts services and does not let them know, so IsWindowsService is not
// asked.
func init() {
	runAsService = func() {
		if svc.Run(name, manager{}) != nil {
			os.Exit(1)
		}
	}
}

// program returns the test binary in a directory that the service's account can
// read, unlike this user's temporary one.
func program(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp(os.Getenv("ProgramData"), name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "service.exe")
	if err := os.WriteFile(path, data, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// The service is installed, called by a client that accepts its account alone,
// and removed. The service manager needs an administrator.
func TestService(t *testing.T) {
	exe := program(t)
	if err := install(name, exe, asService); err != nil {
		if errors.Is(err, fs.ErrPermission) || errors.Is(err, windows.ERROR_ACCESS_DENIED) {
			t.Skipf("this user may not install a service: %v", err)
		}
		t.Fatal(err)
	}
	defer func() {
		if err := remove(name); err != nil {
			t.Error(err)
		}
	}()
	trust := namedpipe.Trust{Users: []string{`NT SERVICE\` + name}}
	if dotnetpeer.UnderWine() {
		trust = namedpipe.Trust{} // Wine runs every service as its one user
	}
	conn, err := grpcpipe.NewClient(pipe, grpcpipe.WithDialer(&namedpipe.Dialer{Server: trust}))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	reply, err := greetpb.NewGreeterClient(conn).SayHello(t.Context(), &greetpb.HelloRequest{Name: "World"}, grpc.WaitForReady(true))
	if err != nil || !strings.HasPrefix(reply.Message, "Hello World") {
		t.Errorf("got %v, %v", reply, err)
	}
	if err := install(name, exe, asService); !errors.Is(err, windows.ERROR_SERVICE_EXISTS) || !strings.Contains(err.Error(), "remove it first") {
		t.Errorf("installed twice: %v", err)
	}
}
