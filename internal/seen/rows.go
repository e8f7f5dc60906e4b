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
}
