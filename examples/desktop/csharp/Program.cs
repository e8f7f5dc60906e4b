// The client of examples/service in C#, with a console instead of a window.
// It accepts only a pipe of the service's own account.
using System.IO.Pipes;
using System.Security.Principal;
using Greet;
using Grpc.Core;
using Grpc.Net.Client;

const string pipe = "GrpcpipeGreeter";
const string account = @"NT SERVICE\GrpcpipeGreeter";

using var channel = GrpcChannel.ForAddress("http://localhost", new GrpcChannelOptions
{
    HttpHandler = new SocketsHttpHandler { ConnectCallback = async (_, ct) => await Connect(ct) },
});
var client = new Greeter.GreeterClient(channel);
for (; ; )
{
    try
    {
        var reply = await client.SayHelloAsync(new HelloRequest { Name = "World" }, deadline: DateTime.UtcNow.AddSeconds(5));
        Console.WriteLine(reply.Message);
    }
    catch (RpcException e) when (e.StatusCode is StatusCode.Unavailable or StatusCode.DeadlineExceeded)
    {
        Console.WriteLine("The service is not running. Waiting for it…");
    }
    await Task.Delay(TimeSpan.FromSeconds(1));
}

static async Task<Stream> Connect(CancellationToken ct)
{
    // Off Windows .NET maps the name to a socket in the temporary directory, and
    // CurrentUserOnly is what it can check.
    var stream = new NamedPipeClientStream(".", pipe, PipeDirection.InOut,
        PipeOptions.WriteThrough | PipeOptions.Asynchronous, TokenImpersonationLevel.Identification);
    try
    {
        await stream.ConnectAsync(ct);
        if (OperatingSystem.IsWindows())
        {
            var owner = stream.GetAccessControl().GetOwner(typeof(SecurityIdentifier));
            var want = new NTAccount(account).Translate(typeof(SecurityIdentifier));
            if (owner != want)
                throw new UnauthorizedAccessException($"the pipe {pipe} belongs to {owner}, not to {account}: nothing was sent");
        }
        return stream;
    }
    catch
    {
        await stream.DisposeAsync();
        throw;
    }
}
