package seen

// A Section is one table.
type Section string

// The tables.
const (
	Pairings   Section = "pairings"
	Survive    Section = "survive"
	Kestrel    Section = "kestrel"
	Neighbours Section = "neighbours"
)

// Sections are the tables in the order of the document.
var Sections = []Section{Pairings, Survive, Kestrel, Neighbours}

// A RowInfo declares a row.
type RowInfo struct {
	ID      string
	Section Section
	Text    string   // what is said to work
	Test    string   // where the evidence is
	Only    []System // the systems on which there is such a thing; nil is all
}

// Rows are all rows, in the order of their tables.
var Rows = []RowInfo{
	{ID: "go-go-plain", Section: Pairings, Text: "Go client, Go server", Test: "TestGoToGo/plain"},
	{ID: "go-go-tls", Section: Pairings, Text: "Go client, Go server, TLS", Test: "TestGoToGo/tls"},
	{ID: "dotnet-go-plain", Section: Pairings, Text: ".NET client, Go server", Test: "TestSoakDotNetClientToGoServer/plain"},
	{ID: "dotnet-go-tls", Section: Pairings, Text: ".NET client, Go server, TLS", Test: "TestSoakDotNetClientToGoServer/tls"},
	{ID: "dotnet-go-current-user-only", Section: Pairings, Text: ".NET client with `PipeOptions.CurrentUserOnly`, Go server", Test: "TestSoakDotNetClientToGoServer/current-user-only"},
	{ID: "dotnet-go-impersonation-Anonymous", Section: Pairings, Text: ".NET client with `TokenImpersonationLevel.Anonymous`, Go server", Test: "TestSoakDotNetClientToGoServer/impersonation-Anonymous"},
	{ID: "dotnet-go-impersonation-Identification", Section: Pairings, Text: "the same with `Identification`", Test: "TestSoakDotNetClientToGoServer/impersonation-Identification"},
	{ID: "dotnet-go-impersonation-Impersonation", Section: Pairings, Text: "the same with `Impersonation`", Test: "TestSoakDotNetClientToGoServer/impersonation-Impersonation"},
	{ID: "dotnet-go-impersonation-Delegation", Section: Pairings, Text: "the same with `Delegation`", Test: "TestSoakDotNetClientToGoServer/impersonation-Delegation"},
	{ID: "go-kestrel-plain", Section: Pairings, Text: "Go client, Kestrel", Test: "TestSoakGoClientToKestrel/plain"},
	{ID: "go-kestrel-tls", Section: Pairings, Text: "Go client, Kestrel, TLS", Test: "TestSoakGoClientToKestrel/tls"},
	{ID: "go-kestrel-everyone", Section: Pairings, Text: "Go client, Kestrel whose `PipeSecurity` lets everyone in", Test: "TestSoakGoClientToKestrel/everyone", Only: []System{Wine, Windows}},
	{ID: "go-stream-plain", Section: Pairings, Text: "Go client, `NamedPipeServerStream`", Test: "TestSoakGoClientToNamedPipeServerStream/plain", Only: []System{Linux}},
	{ID: "go-stream-tls", Section: Pairings, Text: "Go client, `NamedPipeServerStream`, TLS", Test: "TestSoakGoClientToNamedPipeServerStream/tls", Only: []System{Linux}},
	{ID: "plain-grpc-both", Section: Neighbours, Text: "grpc-go on our Listener and Dialer and nothing else of ours", Test: "TestPlainGRPC/both"},
	{ID: "plain-grpc-client", Section: Neighbours, Text: "the same as client of our server", Test: "TestPlainGRPC/client"},
	{ID: "plain-grpc-server", Section: Neighbours, Text: "the same as server of our client", Test: "TestPlainGRPC/server"},
	{ID: "keepalive-idle", Section: Survive, Text: "a .NET client pings every second on an idle connection", Test: "TestSoakKeepAlivePings"},
	{ID: "keepalive-quiet-call", Section: Survive, Text: "and during a call on which nothing comes", Test: "TestSoakKeepAlivePings"},
	{ID: "keepalive-quiet-stream", Section: Survive, Text: "and during a stream on which nothing comes", Test: "TestSoakKeepAlivePingsDuringQuietStream"},
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
	{ID: "leaves-early", Section: Survive, Text: ".NET clients that leave between connect and the first byte, or at any other moment", Test: "TestDotNetClientLeavesBeforeItSpeaks"},
	{ID: "restart-dotnet", Section: Survive, Text: "a Go server restarted under .NET clients that keep calling: no call fails", Test: "TestSoakGracefulStopUnderDotNetClients"},
}
