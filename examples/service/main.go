// Command service is a greeter that runs as a Windows service, as a systemd unit
// on a socket that systemd opens, as a launchd job, or in a terminal. It installs
// and removes itself; docs/service.md explains each choice.
//
//	service            serve until Ctrl-C, or for the system's service manager
//	service install    install and start, as an administrator or root
//	service remove     stop and remove
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "service:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 0:
		if managed, err := runManaged(); managed || err != nil {
			return err
		}
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		return Serve(ctx, pipe, nil)
	case len(args) == 1 && args[0] == "install":
		exe, err := os.Executable()
		if err != nil {
			return err
		}
		return install(name, exe)
	case len(args) == 1 && args[0] == "remove":
		return remove(name)
	}
	return fmt.Errorf("%q: write nothing, install or remove", args)
}
