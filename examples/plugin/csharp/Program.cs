// A plug-in in C#, with Kestrel. Build it with `dotnet build`.
using Greet;
using Grpc.Core;
using Microsoft.AspNetCore.Server.Kestrel.Core;

// The contract of package child: serve on the pipe that the environment names, and
// end when standard input does. Off Windows the name is the path of a Unix socket.
var pipe = Environment.GetEnvironmentVariable("GRPCPIPE_CHILD_PIPE")
    ?? throw new InvalidOperationException("start this program from its parent");

var builder = WebApplication.CreateBuilder(args);
builder.Services.AddGrpc();
builder.WebHost.ConfigureKestrel(kestrel =>
{
    if (OperatingSystem.IsWindows())
        kestrel.ListenNamedPipe(pipe, o => o.Protocols = HttpProtocols.Http2);
    else
        kestrel.ListenUnixSocket(pipe, o => o.Protocols = HttpProtocols.Http2);
});
var app = builder.Build();
app.MapGrpcService<GreeterService>();
app.Lifetime.ApplicationStarted.Register(() => Task.Run(async () =>
{
    await Console.OpenStandardInput().CopyToAsync(Stream.Null);
    app.Lifetime.StopApplication();
}));
app.Run();

sealed class GreeterService : Greeter.GreeterBase
{
    public override Task<HelloReply> SayHello(HelloRequest request, ServerCallContext context) =>
        Task.FromResult(new HelloReply { Message = $"Hello {request.Name} from C#" });
}
