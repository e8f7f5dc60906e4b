package endure

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A window is a time in which calls may fail.
type window struct {
	from, to time.Time
}

// A ledger holds the calls of a server's clients against what the server's
// processes have written down. It keeps nothing of a call that is accounted for.
type ledger struct {
	file   *os.File        // nil for a server that writes nothing down
	failed map[uint64]bool // calls that failed, and whether they were served

	made, answered, due, served int
	problems                    []string
}

func (l *ledger) problem(format string, args ...any) {
	if len(l.problems) < 10 { // the first tell enough
		l.problems = append(l.problems, fmt.Sprintf(format, args...))
	}
}

// settle accounts for the calls of a round. Each was answered and served once, or
// has failed by a trouble and was served once at most.
func (l *ledger) settle(clients []*client, windows []window, killed func(number uint64) bool) error {
	served, err := l.read()
	if err != nil {
		return err
	}
	for _, c := range clients {
		for _, made := range c.calls {
			n := served[made.number]
			delete(served, made.number)
			l.made++
			l.served += n
			switch {
			case made.err != nil && !due(made, windows):
				l.problem("%s: a call failed without a reason after %v: %v", made.kind, made.end.Sub(made.start), made.err)
			case made.err != nil:
				l.due++
				l.failed[made.number] = n > 0
			default:
				l.answered++
			}
			if made.err == nil && n != 1 && l.file != nil || n > 1 {
				l.problem("%s: a call (error %v) was served %d times", made.kind, made.err, n)
			}
		}
	}
	for number, n := range served { // of earlier rounds, or of clients that are killed
		if killed(number) {
			if l.served += n; n > 1 {
				l.problem("a call of a client that is killed was served %d times", n)
			}
			continue
		}
		if before, ok := l.failed[number]; !ok || before || n > 1 {
			l.problem("call %x was served %d times after it was answered", number, n)
		}
		l.failed[number] = true
		l.served += n
	}
	return nil
}

// read returns how often each call was served since the last read.
func (l *ledger) read() (map[uint64]int, error) {
	served := map[uint64]int{}
	if l.file == nil {
		return served, nil
	}
	b, err := io.ReadAll(l.file)
	if err != nil {
		return nil, err
	}
	if rest := len(b) % 8; rest != 0 {
		return nil, fmt.Errorf("%s ends within a number", l.file.Name())
	}
	for ; len(b) > 0; b = b[8:] {
		served[binary.LittleEndian.Uint64(b)]++
	}
	return served, nil
}

// due reports whether a call may have failed: while it was under way its server
// was killed or was not there, and that is what the error says.
func due(c call, windows []window) bool {
	if status.Code(c.err) != codes.Unavailable {
		return false
	}
	for _, w := range windows {
		if c.start.Before(w.to) && c.end.After(w.from) {
			return true
		}
	}
	return false
}
