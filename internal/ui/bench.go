package ui

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/grpcpipe/grpcpipe/internal/inspect"
	"github.com/grpcpipe/grpcpipe/internal/load"
)

const (
	maxWorkers  = 1000
	maxDuration = 10 * time.Minute
)

type benchRequest struct {
	callRequest
	Concurrency int    `json:"concurrency"`
	Duration    string `json:"duration"`
}

// second is a point of the chart; times are in milliseconds.
type second struct {
	Second  float64     `json:"second,omitempty"`
	Rate    float64     `json:"rate"`
	P50     float64     `json:"p50"`
	P99     float64     `json:"p99"`
	Errors  int64       `json:"errors,omitempty"`
	Done    bool        `json:"done,omitempty"`
	Summary [][2]string `json:"summary,omitempty"`
	Error   *problem    `json:"error,omitempty"`
}

// bench makes calls of one method for a while and sends a point for each
// second. It ends with the page's request.
func (u *UI) bench(w http.ResponseWriter, r *http.Request) {
	in, err := decode[benchRequest](w, r)
	var b *bench
	if err == nil {
		b, err = u.prepareBench(r.Context(), in)
	}
	if err != nil {
		fail(w, err)
		return
	}
	defer b.session.users.Done()
	events := make(chan any)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	go b.run(ctx, events)
	newFeed(w).run(ctx, events)
}

type bench struct {
	session  *session
	path     string
	request  *dynamicpb.Message
	reply    func() *dynamicpb.Message
	headers  metadata.MD
	deadline time.Duration
	workers  int
	duration time.Duration
	stream   bool
	call     callRequest
}

func (u *UI) prepareBench(ctx context.Context, in benchRequest) (*bench, error) {
	b := &bench{workers: in.Concurrency, call: in.callRequest}
	var err error
	if b.duration, err = time.ParseDuration(in.Duration); err != nil || b.duration <= 0 || b.duration > maxDuration {
		return nil, usage("%q: write how long to call as 5s, 1m or up to %v", in.Duration, maxDuration)
	}
	if b.workers < 1 || b.workers > maxWorkers {
		return nil, usage("%d calls in flight: write a number from 1 to %d", b.workers, maxWorkers)
	}
	if b.headers, err = in.Options.metadata(); err != nil {
		return nil, err
	}
	if b.deadline, err = in.Options.deadline(); err != nil {
		return nil, err
	}
	s, err := u.use(ctx, in.Target, in.Options)
	if err != nil {
		return nil, err
	}
	m, err := s.schema.Method(in.Method)
	if err == nil && m.IsStreamingClient() {
		err = usage("%s takes a stream of requests: use grpcpipe bench", m.FullName())
	}
	if err == nil {
		b.request = dynamicpb.NewMessage(m.Input())
		err = parseRequest(in.Body, b.request, s)
	}
	if err != nil {
		s.users.Done()
		return nil, err
	}
	b.session, b.path, b.stream = s, inspect.MethodPath(m), m.IsStreamingServer()
	b.reply = func() *dynamicpb.Message { return dynamicpb.NewMessage(m.Output()) }
	return b, nil
}

// run calls until the time is over or ctx ends, and closes events.
func (b *bench) run(ctx context.Context, events chan<- any) {
	defer close(events)
	tell := func(e second) {
		select {
		case events <- e:
		case <-ctx.Done():
		}
	}
	base := metadata.NewOutgoingContext(ctx, b.headers)
	var seen time.Duration
	res := load.Run(ctx, load.Config{
		Call: func(int) error { return b.one(base) }, Workers: b.workers, Duration: b.duration,
		Progress: func(p load.Progress) {
			if p.Last.At > seen {
				seen = p.Last.At
				tell(second{Second: seen.Seconds(), Rate: float64(p.Last.Calls), P50: ms(p.Last.P50), P99: ms(p.Last.P99), Errors: p.Last.Errors})
			}
		},
	})
	tell(second{Done: true, Summary: summary(res)})
}

// one makes one call.
func (b *bench) one(ctx context.Context) error {
	if b.deadline > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, b.deadline)
		defer cancel()
	}
	return b.session.CallOnce(ctx, b.path, b.stream, b.request, b.reply)
}

func summary(res *load.Result) [][2]string {
	rows := [][2]string{
		{"calls", strconv.FormatInt(res.Calls, 10)},
		{"per second", fmt.Sprintf("%.0f", float64(res.Calls)/max(res.Elapsed.Seconds(), 1e-9))},
	}
	for _, p := range []float64{50, 90, 99, 99.9} {
		rows = append(rows, [2]string{fmt.Sprintf("p%v", p), res.Percentile(p).Round(time.Microsecond).String()})
	}
	for _, code := range slices.Sorted(maps.Keys(res.Errors)) {
		rows = append(rows, [2]string{inspect.CodeName(code), fmt.Sprintf("%d: %s", res.Errors[code], res.FirstErrors[code])})
	}
	return rows
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
