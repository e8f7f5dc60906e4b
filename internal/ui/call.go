package ui

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/grpcpipe/grpcpipe/internal/inspect"
)

// A call is a call under way, shared by several requests of the page.
type call struct {
	*inspect.Call
	session *session
	sending chan struct{} // holds one token, for whoever sends
	events  chan any      // closed when the call is over
	over    context.Context
}

// event is something that happens in a call. At is in seconds.
type event struct {
	Kind     string      `json:"kind"`
	ID       string      `json:"id,omitempty"`
	At       float64     `json:"at,omitempty"`
	JSON     string      `json:"json,omitempty"`
	Size     int         `json:"size,omitempty"`
	Metadata [][2]string `json:"metadata,omitempty"`
	Code     string      `json:"code,omitempty"`
	Message  string      `json:"message,omitempty"`
	Details  []string    `json:"details,omitempty"`
	Next     string      `json:"next,omitempty"`
	Times    [][2]string `json:"times,omitempty"`
}

type callRequest struct {
	serverRequest
	Body string `json:"body"`
}

// call makes a call and sends its events until it is over. A unary request is
// in the body; a stream starts without a request.
func (u *UI) call(w http.ResponseWriter, r *http.Request) {
	in, err := decode[callRequest](w, r)
	if err != nil {
		fail(w, err)
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	c, id, err := u.begin(ctx, in)
	if err != nil {
		fail(w, err)
		return
	}
	defer c.session.users.Done()
	defer u.forget(id)
	defer c.Cancel()
	go c.receive(cancel, func(code string) { u.remember(in, code) })
	f := newFeed(w)
	f.enc.Encode(event{Kind: "started", ID: id})
	f.run(r.Context(), c.events)
}

// begin starts the call and, unless the client streams, sends the request.
func (u *UI) begin(ctx context.Context, in callRequest) (*call, string, error) {
	md, err := in.Options.metadata()
	if err != nil {
		return nil, "", err
	}
	deadline, err := in.Options.deadline()
	if err != nil {
		return nil, "", err
	}
	s, err := u.use(ctx, in.Target, in.Options)
	if err != nil {
		return nil, "", err
	}
	done := s.users.Done
	defer func() {
		if done != nil {
			done()
		}
	}()
	m, err := s.schema.Method(in.Method)
	if err != nil {
		return nil, "", err
	}
	request := dynamicpb.NewMessage(m.Input())
	if !m.IsStreamingClient() {
		if err := parseRequest(in.Body, request, s); err != nil {
			return nil, "", err
		}
	}
	over, cancel := ctx, context.CancelFunc(func() {})
	if deadline > 0 {
		ctx, cancel = context.WithTimeout(ctx, deadline)
	}
	context.AfterFunc(over, cancel)
	started, err := s.Start(ctx, s.schema, m, md)
	if err != nil {
		cancel()
		return nil, "", err
	}
	c := &call{Call: started, session: s, sending: make(chan struct{}, 1), events: make(chan any, 64), over: over}
	c.sending <- struct{}{}
	if !m.IsStreamingClient() {
		// The status says why this failed, if it did.
		if c.Send(request) == nil {
			c.sent(request)
		}
		c.CloseSend()
	}
	id := rand.Text()
	u.mu.Lock()
	u.calls[id] = c
	u.mu.Unlock()
	done = nil
	return c, id, nil
}

func parseRequest(body string, m proto.Message, s *session) error {
	if strings.TrimSpace(body) == "" {
		body = "{}"
	}
	if err := (protojson.UnmarshalOptions{Resolver: s.schema.Types()}).Unmarshal([]byte(body), m); err != nil {
		return usage("the request is not a %s: %s", m.ProtoReflect().Descriptor().FullName(), strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\u00a0", " "), "proto: "))
	}
	return nil
}

func (u *UI) forget(id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.calls, id)
}

// find returns a call under way.
func (u *UI) find(id string) (*call, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if c := u.calls[id]; c != nil {
		return c, nil
	}
	return nil, usage("the call has ended")
}

type callInput struct {
	ID   string `json:"id"`
	Body string `json:"body"`
}

// send sends one more request in a stream.
func (u *UI) send(ctx context.Context, in callInput) (struct{}, error) {
	c, err := u.find(in.ID)
	if err != nil {
		return struct{}{}, err
	}
	m := c.NewRequest()
	if err := parseRequest(in.Body, m, c.session); err != nil {
		return struct{}{}, err
	}
	select {
	case <-c.sending:
	case <-ctx.Done():
		return struct{}{}, ctx.Err()
	}
	defer func() { c.sending <- struct{}{} }()
	if err := c.Send(m); err != nil && !errors.Is(err, io.EOF) {
		return struct{}{}, err
	}
	c.sent(m)
	return struct{}{}, nil
}

// halfClose ends the requests of a stream.
func (u *UI) halfClose(_ context.Context, in callInput) (struct{}, error) {
	c, err := u.find(in.ID)
	if err != nil {
		return struct{}{}, err
	}
	<-c.sending
	defer func() { c.sending <- struct{}{} }()
	return struct{}{}, c.CloseSend()
}

// cancel ends a call.
func (u *UI) cancel(_ context.Context, in callInput) (struct{}, error) {
	c, err := u.find(in.ID)
	if err == nil {
		c.Cancel()
	}
	return struct{}{}, err
}

// tell passes on an event, unless the page is closed.
func (c *call) tell(e event) {
	select {
	case c.events <- e:
	case <-c.over.Done():
	}
}

func (c *call) sent(m proto.Message) { c.tell(c.message("sent", m)) }

// message returns a message, stamped with the current time.
func (c *call) message(kind string, m proto.Message) event {
	text, err := protojson.MarshalOptions{Resolver: c.session.schema.Types()}.Marshal(m)
	if err != nil {
		text, _ = json.Marshal("this message has no JSON: " + err.Error())
	}
	e := event{Kind: kind, At: time.Since(c.Times().Began).Seconds(), JSON: string(text), Size: proto.Size(m)}
	if unknown := unknownFields(m.ProtoReflect()); unknown > 0 {
		e.Message = fmt.Sprintf("%d bytes of fields that the schema does not have", unknown)
	}
	return e
}

// unknownFields returns the number of bytes in a message, and in its nested
// messages, that belong to no field of the schema and so are not in its JSON.
func unknownFields(m protoreflect.Message) int {
	n := len(m.GetUnknown())
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.IsMap() && fd.MapValue().Message() != nil:
			v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
				n += unknownFields(v.Message())
				return true
			})
		case fd.IsList() && fd.Message() != nil:
			for i := range v.List().Len() {
				n += unknownFields(v.List().Get(i).Message())
			}
		case fd.Message() != nil && !fd.IsMap():
			n += unknownFields(v.Message())
		}
		return true
	})
	return n
}

// receive passes on what the server sends, and how the call ends.
func (c *call) receive(stop context.CancelFunc, ended func(code string)) {
	defer close(c.events)
	defer stop()
	if md := c.Headers(); md != nil {
		c.tell(event{Kind: "headers", Metadata: pairs(md)})
	}
	var err error
	for err == nil {
		var m *dynamicpb.Message
		if m, err = c.Receive(); err == nil {
			c.tell(c.message("message", m))
		}
	}
	if md := c.Trailers(); len(md) > 0 {
		c.tell(event{Kind: "trailers", Metadata: pairs(md)})
	}
	t := c.Times()
	end := event{Kind: "end", Code: "OK", Times: times([]string{"headers", "first message", "end"}, t.Headers, t.First, t.End)}
	if !errors.Is(err, io.EOF) {
		end.take(err, c.session)
	}
	c.tell(end)
	ended(end.Code)
}

// take puts the status of a failed call into the event.
func (e *event) take(err error, s *session) {
	p := problemOf(err)
	e.Code, e.Message, e.Next = "UNKNOWN", p.Message, p.Next
	var failed *inspect.Error
	if !errors.As(err, &failed) || failed.Status == nil {
		return
	}
	e.Code, e.Message = inspect.CodeName(failed.Status.Code()), failed.Status.Message()
	for _, any := range failed.Status.Proto().Details {
		text, err := protojson.MarshalOptions{Multiline: true, Resolver: s.schema.Types()}.Marshal(any)
		if err != nil {
			text = fmt.Appendf(nil, "%s: %s", any.TypeUrl, base64.StdEncoding.EncodeToString(any.Value))
		}
		e.Details = append(e.Details, string(text))
	}
}

// pairs returns headers in order of their names, with binary ones in base64.
func pairs(md metadata.MD) [][2]string {
	rows := [][2]string{}
	for _, name := range slices.Sorted(maps.Keys(md)) {
		for _, v := range md[name] {
			if strings.HasSuffix(name, "-bin") {
				v = base64.StdEncoding.EncodeToString([]byte(v))
			}
			rows = append(rows, [2]string{name, v})
		}
	}
	return rows
}
