// Package child starts programs that serve gRPC to their parent alone: plug-ins,
// workers, helpers with fewer rights, in any language.
//
// The parent calls [Start] with a command and gets a channel to the child:
//
//	p, err := child.Start(ctx, exec.Command("./plugin"))
//	if err != nil {
//		return err
//	}
//	defer p.Close()
//	reply, err := pluginpb.NewPluginClient(p.Conn()).Do(ctx, request)
//
// A child written in Go serves what [Listen] returns:
//
//	lis, err := child.Listen(ctx)
//	if err != nil {
//		return err
//	}
//	srv := grpc.NewServer(grpcpipe.ServerOptions()...)
//	lis.Register(srv, child.Info{Version: "1.2.0"})
//	pluginpb.RegisterPluginServer(srv, plugin{})
//	context.AfterFunc(lis.Context(), srv.GracefulStop)
//	return srv.Serve(lis)
//
// # The contract
//
// A child in any language keeps three rules:
//
//   - It serves gRPC on the pipe named by the environment variable
//     GRPCPIPE_CHILD_PIPE: a bare pipe name on Windows, the absolute path of a
//     Unix socket elsewhere, in a directory that only this user can enter.
//   - Its standard input stays open until the parent wants it to stop or is
//     gone. When standard input ends, the child finishes its calls and exits.
//   - The first call it gets is Check of grpc.health.v1.Health. A child without
//     that service counts as ready, too. The parent's [Info] comes as metadata
//     of this call, grpcpipe-child-version and grpcpipe-child-capability (one
//     value for each); the child's goes back the same way, as header metadata.
//
// What the child writes to standard output and standard error is logged by the
// parent. A child may call its parent on the pipe of the same name with
// -parent appended, if the parent has a [Config.Server].
//
// # Who may connect
//
// The pipe's name is random. Each end lets in nobody but the process itself:
// the parent trusts the process that it has started, the child its parent
// process, told apart by pidfd on Linux and by handle on Windows, so that a
// process id that is used again is not enough. The command must therefore be
// the program that serves, not a shell that runs it as another process.
package child
