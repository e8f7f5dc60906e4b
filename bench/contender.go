package main

import (
	"context"
	"errors"
	"net"
	"time"
)

// A contender is one way for two processes to talk. To add one, write a file
// that calls register from an init function.
type contender struct {
	name, about string
	// network is "pipe", "unix" or "tcp": the kind of serve's listener. For
	// "pipe" it is one of package namedpipe.
	network string
	// prepare sets what applies to the whole process; it is called first.
	prepare func()
	// listen creates the listener, if network isn't enough to do so.
	listen func(addr string) (net.Listener, error)
	// serve serves until the listener is closed.
	serve func(net.Listener) error
	// dial makes a connection to the server.
	dial func(addr string) (session, error)
	// run takes the place of dial for a client that is another program.
	run func(addr string, l line, d time.Duration) (*outcome, error)
}

// A session is a connection to a contender's server. Its methods are called
// from several goroutines.
type session interface {
	// echo makes a call that answers with its payload.
	echo(context.Context, []byte) error
	Close() error
}

// A receiver can take a stream of messages from its server.
type receiver interface {
	receive(ctx context.Context, size, count int) error
}

// A sender can send a stream of messages to its server and wait until all have
// arrived.
type sender interface {
	send(ctx context.Context, payload []byte, count int) error
}

// A chatter can have each message of a stream answered before it sends the next.
type chatter interface {
	chat(ctx context.Context, payload []byte, count int) error
}

// A blocker's server has a method like echo's whose handler sometimes blocks.
type blocker interface {
	blocks(context.Context, []byte) error
}

// A tagger can send metadata with its calls.
type tagger interface {
	tagged(context.Context) context.Context
}

// A single is a session that carries one call at a time.
type single interface{ single() }

// errNot means that a contender doesn't offer this work; the table has a gap there.
var errNot = errors.New("not offered by this contender")

var contenders []*contender

func register(c *contender) { contenders = append(contenders, c) }

func find(name string) *contender {
	for _, c := range contenders {
		if c.name == name {
			return c
		}
	}
	return nil
}

// The contenders that others are compared with.
const (
	stock      = "grpc-go"         // on the system's local socket, or on TCP on Windows
	stockAgain = "grpc-go (again)" // the same again, to measure the noise
	ours       = "grpcpipe"
	engineName = "fastgrpc"
)
