//go:build linux

package main

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"google.golang.org/grpc"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/examples/greeter/greetpb"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
)

// A service that systemd's socket starts is stopped and started again under
// clients that call without pause: no call fails, for the socket stays.
func TestSocketActivation(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s.sock")
	lis, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	socket, err := lis.File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	start := func() *testproc.Process {
		cmd, err := testproc.Self(t.Context(), "serve", path)
		if err != nil {
			t.Fatal(err)
		}
		// As systemd does: the socket is descriptor 3, and the variables name the
		// process that is to take it.
		cmd.Args = append([]string{"/bin/sh", "-c", `LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" "$@"`, cmd.Path}, cmd.Args[1:]...)
		cmd.Path, cmd.ExtraFiles = "/bin/sh", []*os.File{socket}
		p, err := testproc.Start(t, cmd)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.WaitLine(t.Context(), "ready"); err != nil {
			t.Fatal(err)
		}
		return p
	}
	server := start()
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			conn, err := grpcpipe.NewClient(path)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			for ctx.Err() == nil {
				reply, err := greetpb.NewGreeterClient(conn).SayHello(t.Context(), &greetpb.HelloRequest{Name: "World"}, grpc.WaitForReady(true))
				if err != nil || !strings.HasPrefix(reply.Message, "Hello World") {
					t.Errorf("got %v, %v", reply, err)
					return
				}
			}
		})
	}
	for range 3 {
		pid := server.Pid()
		if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := server.Wait(t.Context()); err != nil {
			t.Errorf("the service ended with %v", err)
		}
		server = start()
	}
	stop()
	clients.Wait()
}

// install and remove ask systemd for the right things, and leave no file.
func TestInstall(t *testing.T) {
	var asked [][]string
	defer func(dir string, run func(...string) error) { unitDir, systemctl = dir, run }(unitDir, systemctl)
	unitDir = t.TempDir()
	systemctl = func(args ...string) error { asked = append(asked, args); return nil }
	if err := install(name, "/opt/my service/100%"); err != nil {
		t.Fatal(err)
	}
	service, err := os.ReadFile(filepath.Join(unitDir, name+".service"))
	if err != nil || !strings.Contains(string(service), `ExecStart="/opt/my service/100%%"`) {
		t.Errorf("the unit is %s, %v", service, err)
	}
	if analyze, err := exec.LookPath("systemd-analyze"); err == nil {
		// It complains that the program does not exist, and of nothing else.
		out, _ := exec.Command(analyze, "verify", "--man=no", filepath.Join(unitDir, name+".service")).CombinedOutput()
		for line := range strings.Lines(string(out)) {
			if strings.Contains(line, name) && !strings.Contains(line, "is not executable") {
				t.Errorf("systemd-analyze: %s", line)
			}
		}
	}
	if err := install(name, "/opt/again"); err == nil || !strings.Contains(err.Error(), "remove it first") {
		t.Errorf("installed twice: %v", err)
	}
	if err := remove(name); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(unitDir); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
	if want := []string{"enable", "--now", name + ".socket"}; !slices.ContainsFunc(asked, func(a []string) bool { return slices.Equal(a, want) }) {
		t.Errorf("systemctl was asked for %q", asked)
	}
}
