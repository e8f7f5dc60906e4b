package record

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/grpcpipe/grpcpipe/internal/inspect"
)

const (
	// queue is how many events of a call are read before it has come to them.
	queue = 1024
	// shownPart is how much of a message a difference shows.
	shownPart = 300
)

// A Replay makes the calls of a record again and compares what comes back.
type Replay struct {
	Session *inspect.Session
	Schema  *inspect.Schema
	// Headers are sent with each call besides those of the record; they replace
	// those of the same name.
	Headers metadata.MD
	// Speed is how many times as fast as recorded the calls are made. With 0
	// nothing waits for its time, only for the calls that had ended before.
	Speed float64
	// Deadline bounds each call; 0 does not.
	Deadline time.Duration
	// Ignore are the JSON names of fields that don't count, wherever they are.
	Ignore []string
	// Found, if not nil, gets each outcome, in the order in which calls end. It is
	// not called twice at the same time.
	Found func(Outcome)
}

// An Outcome is what became of a call.
type Outcome struct {
	Call    int64    `json:"call"`
	Method  string   `json:"method"`
	Skipped string   `json:"skipped,omitempty"` // why it was not made, or not compared
	Differs []string `json:"differs,omitempty"`
	TookMS  float64  `json:"took_ms"`
	WasMS   float64  `json:"was_ms"`
}

// Totals count the outcomes.
type Totals struct {
	Calls   int `json:"calls"`
	Same    int `json:"same"`
	Differ  int `json:"differ"`
	Skipped int `json:"skipped"`
}

// Run replays a record until its end or that of ctx.
func (r *Replay) Run(ctx context.Context, in *Reader) (Totals, error) {
	run := &replayRun{Replay: r, began: time.Now(), open: map[int64]*replayed{}}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	err := run.read(ctx, in)
	if err != nil {
		cancel()
	}
	for _, c := range run.open { // the record ends before they do
		close(c.events)
	}
	run.wg.Wait()
	return run.totals, err
}

type replayRun struct {
	*Replay
	began time.Time
	open  map[int64]*replayed // of calls whose end has not been read; the reader's
	wg    sync.WaitGroup

	mu     sync.Mutex
	totals Totals
}

// A replayed is a call under way.
type replayed struct {
	first  *Line
	events chan *Line
	done   chan struct{}
}

// read hands the lines of a record to their calls.
func (r *replayRun) read(ctx context.Context, in *Reader) error {
	for ctx.Err() == nil {
		l, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if r.Speed > 0 && !sleep(ctx, time.Until(r.began.Add(time.Duration(l.At/r.Speed*float64(time.Millisecond))))) {
			break
		}
		switch l.Event {
		case Call:
			if r.open[l.Call] != nil {
				return fmt.Errorf("%s: line %d: call %d begins twice", in.Name, in.Line(), l.Call)
			}
			r.begin(ctx, l)
		case Request, HalfClose, Headers, Response, End, Reset:
			c := r.open[l.Call]
			if c == nil {
				return fmt.Errorf("%s: line %d: call %d has not begun, or is over", in.Name, in.Line(), l.Call)
			}
			c.push(l)
			if l.Event == End || l.Event == Reset {
				close(c.events)
				delete(r.open, l.Call)
				if r.Speed == 0 {
					<-c.done // what follows may have been caused by it
				}
			}
		}
	}
	return ctx.Err()
}

// push waits while the call has too many events before it, unless it has ended.
func (c *replayed) push(l *Line) {
	select {
	case c.events <- l:
	case <-c.done:
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

func (r *replayRun) begin(ctx context.Context, l *Line) {
	c := &replayed{first: l, events: make(chan *Line, queue), done: make(chan struct{})}
	r.open[l.Call] = c
	r.wg.Go(func() {
		defer close(c.done)
		out := r.call(ctx, c)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.totals.Calls++
		switch {
		case out.Skipped != "":
			r.totals.Skipped++
		case out.Differs != nil:
			r.totals.Differ++
		default:
			r.totals.Same++
		}
		if r.Found != nil {
			r.Found(out)
		}
	})
}

// call makes a call and compares.
func (r *replayRun) call(ctx context.Context, c *replayed) Outcome {
	out := Outcome{Call: c.first.Call, Method: c.first.Method}
	m, err := r.Schema.Method(c.first.Method)
	if err != nil {
		out.Skipped = err.Error()
		return out
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if limit := r.limit(c.first); limit > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, limit)
		defer stop()
	}
	call, err := r.Session.Start(ctx, r.Schema, m, r.headers(c.first))
	if err != nil {
		out.Differs = append(out.Differs, err.Error())
		return out
	}
	defer call.Cancel()
	answers := &answers{call: call, have: make(chan proto.Message, queue), ended: make(chan struct{})}
	go answers.receive(ctx)
	defer func() { cancel(); <-answers.ended }()
	for l := range c.events {
		if skipped := r.event(call, answers, l, &out); skipped != "" {
			out.Skipped = skipped
			return out
		}
		if l.Event == End || l.Event == Reset {
			out.WasMS = l.At - c.first.At
			out.TookMS = float64(time.Since(call.Times().Began).Microseconds()) / 1e3
			return out
		}
	}
	out.Skipped = "its end is not in the record"
	return out
}

// limit is the time for a call: the client's own deadline if it had one.
func (r *replayRun) limit(l *Line) time.Duration {
	units := map[byte]time.Duration{'H': time.Hour, 'M': time.Minute, 'S': time.Second, 'm': time.Millisecond, 'u': time.Microsecond, 'n': time.Nanosecond}
	for _, v := range l.Headers["grpc-timeout"] {
		if n, err := strconv.ParseInt(v[:max(len(v)-1, 0)], 10, 32); err == nil {
			return time.Duration(n) * units[v[len(v)-1]]
		}
	}
	return r.Deadline
}

// event does what an event of the record says, or compares with it. What it
// returns is why the call can't be compared.
func (r *replayRun) event(call *inspect.Call, a *answers, l *Line, out *Outcome) (skipped string) {
	switch l.Event {
	case Request:
		if l.Redacted != nil {
			return fmt.Sprintf("request %d has secrets that are not in the record (%s): record with --record-secrets", l.N, l.Redacted[0])
		}
		msg, err := Encode(l, call.Method.Input(), r.Schema.Types())
		if err != nil {
			return fmt.Sprintf("request %d can't be made: %v", l.N, err)
		}
		call.Send(msg) // if it fails, what comes back says why
	case HalfClose:
		call.CloseSend()
	case Response:
		msg := a.next()
		if msg == nil {
			out.differ("response %d is missing", l.N)
			return ""
		}
		want, err := Encode(l, call.Method.Output(), r.Schema.Types())
		if err != nil {
			return fmt.Sprintf("response %d can't be compared: %v", l.N, err)
		}
		r.compare(l, want, msg, out)
	case End:
		r.end(a, l, out)
	case Reset:
		if l.By != "server" {
			call.Cancel()
			return "" // whatever the server made of that
		}
		r.end(a, &Line{Status: &Status{Code: -1, Name: "a reset: " + l.Error}}, out)
	}
	return ""
}

// end compares how a call has ended.
func (r *replayRun) end(a *answers, l *Line, out *Outcome) {
	for n := 1; a.next() != nil; n++ {
		if n == 1 {
			out.differ("it has more responses")
		}
	}
	st := a.status()
	switch {
	case l.Status == nil:
	case int(st.Code()) != l.Status.Code && (l.Status.Code >= 0 || st.Code() == codes.OK):
		out.differ("the status is %s %s, was %s %s", inspect.CodeName(st.Code()), st.Message(), l.Status.Name, l.Status.Message)
	}
}

func (o *Outcome) differ(format string, args ...any) {
	o.Differs = append(o.Differs, fmt.Sprintf(format, args...))
}

// headers are those of a recorded call, without what gRPC sends by itself and
// without the secrets that the record does not have.
func (r *replayRun) headers(l *Line) metadata.MD {
	md := metadata.MD{}
	for name, values := range l.Headers {
		switch {
		case slices.Contains([]string{"user-agent", "grpc-encoding", "grpc-accept-encoding", "grpc-timeout", "accept-encoding"}, name):
			continue
		case slices.Contains(values, Hidden):
			continue
		}
		for _, v := range values {
			if b, ok := fromBase64(name, v); ok {
				v = b
			}
			md.Append(name, v)
		}
	}
	for name, values := range r.Headers {
		md[name] = values
	}
	return md
}

// fromBase64 decodes the value of a -bin header.
func fromBase64(name, v string) (string, bool) {
	if !strings.HasSuffix(name, "-bin") {
		return v, false
	}
	b, err := base64.StdEncoding.DecodeString(v)
	return string(b), err == nil
}
