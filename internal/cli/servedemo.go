package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/internal/target"
	"github.com/grpcpipe/grpcpipe/internal/testing/interoptest"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// stopTimeout is how long calls under way get when a server stops.
const stopTimeout = 5 * time.Second

func (a *app) serveDemoCommand() *cobra.Command {
	var words []string
	var sddl string
	cmd := &cobra.Command{
		Use:   "serve-demo [PIPE]",
		Short: "Serve a greeter on a pipe, for a .NET or other client to try",
		Long: `Serve on a pipe until Ctrl-C: the greeter of Microsoft's article on gRPC over
named pipes (greet.Greeter), gRPC's own test service (grpc.testing.TestService),
health and reflection. The default name is MyPipe.

--access says which users besides this one may connect: ` + accessWords + `.`,
		Example: `  grpcpipe serve-demo
  grpcpipe serve-demo MyPipe --access local-users`,
		Args: args("[PIPE]"),
		RunE: a.run(func(cmd *cobra.Command, args []string) error {
			name := "MyPipe"
			if len(args) > 0 {
				name = args[0]
			}
			if sddl != "" {
				words = append(words, "sddl="+sddl)
			}
			return a.serveDemo(cmd.Context(), name, words)
		}),
	}
	cmd.Flags().StringSliceVar(&words, "access", nil, "users besides this one who may connect (see above; repeatable)")
	cmd.Flags().StringVar(&sddl, "sddl", "", "who may connect, as a Windows security descriptor")
	return cmd
}

// listen listens on a pipe with the access that words name.
func listen(ctx context.Context, name string, words []string) (*namedpipe.Listener, namedpipe.Access, error) {
	access, err := parseAccess(words)
	if err != nil {
		return nil, access, err
	}
	if _, err := namedpipe.ResolveAddr(name); err != nil {
		return nil, access, usage("%w", err)
	}
	lc := namedpipe.ListenConfig{Access: access}
	lis, err := lc.Listen(ctx, name)
	if err != nil {
		return nil, access, internal(err)
	}
	return lis, access, nil
}

// A grpcServer is a server of either implementation.
type grpcServer interface {
	Serve(net.Listener) error
	Stop()
	GracefulStop()
}

// newDemoServer makes the server of serve-demo; tests run it on package fastgrpc
// too.
var newDemoServer = func() grpcServer { return interoptest.NewServer(grpcpipe.ServerOptions()...) }

func (a *app) serveDemo(ctx context.Context, name string, words []string) error {
	lis, access, err := listen(ctx, name, words)
	if err != nil {
		return err
	}
	s := newDemoServer()
	served := make(chan error, 1)
	go func() { served <- s.Serve(lis) }()
	if err := a.announce(name, lis, words, access); err != nil {
		s.Stop()
		return err
	}
	select {
	case err = <-served:
	case <-ctx.Done():
		fmt.Fprintln(a.stderr, "grpcpipe: stopping; calls under way get", stopTimeout)
		stop(s)
		err = <-served
	}
	if errors.Is(err, grpc.ErrServerStopped) {
		return nil
	}
	return err
}

// stop ends a server in an orderly way if that doesn't take too long.
func stop(s grpcServer) {
	late := time.AfterFunc(stopTimeout, s.Stop)
	defer late.Stop()
	s.GracefulStop()
}

const dotnetSnippet = `
A .NET client (NamedPipesConnectionFactory is from Microsoft's article "Inter-process
communication with gRPC and named pipes"):

  var factory = new NamedPipesConnectionFactory("%[3]s");
  var channel = GrpcChannel.ForAddress("http://localhost", new GrpcChannelOptions {
      HttpHandler = new SocketsHttpHandler { ConnectCallback = factory.ConnectAsync } });
  var reply = await new Greeter.GreeterClient(channel).SayHelloAsync(new HelloRequest { Name = "World" });

From another terminal:

  grpcpipe call %[4]s greet.Greeter/SayHello -d '{"name":"World"}'

Ctrl-C ends it.
`

func (a *app) announce(name string, lis *namedpipe.Listener, words []string, access namedpipe.Access) error {
	if a.json() {
		said, _ := access.Describe() // it was checked
		return a.printJSON(map[string]any{"pipe": name, "path": lis.Addr().String(), "access": said})
	}
	_, err := fmt.Fprintf(a.stdout, "Serving on %s\nAccess: %s\n"+dotnetSnippet, lis.Addr(), describeAccess(words, access), name, target.ForName(name))
	return err
}
