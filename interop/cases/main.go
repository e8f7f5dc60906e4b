// Command cases runs the interop cases against any server of gRPC's test
// service.
//
//	go run ./interop/cases -target npipe:NAME [-engine NAME] [-case NAME]... [-list]
//
// It prints "ok CASE" or "FAIL CASE: reason" for each case, then "N passed, N
// failed". The exit status is 0 if all passed, 1 if some failed, and 2 if they
// could not be run: a wrong case or target, no server, or one that has gone.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/grpcpipe/grpcpipe/fastgrpc"
	"github.com/grpcpipe/grpcpipe/internal/testing/engine"
	"github.com/grpcpipe/grpcpipe/internal/testing/interoptest"
)

// reachLimit bounds the first call, which shows whether there is a server.
const reachLimit = 10 * time.Second

const (
	passed    = 0
	failed    = 1
	unusable  = 2
	usageText = "usage: cases -target TARGET [-engine NAME] [-case NAME]... [-list]"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var names []string
	flags := flag.NewFlagSet("cases", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, usageText)
		flags.PrintDefaults()
	}
	target := flags.String("target", "", "the server, as grpcpipe.NewClient takes it, such as npipe:MyPipe")
	e := engine.GRPC
	flags.Func("engine", "the client: grpc-go, the default, or fastgrpc", func(s string) error {
		i := slices.IndexFunc(engine.All, func(e engine.Engine) bool { return e.Name == s })
		if i < 0 {
			return errors.New("want grpc-go or fastgrpc")
		}
		e = engine.All[i]
		return nil
	})
	list := flags.Bool("list", false, "print the names of the cases")
	flags.Func("case", "run only this case; may be repeated", func(s string) error { names = append(names, s); return nil })
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return passed
	case err != nil:
		return unusable
	case *list:
		for _, c := range interoptest.Cases() {
			fmt.Fprintln(stdout, c.Name)
		}
		return passed
	}
	if err := runCases(ctx, e, *target, names, flags.Args(), stdout); err != nil {
		fmt.Fprintln(stderr, "cases:", err)
		if errors.Is(err, errFailed) {
			return failed
		}
		return unusable
	}
	return passed
}

var errFailed = errors.New("not every case passed")

func runCases(ctx context.Context, e engine.Engine, target string, names, rest []string, out io.Writer) error {
	if len(rest) > 0 || target == "" {
		return errors.New(usageText)
	}
	cases, err := choose(names)
	if err != nil {
		return err
	}
	t, conn, err := e.NewTarget(target, fastgrpc.ClientConfig{})
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := reach(ctx, conn); err != nil {
		return fmt.Errorf("there is no server to run cases against: %w", err)
	}
	bad := 0
	for _, c := range cases {
		err := c.Run(ctx, t)
		if err == nil {
			fmt.Fprintln(out, "ok", c.Name)
			continue
		}
		bad++
		fmt.Fprintf(out, "FAIL %s: %s\n", c.Name, strings.ReplaceAll(strings.TrimPrefix(err.Error(), c.Name+": "), "\n", " "))
		if err := reach(ctx, conn); err != nil {
			return fmt.Errorf("the server has gone: %w", err)
		}
	}
	fmt.Fprintf(out, "%d passed, %d failed\n", len(cases)-bad, bad)
	if bad > 0 {
		return errFailed
	}
	return nil
}

// choose returns the cases of the given names, all without one.
func choose(names []string) ([]interoptest.Case, error) {
	all := interoptest.Cases()
	if len(names) == 0 {
		return all, nil
	}
	var chosen []interoptest.Case
	for _, name := range names {
		i := slices.IndexFunc(all, func(c interoptest.Case) bool { return c.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no case %q: -list prints their names", name)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// reach makes a call that any gRPC server answers, if only with Unimplemented.
func reach(ctx context.Context, conn grpc.ClientConnInterface) error {
	ctx, cancel := context.WithTimeout(ctx, reachLimit)
	defer cancel()
	_, err := testpb.NewTestServiceClient(conn).EmptyCall(ctx, &testpb.Empty{})
	if code := status.Code(err); code == codes.Unavailable || code == codes.DeadlineExceeded || code == codes.Canceled {
		return err
	}
	return nil
}
