package seen

// A Section is one table.
type Section string

// The tables.
const (
	Pairings  Section = "pairings"
	Survive   Section = "survive"
	Kestrel   Section = "kestrel"
	Neighbors Section = "neighbors"
)

// Sections are the tables in the order of the document.
var Sections = []Section{Pairings, Survive, Kestrel, Neighbors}

// A RowInfo declares a row.
type RowInfo struct {
	ID      string
	Section Section
	Text    string   // what is said to work
	Test    string   // where the evidence is
	Only    []System // the systems on which there is such a thing; nil is all
	Engine  string   // the only column of which there is such a thing; "" is each
}

// Rows are all rows, in the order of their tables.
var Rows = []RowInfo{
	{ID: "go-go-plain", Section: Pairings, Text: "Go client, Go server", Test: "TestGoToGo/.*/plain"},
	{ID: "go-go-tls", Section: Pairings, Text: "Go client, Go server, TLS", Test: "TestGoToGo/.*/tls"},
	{ID: "go-go-other-plain", Section: Pairings, Text: "Go client of the other implementation, Go server", Test: "TestGoToGo/.*/other-plain"},
	{ID: "go-go-other-tls", Section: Pairings, Text: "the same, TLS", Test: "TestGoToGo/.*/other-tls"},
	{ID: "dotnet-go-plain", Section: Pairings, Text: ".NET client, Go server", Test: "TestSoakDotNetClientToGoServer/.*/plain"},
	{ID: "dotnet-go-tls", Section: Pairings, Text: ".NET client, Go server, TLS", Test: "TestSoakDotNetClientToGoServer/.*/tls"},
	{ID: "dotnet-go-current-user-only", Section: Pairings, Text: ".NET client with `PipeOptions.CurrentUserOnly`, Go server", Test: "TestSoakDotNetClientToGoServer/.*/current-user-only"},
	{ID: "dotnet-go-impersonation-Anonymous", Section: Pairings, Text: ".NET client with `TokenImpersonationLevel.Anonymous`, Go server", Test: "TestSoakDotNetClientToGoServer/.*/impersonation-Anonymous"},
	{ID: "dotnet-go-impersonation-Identification", Section: Pairings, Text: "the same with `Identification`", Test: "TestSoakDotNetClientToGoServer/.*/impersonation-Identification"},
	{ID: "dotnet-go-impersonation-Impersonation", Section: Pairings, Text: "the same with `Impersonation`", Test: "TestSoakDotNetClientToGoServer/.*/impersonation-Impersonation"},
	{ID: "dotnet-go-impersonation-Delegation", Section: Pairings, Text: "the same with `Delegation`", Test: "TestSoakDotNetClientToGoServer/.*/impersonation-Delegation"},
	{ID: "go-kestrel-plain", Section: Pairings, Text: "Go client, Kestrel", Test: "TestSoakGoClientToKestrel/.*/plain"},
	{ID: "go-kestrel-tls", Section: Pairings, Text: "Go client, Kestrel, TLS", Test: "TestSoakGoClientToKestrel/.*/tls"},
	{ID: "go-kestrel-everyone", Section: Pairings, Text: "Go client, Kestrel whose `PipeSecurity` lets everyone in", Test: "TestSoakGoClientToKestrel/.*/everyone", Only: []System{Wine, Windows}},
	{ID: "go-stream-plain", Section: Pairings, Text: "Go client, `NamedPipeServerStream`", Test: "TestSoakGoClientToNamedPipeServerStream/.*/plain", Only: []System{Linux}},
	{ID: "go-stream-tls", Section: Pairings, Text: "Go client, `NamedPipeServerStream`, TLS", Test: "TestSoakGoClientToNamedPipeServerStream/.*/tls", Only: []System{Linux}},
	{ID: "plain-grpc-both", Section: Neighbors, Text: "grpc-go on our Listener and Dialer and nothing else of ours", Test: "TestPlainGRPC/both", Engine: GRPC},
	{ID: "plain-grpc-client", Section: Neighbors, Text: "the same as client of our server", Test: "TestPlainGRPC/client"},
	{ID: "plain-grpc-server", Section: Neighbors, Text: "the same as server of our client", Test: "TestPlainGRPC/server"},
	{ID: "keepalive-idle", Section: Survive, Text: "a .NET client whose `KeepAlivePingDelay` is 1 s, the shortest, pings on an idle connection", Test: "TestSoakKeepAlivePings"},
	{ID: "keepalive-quiet-call", Section: Survive, Text: "and during a call on which nothing comes", Test: "TestSoakKeepAlivePings"},
	{ID: "keepalive-quiet-stream", Section: Survive, Text: "and during a stream on which nothing comes", Test: "TestSoakKeepAlivePingsDuringQuietStream"},
	{ID: "keepalive-idle-close", Section: Survive, Text: "such a client makes no call for longer than its `PooledConnectionIdleTimeout` of a minute: pings until then, the client closes, the next call connects again", Test: "TestSoakDotNetClosesIdleConnection"},
	{ID: "keepalive-raw", Section: Survive, Text: "a client of bare HTTP/2 frames pings every second on an idle connection, which .NET itself never does", Test: "TestSoakPingEverySecond"},
	{ID: "kestrel-idle-close", Section: Survive, Text: "Kestrel closes a connection that was idle for 130 s", Test: "TestSoakKestrelClosesIdleConnection"},
	{ID: "kestrel-goaway", Section: Survive, Text: "Kestrel stops with calls in flight: GOAWAY, none is lost, the next call goes to the restarted server", Test: "TestKestrelStopsWithCallsInFlight"},
	{ID: "kestrel-killed", Section: Survive, Text: "Kestrel's process is killed in mid-stream", Test: "TestKestrelKilledInMidStream"},
	{ID: "kestrel-http1", Section: Survive, Text: "Kestrel speaks HTTP/1.1 only: the error names the cause and .NET's line to change", Test: "TestKestrelWithoutHTTP2"},
	{ID: "pipe-later", Section: Survive, Text: "Kestrel starts after the Go client", Test: "TestPipeThatIsNotThereYet"},
	{ID: "pipe-later-dotnet", Section: Survive, Text: "a Go server starts after the .NET client", Test: "TestPipeThatIsNotThereYet"},
	{ID: "never-answers", Section: Survive, Text: "Kestrel accepts and never answers: the connect time-out of 5 s", Test: "TestKestrelThatNeverAnswers"},
	{ID: "falls-silent", Section: Survive, Text: "Kestrel falls silent in mid-call: keep-alive pings every 10 s end the call", Test: "TestKestrelFallsSilent"},
	{ID: "settings-only", Section: Survive, Text: "a server sends SETTINGS and then nothing: the same", Test: "TestServerOfSettingsOnly"},
	{ID: "stream-limit", Section: Survive, Text: "Kestrel's limit of 100 streams a connection: the 101st call waits, and a deadline that passes says why", Test: "TestKestrelStreamLimit"},
	{ID: "connections", Section: Survive, Text: "more connections to one pipe, with `grpcpipe.WithConnections`", Test: "TestKestrelWithConnections"},
	{ID: "flood", Section: Survive, Text: "64 MiB both ways at once against Kestrel, whose pipes have quotas of 0", Test: "TestFloodAgainstQuotaOfZero"},
	{ID: "serial-go", Section: Survive, Text: "Go clients one after the other, on Kestrel", Test: "TestSoakClientsOneAfterTheOther"},
	{ID: "serial-dotnet", Section: Survive, Text: ".NET clients one after the other, on a Go server", Test: "TestSoakClientsOneAfterTheOther"},
	{ID: "burst-go", Section: Survive, Text: "Go clients at once, on Kestrel", Test: "TestClientsAtOnce"},
	{ID: "burst-dotnet", Section: Survive, Text: ".NET clients at once, on a Go server", Test: "TestClientsAtOnce"},
	{ID: "names-go", Section: Survive, Text: "names with spaces, non-ASCII letters and URL characters: Go client, Kestrel", Test: "TestOddNames"},
	{ID: "names-dotnet", Section: Survive, Text: "the same: .NET client, Go server", Test: "TestOddNames"},
	{ID: "leaves-silent", Section: Survive, Text: ".NET clients that leave between connect and their first byte", Test: "TestDotNetClientLeavesBeforeItsFirstByte"},
	{ID: "leaves-silent-go", Section: Survive, Text: "Go clients that do", Test: "TestGoClientLeavesBeforeItsFirstByte"},
	{ID: "leaves-early", Section: Survive, Text: ".NET clients killed at any moment of connecting", Test: "TestDotNetClientLeavesBeforeItSpeaks"},
	{ID: "restart-dotnet", Section: Survive, Text: "a Go server restarted under .NET clients that keep calling: no call fails", Test: "TestSoakGracefulStopUnderDotNetClients"},
	{ID: "AcceptAsync_AfterUnbind_ReturnNull", Section: Kestrel, Text: "Accept after Close is `net.ErrClosed`", Test: "TestKestrelTransport/AcceptAsync_AfterUnbind_ReturnNull", Engine: GRPC},
	{ID: "AcceptAsync_ClientCreatesConnection_ServerAccepts", Section: Kestrel, Text: "a client connects; the counters are right before and after", Test: "TestKestrelTransport/AcceptAsync_ClientCreatesConnection_ServerAccepts", Engine: GRPC},
	{ID: "AcceptAsync_UnbindAfterCall_CleanExit", Section: Kestrel, Text: "Close ends a pending Accept", Test: "TestKestrelTransport/AcceptAsync_UnbindAfterCall_CleanExit", Engine: GRPC},
	{ID: "AcceptAsync_DisposeAfterCall_CleanExit", Section: Kestrel, Text: "a deadline ends a pending Accept; Go has no second kind of closing", Test: "TestKestrelTransport/AcceptAsync_DisposeAfterCall_CleanExit", Engine: GRPC},
	{ID: "AcceptAsync_ParallelConnections_ClientConnectionsSuccessfullyAccepted", Section: Kestrel, Text: "10 clients connect many times each, with 1, 4 and 16 instances waiting", Test: "TestKestrelTransport/AcceptAsync_ParallelConnections_ClientConnectionsSuccessfullyAccepted", Engine: GRPC},
	{ID: "AcceptAsync_HitBacklogLimit_ClientConnectionsSuccessfullyAccepted", Section: Kestrel, Text: "more clients than instances: all are served", Test: "TestKestrelTransport/AcceptAsync_HitBacklogLimit_ClientConnectionsSuccessfullyAccepted", Engine: GRPC},
	{ID: "BindAsync_ListenersSharePort_ThrowAddressInUse", Section: Kestrel, Text: "a taken name is `EADDRINUSE`", Test: "TestKestrelTransport/BindAsync_ListenersSharePort_ThrowAddressInUse", Engine: GRPC},
	{ID: "BindAsync_ListenersSharePort_DisposeFirstListener_Success", Section: Kestrel, Text: "Close frees the name", Test: "TestKestrelTransport/BindAsync_ListenersSharePort_DisposeFirstListener_Success", Engine: GRPC},
	{ID: "BidirectionalStream_ServerReadsDataAndCompletes_GracefullyClosed", Section: Kestrel, Text: "data both ways, then EOF", Test: "TestKestrelTransport/BidirectionalStream_ServerReadsDataAndCompletes_GracefullyClosed", Engine: GRPC},
	{ID: "InputReadAsync_ServerAborted_ThrowError", Section: Kestrel, Text: "Read after Close is `net.ErrClosed`", Test: "TestKestrelTransport/InputReadAsync_ServerAborted_ThrowError", Engine: GRPC},
	{ID: "InputReadAsync_ServerAbortedDuring_ThrowError", Section: Kestrel, Text: "Close ends a pending Read", Test: "TestKestrelTransport/InputReadAsync_ServerAbortedDuring_ThrowError", Engine: GRPC},
	{ID: "OutputWriteAsync_ServerAborted_ThrowError", Section: Kestrel, Text: "Write after Close is `net.ErrClosed`; Kestrel ignores it", Test: "TestKestrelTransport/OutputWriteAsync_ServerAborted_ThrowError", Engine: GRPC},
	{ID: "CompleteTransport_BeforeClientHasReadLastBytes_DontLoseData", Section: Kestrel, Text: "what was written before Close is read after it", Test: "TestKestrelTransport/CompleteTransport_BeforeClientHasReadLastBytes_DontLoseData", Engine: GRPC},
	{ID: "DisposeAsync_BeforeClientHasReadLastBytes_DontLoseData", Section: Kestrel, Text: "the same when the listener is closed too", Test: "TestKestrelTransport/DisposeAsync_BeforeClientHasReadLastBytes_DontLoseData", Engine: GRPC},
	{ID: "ListenNamedPipeEndpoint_NonWindowsOperatingSystem_ErrorAsync", Section: Kestrel, Text: "can't apply: where Kestrel refuses, Listen works, and that is the test", Test: "TestKestrelTransport/ListenNamedPipeEndpoint_NonWindowsOperatingSystem_ErrorAsync", Engine: GRPC},
	{ID: "ListenNamedPipeEndpoint_CustomNamedPipeEndpointTransport", Section: Kestrel, Text: "a listener of the program's own around ours", Test: "TestKestrelTransport/ListenNamedPipeEndpoint_CustomNamedPipeEndpointTransport"},
	{ID: "ListenNamedPipeEndpoint_HelloWorld_ClientSuccess", Section: Kestrel, Text: "a page over HTTP/1.1", Test: "TestKestrelTransport/ListenNamedPipeEndpoint_HelloWorld_ClientSuccess", Engine: GRPC},
	{ID: "ListenNamedPipeEndpoint_Impersonation_ClientSuccess", Section: Kestrel, Text: "1 MiB posted by a client that grants Impersonation; the server knows its user", Test: "TestKestrelTransport/ListenNamedPipeEndpoint_Impersonation_ClientSuccess", Engine: GRPC},
	{ID: "ListenNamedPipeEndpoint_Security_PerEndpointSecuritySettings", Section: Kestrel, Text: "two pipes of one server with an access each", Test: "TestKestrelTransport/ListenNamedPipeEndpoint_Security_PerEndpointSecuritySettings"},
	{ID: "ListenNamedPipeEndpoint_ProtocolVersion_ClientSuccess", Section: Kestrel, Text: "HTTP/1.1 and HTTP/2 without TLS", Test: "TestKestrelTransport/ListenNamedPipeEndpoint_ProtocolVersion_ClientSuccess", Engine: GRPC},
	{ID: "ListenNamedPipeEndpoint_Tls_ClientSuccess", Section: Kestrel, Text: "HTTP/1.1 and HTTP/2 with TLS", Test: "TestKestrelTransport/ListenNamedPipeEndpoint_Tls_ClientSuccess", Engine: GRPC},
	{ID: "ListenNamedPipeEndpoint_FromUrl_HelloWorld_ClientSuccess", Section: Kestrel, Text: "the target `http://pipe:/NAME`", Test: "TestKestrelTransport/ListenNamedPipeEndpoint_FromUrl_HelloWorld_ClientSuccess"},
	{ID: "node-go", Section: Neighbors, Text: "Node's @grpc/grpc-js 1.14 as client of a Go server", Test: "TestNodeClientToGoServer"},
	{ID: "go-node", Section: Neighbors, Text: "a Go client, @grpc/grpc-js 1.14 as server", Test: "TestGoClientToNodeServer"},
	{ID: "net-http-plain", Section: Neighbors, Text: "net/http, HTTP/1.1 and HTTP/2 without TLS, on our Listener and Dialer", Test: "TestNetHTTP/plain", Engine: GRPC},
	{ID: "net-http-tls", Section: Neighbors, Text: "the same with TLS", Test: "TestNetHTTP/tls", Engine: GRPC},
	{ID: "connect-go", Section: Neighbors, Text: "connect-go, its own protocol and gRPC's, our client on its server and its client on ours", Test: "TestConnectGo"},
	{ID: "python-go", Section: Neighbors, Text: "Python's grpcio as client of a Go server", Test: "TestPythonClientToGoServer", Only: []System{Linux}},
	{ID: "go-python", Section: Neighbors, Text: "a Go client, Python's grpcio as server", Test: "TestGoClientToPythonServer", Only: []System{Linux}},
}
