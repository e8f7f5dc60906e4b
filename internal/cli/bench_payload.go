package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"sync/atomic"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/grpcpipe/grpcpipe/internal/inspect"
)

// ahead is how many payloads are made before they are needed, so that making
// them is not measured.
const ahead = 1024

// payloads gives each call its requests. Either they are all made before, or made
// for each call by a goroutine that is ahead of the calls.
type payloads struct {
	ready [][]raw      // in turn
	n     atomic.Int64 // calls so far

	make func(n int64) ([]raw, error)
	made chan []raw
}

// newPayloads reads and checks the requests before anything is sent.
func newPayloads(in *requests, m protoreflect.MethodDescriptor, sch *inspect.Schema, flags *benchFlags) (*payloads, error) {
	e := &encoder{m: m, sch: sch, flags: flags}
	var rows *rows
	if flags.rows != "" {
		var err error
		if rows, err = readRows(flags.rows); err != nil {
			return nil, err
		}
		rows.target = in.target
	}
	switch {
	case flags.template:
		return e.templates(in, rows)
	case rows != nil:
		return e.rows(rows)
	}
	return e.requests(in)
}

// An encoder makes payloads for a method.
type encoder struct {
	m     protoreflect.MethodDescriptor
	sch   *inspect.Schema
	flags *benchFlags
}

// requests are those of -d: all of them in each call of a method that takes a
// stream, else one a call, in turn.
func (e *encoder) requests(in *requests) (*payloads, error) {
	all, err := e.all(in)
	if err != nil {
		return nil, err
	}
	switch {
	case len(all) == 0 && in.given:
		return nil, usage("%s is empty: write a request as JSON, or leave -d out for an empty request", in.name)
	case e.m.IsStreamingClient():
		return &payloads{ready: [][]raw{append([]raw{}, all...)}}, nil
	case len(all) == 0:
		return &payloads{ready: [][]raw{{encoded(nil)}}}, nil
	}
	p := &payloads{}
	for i := range all {
		p.ready = append(p.ready, all[i:i+1])
	}
	return p, nil
}

// all reads and encodes requests.
func (e *encoder) all(in *requests) ([]raw, error) {
	var all []raw
	for {
		msg := dynamicpb.NewMessage(e.m.Input())
		err := in.next(msg, e.sch.Types())
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		data, err := proto.Marshal(msg)
		if err != nil {
			return nil, internal(err)
		}
		all = append(all, encoded(data))
		if len(all) > maxRequests {
			return nil, usage("%s has more than %d requests: give fewer", in.name, maxRequests)
		}
	}
}

func encoded(data []byte) raw { return raw{mem.BufferSlice{mem.SliceBuffer(data)}} }

// rows makes a request of each row.
func (e *encoder) rows(rows *rows) (*payloads, error) {
	p := &payloads{}
	for i := range rows.rows {
		text, err := rows.request(i, e.m.Input())
		if err != nil {
			return nil, err
		}
		one, err := e.all(e.input(rows.where(i), text))
		if err != nil {
			return nil, err
		}
		p.ready = append(p.ready, one)
	}
	return p, nil
}

// input reads requests from a text that was made; name is for errors.
func (e *encoder) input(name string, text []byte) *requests {
	flags := e.flags.dataFlags
	flags.format = "json"
	return &requests{name: name, flags: flags, given: true, dec: json.NewDecoder(bytes.NewReader(text))}
}

// templates makes requests by expanding -d. It is tried with every row before
// anything is sent.
func (e *encoder) templates(in *requests, rows *rows) (*payloads, error) {
	if in.dec == nil {
		return nil, usage("--template is for JSON: leave --format out")
	}
	text, err := in.all()
	if err != nil {
		return nil, err
	}
	t, err := parseTemplate(in.name, text)
	if err != nil {
		return nil, err
	}
	make := func(n int64) ([]raw, error) {
		var row map[string]any
		where := in.name
		if rows != nil {
			i := int(n % int64(len(rows.rows)))
			row, where = rows.rows[i], rows.where(i)
		}
		out, err := t.expand(n, row)
		if err != nil {
			return nil, usage("%s: %s: %w", where, in.name, err)
		}
		all, err := e.all(e.input(where+", expanded", out))
		switch {
		case err != nil:
			return nil, err
		case len(all) == 0 && !e.m.IsStreamingClient():
			return nil, usage("%s: the template makes no request", where)
		case len(all) > 1 && !e.m.IsStreamingClient():
			return nil, usage("%s: the template makes %d requests for one call, and %s takes one", where, len(all), e.m.Name())
		}
		return all, nil
	}
	tries := 1
	if rows != nil {
		tries = len(rows.rows)
	}
	for n := range tries {
		if _, err := make(int64(n)); err != nil {
			return nil, err
		}
	}
	return &payloads{make: make}, nil
}

// start begins to make payloads until ctx ends; failed gets the error of one that
// can't be made.
func (p *payloads) start(ctx context.Context, failed context.CancelCauseFunc) {
	if p.make == nil {
		return
	}
	p.made = make(chan []raw, ahead)
	go func() {
		defer close(p.made)
		for n := int64(0); ; n++ {
			one, err := p.make(n)
			if err != nil {
				failed(err)
				return
			}
			select {
			case p.made <- one:
			case <-ctx.Done():
				return
			}
		}
	}()
}

// next returns the requests of the next call, nil when the run has ended.
func (p *payloads) next() []raw {
	if p.made != nil {
		return <-p.made
	}
	if len(p.ready) == 1 {
		return p.ready[0]
	}
	return p.ready[int((p.n.Add(1)-1)%int64(len(p.ready)))]
}
