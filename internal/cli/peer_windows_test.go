package cli

import (
	"context"

	"golang.org/x/sys/windows"

	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// stayBusy is a server whose only instance is taken.
func stayBusy(ctx context.Context, pipe string) error {
	addr, err := namedpipe.ResolveAddr(pipe)
	if err != nil {
		return err
	}
	path, err := windows.UTF16PtrFromString(addr.String())
	if err != nil {
		return err
	}
	server, err := windows.CreateNamedPipe(path, windows.PIPE_ACCESS_DUPLEX, 0, 1, 4096, 4096, 0, nil)
	if err != nil {
		return err
	}
	defer windows.CloseHandle(server)
	client, err := windows.CreateFile(path, windows.GENERIC_READ|windows.GENERIC_WRITE, 0, nil, windows.OPEN_EXISTING, 0, 0)
	if err != nil {
		return err
	}
	defer windows.CloseHandle(client)
	<-ctx.Done()
	return nil
}

// asNobody has no counterpart: making a user takes an administrator.
func asNobody([]string) int { return 99 }
