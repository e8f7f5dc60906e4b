// Command plugin measures package child against hashicorp/go-plugin: the time from
// a child's start to its first answer, the time of a call, and the child's memory.
// The children run this program, too.
//
//	go -C bench/plugin run . -rounds 15
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/hashicorp/go-hclog"
	hashicorp "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/child"
	"github.com/grpcpipe/grpcpipe/examples/greeter/greetpb"
)

// roleEnv makes this program one of the children.
const roleEnv = "GRPCPIPE_BENCH_PLUGIN"

func main() {
	switch os.Getenv(roleEnv) {
	case "child":
		check(serveChild())
		return
	case "go-plugin":
		hashicorp.Serve(&hashicorp.ServeConfig{HandshakeConfig: handshake, Plugins: plugins, GRPCServer: hashicorp.DefaultGRPCServer, Logger: hclog.NewNullLogger()})
		return
	}
	rounds := flag.Int("rounds", 15, "rounds; each starts a child of each kind")
	calls := flag.Int("calls", 1000, "calls to each child, one after the other")
	flag.Parse()
	check(run(os.Stdout, *rounds, *calls))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "plugin:", err)
		os.Exit(1)
	}
}

// A contender starts a child, which stop ends.
type contender struct {
	name  string
	start func() (client greetpb.GreeterClient, pid int, stop func(), err error)
}

var contenders = []contender{
	{"child", startChild},
	{"go-plugin", func() (greetpb.GreeterClient, int, func(), error) { return startHashicorp(false) }},
	{"go-plugin with AutoMTLS", func() (greetpb.GreeterClient, int, func(), error) { return startHashicorp(true) }},
}

// A sample is what was measured of one child.
type sample struct {
	first, call time.Duration
	memory      int64 // bytes
}

// run measures the contenders in turn and prints the medians, with ratios to the
// first of the same round.
func run(w io.Writer, rounds, calls int) error {
	samples := make([][]sample, len(contenders))
	for round := range rounds {
		for i := range contenders {
			i = (i + round) % len(contenders)
			s, err := measure(contenders[i], calls)
			if err != nil {
				return fmt.Errorf("%s: %w", contenders[i].name, err)
			}
			samples[i] = append(samples[i], s)
		}
	}
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tab, "\tstart to first answer\tcall\tmemory of the child")
	for i, c := range contenders {
		fmt.Fprint(tab, c.name)
		for _, of := range []struct {
			value func(sample) float64
			unit  string
			scale float64
		}{
			{func(s sample) float64 { return float64(s.first) }, "ms", 1e6},
			{func(s sample) float64 { return float64(s.call) }, "µs", 1e3},
			{func(s sample) float64 { return float64(s.memory) }, "MB", 1e6},
		} {
			values, ratios := make([]float64, rounds), make([]float64, rounds)
			for r := range rounds {
				values[r] = of.value(samples[i][r])
				ratios[r] = values[r] / of.value(samples[0][r])
			}
			fmt.Fprintf(tab, "\t%.1f %s (%.2f)", median(values)/of.scale, of.unit, median(ratios))
		}
		fmt.Fprintln(tab)
	}
	return tab.Flush()
}

func median[T cmp.Ordered](s []T) T {
	s = slices.Sorted(slices.Values(s))
	return s[len(s)/2]
}

func measure(c contender, calls int) (s sample, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	began := time.Now()
	client, pid, stop, err := c.start()
	if err != nil {
		return s, err
	}
	defer stop()
	request := &greetpb.HelloRequest{Name: "World"}
	if _, err := client.SayHello(ctx, request); err != nil {
		return s, err
	}
	s.first = time.Since(began)
	took := make([]time.Duration, calls)
	for i := range took {
		began := time.Now()
		if _, err := client.SayHello(ctx, request); err != nil {
			return s, err
		}
		took[i] = time.Since(began)
	}
	s.call = median(took)
	s.memory, err = resident(pid)
	return s, err
}

type greeter struct {
	greetpb.UnimplementedGreeterServer
}

func (greeter) SayHello(_ context.Context, in *greetpb.HelloRequest) (*greetpb.HelloReply, error) {
	return &greetpb.HelloReply{Message: "Hello " + in.Name}, nil
}

func command(role string) (*exec.Cmd, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), roleEnv+"="+role)
	return cmd, nil
}

func serveChild() error {
	ctx := context.Background()
	lis, err := child.Listen(ctx)
	if err != nil {
		return err
	}
	srv := grpc.NewServer(grpcpipe.ServerOptions()...)
	lis.Register(srv, child.Info{})
	greetpb.RegisterGreeterServer(srv, greeter{})
	context.AfterFunc(lis.Context(), srv.GracefulStop)
	return srv.Serve(lis)
}

func startChild() (greetpb.GreeterClient, int, func(), error) {
	cmd, err := command("child")
	if err != nil {
		return nil, 0, nil, err
	}
	p, err := child.Config{Log: slog.New(slog.DiscardHandler)}.Start(context.Background(), cmd)
	if err != nil {
		return nil, 0, nil, err
	}
	return greetpb.NewGreeterClient(p.Conn()), p.PID(), func() { p.Close() }, nil
}

var (
	handshake = hashicorp.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "GRPCPIPE_BENCH_COOKIE", MagicCookieValue: "1"}
	plugins   = map[string]hashicorp.Plugin{"greeter": greeterPlugin{}}
)

// greeterPlugin is go-plugin's form of a plug-in.
type greeterPlugin struct {
	hashicorp.NetRPCUnsupportedPlugin
}

func (greeterPlugin) GRPCServer(_ *hashicorp.GRPCBroker, s *grpc.Server) error {
	greetpb.RegisterGreeterServer(s, greeter{})
	return nil
}

func (greeterPlugin) GRPCClient(_ context.Context, _ *hashicorp.GRPCBroker, c *grpc.ClientConn) (any, error) {
	return greetpb.NewGreeterClient(c), nil
}

func startHashicorp(tls bool) (greetpb.GreeterClient, int, func(), error) {
	cmd, err := command("go-plugin")
	if err != nil {
		return nil, 0, nil, err
	}
	c := hashicorp.NewClient(&hashicorp.ClientConfig{
		HandshakeConfig: handshake, Plugins: plugins, Cmd: cmd, AutoMTLS: tls,
		AllowedProtocols: []hashicorp.Protocol{hashicorp.ProtocolGRPC}, Logger: hclog.NewNullLogger(),
	})
	protocol, err := c.Client()
	if err != nil {
		c.Kill()
		return nil, 0, nil, err
	}
	greeter, err := protocol.Dispense("greeter")
	if err != nil {
		c.Kill()
		return nil, 0, nil, err
	}
	return greeter.(greetpb.GreeterClient), cmd.Process.Pid, c.Kill, nil
}
