package loglimit

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A flood gets a burst of lines, then one each interval, and each line counts what
// was left out before it. No line is unaccounted for.
func TestLimiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log := slog.New(slog.NewTextHandler(&out, nil))
		var l Limiter
		n := 0
		warn := func(times int) (lines []string) {
			out.Reset()
			for range times {
				n++
				l.Warn(context.Background(), log, "refused", func() []any { return []any{"client", n} })
			}
			return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		}
		has := func(line, part string) {
			t.Helper()
			if !strings.Contains(line+" ", part) {
				t.Errorf("%q is without %q", line, part)
			}
		}
		lines := warn(Burst + 100)
		if len(lines) != Burst {
			t.Fatalf("%d lines of a flood:\n%s", len(lines), strings.Join(lines, "\n"))
		}
		for i, line := range lines {
			has(line, fmt.Sprintf("client=%d ", i+1))
			if strings.Contains(line, "omitted") {
				t.Errorf("%q counts what was not omitted", line)
			}
		}
		time.Sleep(Interval)
		lines = warn(50)
		if len(lines) != 1 {
			t.Fatalf("%d lines after a second", len(lines))
		}
		has(lines[0], fmt.Sprintf("client=%d ", Burst+101))
		has(lines[0], "omitted=100 ")
		time.Sleep(time.Hour)
		lines = warn(Burst + 1)
		if len(lines) != Burst {
			t.Fatalf("%d lines after an hour", len(lines))
		}
		has(lines[0], "omitted=49 ")
	})
}

// What nobody reads costs nothing and counts for nothing.
func TestDisabled(t *testing.T) {
	var l Limiter
	for range Burst + 1 {
		l.Warn(context.Background(), slog.New(slog.DiscardHandler), "refused", func() []any {
			t.Error("the attributes of a line that isn't written were made")
			return nil
		})
	}
	if omitted, ok := l.next(); omitted != 0 || !ok {
		t.Errorf("%d omitted, %v", omitted, ok)
	}
}
