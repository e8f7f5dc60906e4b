package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
)

// asService is the first argument of the test binary as an installed service,
// which it is by runAsService.
const asService = "as-service"

var runAsService func()

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == asService { // by the service manager
		runAsService()
		return
	}
	testproc.Main(m, map[string]func(){"serve": func() {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		if err := Serve(ctx, os.Args[len(os.Args)-1], func() { fmt.Println("ready") }); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}})
}
