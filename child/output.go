package child

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"sync"
)

const (
	// tailLines is the number of lines of a child's output that errors show.
	tailLines = 10
	// maxLine is the length, in bytes, of the longest line that is logged
	// whole.
	maxLine = 64 << 10
)

// levels are the names that slog and the common libraries of .NET, Node and
// Python write.
var levels = map[string]slog.Level{
	"trace": slog.LevelDebug, "verbose": slog.LevelDebug, "debug": slog.LevelDebug,
	"warn": slog.LevelWarn, "warning": slog.LevelWarn,
	"error": slog.LevelError, "critical": slog.LevelError, "fatal": slog.LevelError,
}

// tail keeps the last lines that a process has written.
type tail struct {
	mu    sync.Mutex
	lines []string
}

func (t *tail) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) == tailLines {
		t.lines = append(t.lines[:0], t.lines[1:]...)
	}
	t.lines = append(t.lines, line)
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.lines, "\n")
}

// output turns what a process writes into log records, one for each line.
type output struct {
	cmd  *exec.Cmd
	log  *slog.Logger
	tail *tail
	line []byte
}

func (o *output) Write(b []byte) (int, error) {
	n := len(b)
	for {
		rest, after, found := bytes.Cut(b, []byte("\n"))
		if room := maxLine - len(o.line); len(rest) > room {
			rest = rest[:room]
		}
		o.line = append(o.line, rest...)
		if !found {
			return n, nil
		}
		o.flush()
		b = after
	}
}

// flush logs the unfinished line.
func (o *output) flush() {
	line := strings.TrimRight(string(o.line), "\r")
	o.line = o.line[:0]
	if line == "" {
		return
	}
	o.tail.add(line)
	logLine(o.log.With("pid", o.cmd.Process.Pid), line)
}

// logLine logs a line. A JSON object becomes a record with its members as
// attributes, and its level and message as the record's, by the names that
// slog's JSONHandler and the common libraries of other languages write.
func logLine(log *slog.Logger, line string) {
	var members map[string]any
	if !strings.HasPrefix(line, "{") || json.Unmarshal([]byte(line), &members) != nil {
		log.Info(line)
		return
	}
	take := func(names ...string) string {
		for _, name := range names {
			if s, ok := members[name].(string); ok {
				delete(members, name)
				return s
			}
		}
		return ""
	}
	message := take("msg", "message", "Message", "@m")
	level := levels[strings.ToLower(take("level", "LogLevel", "severity", "@l"))] // Info if unknown
	var attrs []slog.Attr
	for _, name := range slices.Sorted(maps.Keys(members)) {
		attrs = append(attrs, slog.Any(name, members[name]))
	}
	log.LogAttrs(context.Background(), level, message, attrs...)
}
