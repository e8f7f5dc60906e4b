package cli

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grpcpipe/grpcpipe/internal/testing/dotnetpeer"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
)

// example is a line of docs/cli.md.
type example struct {
	line       string
	args       []string
	stdin      string
	background bool
	out        string // file for standard output, or ""
	exit       int
}

var (
	wantedExit  = regexp.MustCompile(`\s+# exit status (\d+)$`)
	piped       = regexp.MustCompile(`^echo '([^']*)' \| `)
	shellWord   = regexp.MustCompile(`'[^']*'|\S+`)
	shellQuoted = regexp.MustCompile(`'[^']*'`)
	redirected  = regexp.MustCompile(` > (\S+)$`)
)

// parseExample reads a line as far as the examples need a shell.
func parseExample(t *testing.T, line string) example {
	e := example{line: line}
	if found := wantedExit.FindStringSubmatch(line); found != nil {
		e.exit, _ = strconv.Atoi(found[1])
		line = wantedExit.ReplaceAllString(line, "")
	}
	if found := piped.FindStringSubmatch(line); found != nil {
		e.stdin = found[1] + "\n"
		line = piped.ReplaceAllString(line, "")
	}
	line, e.background = strings.CutSuffix(line, " &")
	if found := redirected.FindStringSubmatch(line); found != nil {
		e.out = found[1]
		line = redirected.ReplaceAllString(line, "")
	}
	line, ok := strings.CutPrefix(line, "grpcpipe ")
	if !ok || strings.ContainsAny(shellQuoted.ReplaceAllString(line, ""), "|;>") {
		t.Fatalf("the test can't run %q", e.line)
	}
	for _, word := range shellWord.FindAllString(line, -1) {
		if len(word) > 1 && word[0] == '\'' {
			word = word[1 : len(word)-1]
		}
		e.args = append(e.args, word)
	}
	return e
}

// Every example in docs/cli.md does what it says.
func TestExamples(t *testing.T) {
	text, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" {
		dir, err := os.MkdirTemp("/tmp", "gp") // short enough for a socket's address
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		t.Setenv("TMPDIR", dir)
	}
	t.Setenv("TOKEN", "x")
	pipe := testproc.PipeName()
	proto, err := os.ReadFile("../../examples/greeter/greetpb/greet.proto")
	if err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	for name, data := range map[string][]byte{"greet.proto": proto, "request.json": []byte(`{"name":"file"}`), "headers.txt": []byte("tenant: blue\n"),
		"users.csv": []byte("name\nAnn\nZip\n"), "profiles.json": []byte(`{"demo":{"target":"` + pipe + `"}}`)} {
		if err := os.WriteFile(filepath.Join(work, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(work)
	lists, _ := condition("lists")
	ctx, cancel := context.WithCancel(context.Background())
	var background sync.WaitGroup
	defer background.Wait()
	defer cancel()
	n, code := 0, false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\r\n")
		if strings.HasPrefix(line, "```") {
			code = line == "```console"
			continue
		}
		line, ok := strings.CutPrefix(line, "$ ")
		if !code || !ok {
			continue
		}
		n++
		e := parseExample(t, strings.ReplaceAll(line, "MyPipe", pipe))
		name := e.args[0]
		switch {
		case name == "demo":
			continue // it starts this program again; its own tests run it
		case name == "ls" && !lists:
			e.exit = exitInternal // and says why
		case differs(e):
			e.exit = -1
		}
		if e.background {
			background.Go(func() { runExample(t, ctx, e) })
			continue
		}
		if name == "show" || name == "replay" {
			waitRecorded(t, e.args[1])
		}
		if name == "ping" || name == "call" || name == "doctor" {
			waitFor(t, pipe)
		}
		runExample(t, ctx, e)
	}
	if n < 30 {
		t.Errorf("only %d examples were found", n)
	}
}

// differs reports whether an example ends in another way under Wine, which has no
// Unix sockets and doesn't tell another process of the same test from this one.
func differs(e example) bool {
	return dotnetpeer.UnderWine() && (strings.Contains(e.line, "pid=1") || strings.Contains(e.line, "unix:"))
}

// waitRecorded waits until the end of a call is in a record.
func waitRecorded(t *testing.T, path string) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		b, err := os.ReadFile(path)
		if err == nil && bytes.Contains(b, []byte(`"event":"end"`)) {
			return
		}
		<-time.After(10 * time.Millisecond)
	}
	t.Fatalf("no call was recorded in %s", path)
}

func waitFor(t *testing.T, pipe string) {
	t.Helper()
	var out bytes.Buffer
	if exit := execute(t.Context(), []string{"ping", pipe, "--wait", "--connect-timeout", "30s"}, strings.NewReader(""), &out, &out); exit != exitOK {
		t.Fatal(out.String())
	}
}

func runExample(t *testing.T, ctx context.Context, e example) {
	var stdout, stderr bytes.Buffer
	began := time.Now()
	exit := execute(ctx, e.args, strings.NewReader(e.stdin), &stdout, &stderr)
	if e.out != "" {
		if err := os.WriteFile(e.out, stdout.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if exit != e.exit && e.exit >= 0 {
		t.Errorf("%s: exit status %d after %v, want %d: %s%s", e.line, exit, time.Since(began), e.exit, &stdout, &stderr)
	}
}
