package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/grpcpipe/grpcpipe/internal/load"
)

// An outcome is one measurement.
type outcome struct {
	Ops     int64         // calls, messages or dials
	Elapsed time.Duration // of all of them
	P50     time.Duration
	P99     time.Duration
	// What both processes spent on it, filled in by the orchestrator.
	Client, Server stats
}

// load does the line's work for a while, after a warm-up.
func (l *loader) load(ln line, d time.Duration) (*outcome, error) {
	if l.run != nil {
		return l.run(l.addr, ln, d)
	}
	workers, err := l.workers(ln)
	if err != nil {
		return nil, err
	}
	d *= time.Duration(max(ln.Long, 1))
	if ln.Flood == "" {
		return timed(workers, d)
	}
	stop, err := l.flood(ln.Flood, ln.Apart)
	if err != nil {
		return nil, err
	}
	o, err := timed(workers, d)
	return o, errors.Join(err, stop())
}

// timed drives the workers after a warm-up.
func timed(workers []worker, d time.Duration) (*outcome, error) {
	if _, err := drive(workers, d/4); err != nil {
		return nil, err
	}
	before := readStats()
	o, err := drive(workers, d)
	if err != nil {
		return nil, err
	}
	o.Client = readStats().minus(before)
	return o, nil
}

// flood keeps a stream of large messages going until stop is called.
func (l *loader) flood(kind string, apart bool) (stop func() error, err error) {
	sessions, err := l.open(2)
	if err != nil {
		return nil, err
	}
	if _, ok := sessions[0].(single); ok {
		return nil, errNot
	}
	s := sessions[0]
	if apart {
		s = sessions[1]
	}
	w, err := work(s, line{Kind: kind, Size: 64 << 10})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		var err error
		for ctx.Err() == nil && err == nil {
			_, err = w()
		}
		done <- err
	}()
	return func() error { cancel(); return <-done }, nil
}

// A worker does one unit of work and returns its number of operations.
type worker func() (int, error)

func (l *loader) workers(ln line) ([]worker, error) {
	if ln.Kind == "dial" {
		return []worker{l.dialOnce}, nil
	}
	first, err := l.open(1)
	if err != nil {
		return nil, err
	}
	// If a connection carries one call at a time, each worker has its own, as in
	// real programs.
	n := max(ln.Sessions, 1)
	if _, ok := first[0].(single); ok {
		n = max(n, ln.InFlight)
	}
	sessions, err := l.open(n)
	if err != nil {
		return nil, err
	}
	var out []worker
	for i := range ln.InFlight {
		s := sessions[i%n]
		if ln.Sessions > ln.InFlight {
			out = append(out, spread(sessions, i, ln.InFlight, ln))
			continue
		}
		w, err := work(s, ln)
		if err != nil {
			return nil, err
		}
		out = append(out, w)
	}
	return out, nil
}

// spread returns a worker that uses its share of the connections in turn.
func spread(sessions []session, at, step int, ln line) worker {
	payload := make([]byte, ln.Size)
	ctx := context.Background()
	i := at
	return func() (int, error) {
		s := sessions[i]
		if i += step; i >= len(sessions) {
			i = at
		}
		return 1, s.echo(ctx, payload)
	}
}

func work(s session, ln line) (worker, error) {
	payload := make([]byte, ln.Size)
	ctx := context.Background()
	count := ln.count()
	switch ln.Kind {
	case "unary":
		if ln.Blocks {
			b, ok := s.(blocker)
			if !ok {
				return nil, errNot
			}
			return func() (int, error) { return 1, b.blocks(ctx, payload) }, nil
		}
		if ln.Metadata {
			if _, ok := s.(tagger); !ok {
				return nil, errNot
			}
		}
		if !ln.Deadline && !ln.Metadata {
			return func() (int, error) { return 1, s.echo(ctx, payload) }, nil
		}
		return func() (int, error) {
			ctx, cancel := context.WithTimeout(callContext(ln, s), deadline)
			defer cancel()
			return 1, s.echo(ctx, payload)
		}, nil
	case "receive":
		r, ok := s.(receiver)
		if !ok {
			return nil, errNot
		}
		return func() (int, error) { return count, r.receive(ctx, ln.Size, count) }, nil
	case "send":
		r, ok := s.(sender)
		if !ok {
			return nil, errNot
		}
		return func() (int, error) { return count, r.send(ctx, payload, count) }, nil
	case "chat":
		c, ok := s.(chatter)
		if !ok {
			return nil, errNot
		}
		return func() (int, error) { return count, c.chat(ctx, payload, count) }, nil
	}
	return nil, fmt.Errorf("unknown kind of work %q", ln.Kind)
}

func callContext(ln line, s session) context.Context {
	ctx := context.Background()
	if t, ok := s.(tagger); ok && ln.Metadata {
		ctx = t.tagged(ctx)
	}
	return ctx
}

func (l *loader) dialOnce() (int, error) {
	s, err := l.dial(l.addr)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	return 1, s.echo(context.Background(), make([]byte, 64))
}

// drive runs the workers until the time is over or one of them fails.
func drive(workers []worker, d time.Duration) (*outcome, error) {
	ctx, fail := context.WithCancelCause(context.Background())
	defer fail(nil)
	ops := make([]int64, len(workers))
	r := load.Run(ctx, load.Config{Workers: len(workers), Duration: d, Call: func(i int) error {
		n, err := workers[i]()
		if err != nil {
			fail(err)
		}
		ops[i] += int64(n)
		return err
	}})
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	o := &outcome{Elapsed: r.Elapsed, P50: r.Percentile(50), P99: r.Percentile(99)}
	for _, n := range ops {
		o.Ops += n
	}
	return o, nil
}
