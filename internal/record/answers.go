package record

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/grpcpipe/grpcpipe/internal/inspect"
)

// answers are what comes back of a call, ahead of what is compared.
type answers struct {
	call  *inspect.Call
	have  chan proto.Message
	ended chan struct{}
	err   error // set before ended
}

// receive receives until the call ends. It waits while too much is not compared
// yet, as a client does that has not read it.
func (a *answers) receive(ctx context.Context) {
	defer close(a.ended)
	defer close(a.have)
	for {
		var m proto.Message
		if m, a.err = a.call.Receive(); a.err != nil {
			return
		}
		select {
		case a.have <- m:
		case <-ctx.Done():
			a.err = ctx.Err()
			return
		}
	}
}

// next waits for the next message; nil if there are no more.
func (a *answers) next() proto.Message { return <-a.have }

// status is how the call has ended, after next has returned nil.
func (a *answers) status() *status.Status {
	<-a.ended
	var e *inspect.Error
	switch {
	case errors.Is(a.err, io.EOF):
		return status.New(codes.OK, "")
	case errors.As(a.err, &e) && e.Status != nil:
		return e.Status
	}
	return status.FromContextError(a.err)
}

// compare compares a response with the recorded one.
func (r *replayRun) compare(l *Line, want, got proto.Message, out *Outcome) {
	if l.Redacted != nil {
		redactor := redactor{types: r.Schema.Types()}
		redactor.message(got.ProtoReflect(), "")
	}
	if proto.Equal(want, got) {
		return
	}
	a, b := r.text(want), r.text(got)
	if a != b {
		out.differ("response %d is %s, was %s", l.N, part(b), part(a))
	}
}

// text is a message as JSON without the fields that don't count.
func (r *replayRun) text(m proto.Message) string {
	b, err := protojson.MarshalOptions{Resolver: r.Schema.Types()}.Marshal(m)
	if err != nil {
		return err.Error()
	}
	var v any
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return string(b)
	}
	without(v, r.Ignore)
	b, _ = json.Marshal(v) // it was JSON
	return string(b)
}

// without takes fields out of JSON.
func without(v any, names []string) {
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			if slices.Contains(names, name) {
				delete(v, name)
				continue
			}
			without(inner, names)
		}
	case []any:
		for _, inner := range v {
			without(inner, names)
		}
	}
}

func part(s string) string {
	if len(s) > shownPart {
		return s[:shownPart] + "..."
	}
	return s
}
