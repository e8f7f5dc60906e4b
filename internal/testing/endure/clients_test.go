package endure

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"

	"github.com/grpcpipe/grpcpipe/fastgrpc"
	"github.com/grpcpipe/grpcpipe/internal/testing/engine"
)

const (
	// callLimit bounds a call. No trouble lasts as long.
	callLimit = 30 * time.Second
	// rest is between two calls, so that the machine has time for the troubles.
	rest = 2 * time.Millisecond
)

// A client makes calls of one kind, one after the other.
type client struct {
	number uint64
	kind   string
	engine engine.Engine
	pipe   string
	fresh  bool // each call has a connection of its own

	cc    engine.Conn
	made  uint64
	calls []call // of this round
}

// A call is one that a client made.
type call struct {
	number     uint64
	kind       string
	start, end time.Time
	err        error
}

var kinds = map[string]func(context.Context, testpb.TestServiceClient) error{
	"unary": unary, "fresh": unary, "stream": stream, "slow": slowReader,
}

func unary(ctx context.Context, c testpb.TestServiceClient) error {
	_, err := c.UnaryCall(ctx, &testpb.SimpleRequest{ResponseSize: 64})
	return err
}

// stream sends some messages, each of which is answered.
func stream(ctx context.Context, c testpb.TestServiceClient) error {
	s, err := c.FullDuplexCall(ctx)
	if err != nil {
		return err
	}
	for range 20 {
		// What Send returns doesn't say why the call has failed.
		if err := s.Send(&testpb.StreamingOutputCallRequest{ResponseParameters: []*testpb.ResponseParameters{{Size: 8}}}); err != nil && err != io.EOF {
			return err
		}
		if _, err := s.Recv(); err != nil {
			return noEOF(err)
		}
	}
	s.CloseSend()
	if _, err := s.Recv(); err != io.EOF {
		return fmt.Errorf("at the stream's end: %w", err)
	}
	return nil
}

// slowReader takes its time with what comes, more than fits into any window.
func slowReader(ctx context.Context, c testpb.TestServiceClient) error {
	in := &testpb.StreamingOutputCallRequest{}
	for range 24 {
		in.ResponseParameters = append(in.ResponseParameters, &testpb.ResponseParameters{Size: 512 << 10})
	}
	s, err := c.StreamingOutputCall(ctx, in)
	if err != nil {
		return err
	}
	for range in.ResponseParameters {
		if _, err := s.Recv(); err != nil {
			return noEOF(err)
		}
		time.Sleep(20 * time.Millisecond) // what a slow reader is
	}
	if _, err := s.Recv(); err != io.EOF {
		return fmt.Errorf("at the stream's end: %w", err)
	}
	return nil
}

func noEOF(err error) error {
	if err == io.EOF {
		return errors.New("the stream ended before its last message")
	}
	return err
}

func (c *client) dial() (err error) {
	c.cc, err = c.engine.NewClient(c.pipe, fastgrpc.ClientConfig{CallOptions: []grpc.CallOption{grpc.WaitForReady(true)}})
	return err
}

// run makes calls until stop is closed.
func (c *client) run(ctx context.Context, stop <-chan struct{}) {
	c.calls = c.calls[:0]
	for {
		select {
		case <-stop:
			return
		case <-time.After(rest):
		}
		c.calls = append(c.calls, c.one(ctx))
	}
}

func (c *client) one(ctx context.Context) call {
	made := call{number: c.number<<32 | c.made, kind: c.engine.Name + " " + c.kind, start: time.Now()}
	c.made++
	ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(ctx, callKey, strconv.FormatUint(made.number, 10)), callLimit)
	defer cancel()
	if c.fresh && c.cc != nil {
		c.cc.Close()
		c.cc = nil
	}
	if c.cc == nil {
		made.err = c.dial()
	}
	if made.err == nil {
		made.err = kinds[c.kind](ctx, testpb.NewTestServiceClient(c.cc))
	}
	made.end = time.Now()
	return made
}

// callerMain is a client to be killed: its arguments are the engine, the pipe and
// its number.
func callerMain() {
	number, err := strconv.ParseUint(os.Args[3], 10, 64)
	if err != nil {
		panic(err)
	}
	var all sync.WaitGroup
	fmt.Println("ready")
	for i, kind := range []string{"unary", "stream", "slow"} {
		c := client{number: number + uint64(i), kind: kind, engine: engineNamed(os.Args[1]), pipe: os.Args[2]}
		all.Go(func() { c.run(context.Background(), nil) })
	}
	all.Wait()
}
