//go:build !windows

package cli

import (
	"context"
	"fmt"
	"os"
	"syscall"

	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// stayBusy is a server that accepts nobody and whose backlog is full.
func stayBusy(ctx context.Context, pipe string) error {
	addr, err := namedpipe.ResolveAddr(pipe)
	if err != nil {
		return err
	}
	socket := func() (int, error) {
		return syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	}
	fd, err := socket()
	if err != nil {
		return err
	}
	to := &syscall.SockaddrUnix{Name: addr.String()}
	if err := syscall.Bind(fd, to); err != nil {
		return err
	}
	if err := syscall.Listen(fd, 0); err != nil {
		return err
	}
	for range 200 {
		client, err := socket()
		if err != nil {
			return err
		}
		if err := syscall.SetNonblock(client, true); err != nil {
			return err
		}
		if syscall.Connect(client, to) != nil {
			<-ctx.Done()
			return os.Remove(addr.String())
		}
	}
	return fmt.Errorf("the backlog doesn't fill")
}

// asNobody is the command run as the user nobody.
func asNobody(args []string) int {
	const nobody = 65534
	for _, step := range []func() error{
		func() error { return os.Chdir("/") },
		func() error { return syscall.Setgroups(nil) },
		func() error { return syscall.Setgid(nobody) },
		func() error { return syscall.Setuid(nobody) },
	} {
		if err := step(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 99
		}
	}
	return Main(args, os.Stdin, os.Stdout, os.Stderr)
}
