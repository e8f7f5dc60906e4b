package fastgrpc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/stats"

	"github.com/grpcpipe/grpcpipe/internal/creds"
	"github.com/grpcpipe/grpcpipe/internal/firstbytes"
	"github.com/grpcpipe/grpcpipe/internal/follow"
	"github.com/grpcpipe/grpcpipe/internal/target"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// parse reads the target.
func (cc *ClientConn) parse(list follow.Lister) error {
	t, err := target.Parse(cc.text)
	if err != nil {
		return fmt.Errorf("fastgrpc: %w", err)
	}
	if t.Kind == target.OtherScheme && t.Scheme != "unix" {
		return fmt.Errorf("fastgrpc: target %q: the scheme %q needs name resolution, which only grpc-go has: use grpc.NewClient, "+
			"or write npipe:NAME, unix:PATH or HOST:PORT: %w", cc.text, t.Scheme, fs.ErrInvalid)
	}
	cc.target = t
	cc.scheme, cc.authority = "http", "localhost"
	switch t.Kind {
	case target.Pipes:
		cc.pipes = follow.New(t, list)
	case target.HostPort:
		cc.authority = cc.text
	}
	if c := cc.cfg.Credentials; c != nil {
		info := c.Info()
		if info.SecurityProtocol == "tls" {
			cc.scheme = "https"
		}
		//lint:ignore SA1019 grpc-go, too, takes the authority from a TLS configuration's ServerName.
		if name := info.ServerName; name != "" {
			cc.authority = name
		}
	}
	if t.TLS && cc.scheme != "https" {
		return fmt.Errorf("fastgrpc: target %q: https needs TLS credentials and none were given: set ClientConfig.Credentials to "+
			"credentials.NewTLS(...), or write http://pipe:/NAME or npipe:NAME if the server has no TLS: %w", cc.text, fs.ErrInvalid)
	}
	if t.Kind != target.Pipes && cc.cfg.Credentials == nil {
		return fmt.Errorf("fastgrpc: target %q: only pipes need no credentials: set ClientConfig.Credentials to credentials.NewTLS(...), "+
			"or to insecure.NewCredentials() of google.golang.org/grpc/credentials/insecure: %w", cc.text, fs.ErrInvalid)
	}
	if cc.cfg.Authority != "" {
		cc.authority = cc.cfg.Authority
	}
	return nil
}

// open dials, shakes hands and begins to speak.
func (cc *ClientConn) open(ctx context.Context, e *endpoint) (*clientLink, error) {
	raw, err := cc.dial(ctx, e.path)
	if err != nil {
		return nil, err
	}
	conn, info, err := cc.handshake(ctx, raw)
	if err != nil {
		raw.Close()
		return nil, err
	}
	l := &clientLink{cc: cc, place: e, peer: &peer.Peer{Addr: raw.RemoteAddr(), LocalAddr: raw.LocalAddr(), AuthInfo: info}}
	l.h2 = cc.under.conn(conn, l, false, cc.cfg.Limits)
	l.h2.Judge = func(first []byte, err error) error { return judge(raw, bytes.Clone(first), err, cc.cfg.ConnectTimeout) }
	cc.mu.Lock()
	if cc.closed {
		cc.mu.Unlock()
		raw.Close()
		return nil, context.Canceled
	}
	cc.links[l] = struct{}{}
	if ctx.Err() == nil {
		e.coming = l
	}
	l.pings = cc.pingTime
	cc.mu.Unlock()
	if l.pings > 0 {
		l.h2.KeepAlive(l.pings, cc.cfg.KeepAlive.Timeout, cc.cfg.KeepAlive.PermitWithoutStream)
	}
	if h := handlers(cc.cfg.StatsHandlers); h != nil {
		l.tagged = h.tagConn(context.Background(), l.peer)
		h.conn(l.tagged, &stats.ConnBegin{Client: true})
	}
	l.h2.Start()
	return l, nil
}

func (cc *ClientConn) dial(ctx context.Context, path string) (net.Conn, error) {
	if cc.under.dial != nil {
		return cc.under.dial(ctx, path)
	}
	switch cc.target.Kind {
	case target.Pipes:
		d := cc.cfg.Dialer
		if d == nil {
			d = new(namedpipe.Dialer)
		}
		c, err := cc.pipes.Dial(ctx, path, d)
		if err != nil {
			return nil, err // not a nil *namedpipe.Conn
		}
		return c, nil
	case target.HostPort:
		return new(net.Dialer).DialContext(ctx, "tcp", path)
	}
	return new(net.Dialer).DialContext(ctx, "unix", path)
}

// places are the addresses of a target that isn't a pattern.
func (cc *ClientConn) places() []string {
	switch cc.target.Kind {
	case target.Pipes:
		return cc.target.Paths
	case target.HostPort:
		return []string{cc.text}
	}
	_, path, _ := strings.Cut(cc.text, ":")
	return []string{strings.TrimPrefix(path, "//")}
}

// handshake finds out who the server is and, with TLS, begins that.
func (cc *ClientConn) handshake(ctx context.Context, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	pipe, ok := raw.(*namedpipe.Conn)
	checked := cc.cfg.Dialer == nil || !cc.cfg.Dialer.Server.Anyone
	c := cc.cfg.Credentials
	switch {
	case ok && c == nil:
		info, err := creds.OfServer(pipe, checked)
		return pipe, info, err
	case !ok:
		return c.ClientHandshake(ctx, cc.authority, raw)
	}
	judged := creds.NewClientConn(ctx, pipe, cc.target.TLS, checked)
	conn, info, err := c.ClientHandshake(ctx, cc.authority, judged)
	if err == nil && conn == judged && !cc.target.TLS {
		// Nothing on top: the engine does better with the pipe itself, and judges
		// what comes.
		return pipe, info, pipe.SetDeadline(time.Time{})
	}
	return conn, info, err
}

// words are how a user of this package turns TLS on and off.
var words = firstbytes.Words{
	AddTLS:  "set ClientConfig.Credentials to credentials.NewTLS(...)",
	DropTLS: "leave the TLS credentials out, with an npipe: or http: target",
}

// judge says what a server did in place of sending its settings, by its first
// bytes and the error of the connection, if that has ended.
func judge(c net.Conn, first []byte, err error, allowed time.Duration) error {
	_, fault := firstbytes.See(firstbytes.HTTP2, first, nil)
	if fault == nil && err != nil {
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			_, fault = firstbytes.See(firstbytes.HTTP2, first, os.ErrDeadlineExceeded)
		case errors.Is(err, io.EOF), errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNRESET):
			_, fault = firstbytes.See(firstbytes.HTTP2, first, io.EOF)
		}
	}
	if fault == nil {
		return err
	}
	addr := c.RemoteAddr()
	return &net.OpError{Op: "connect", Net: addr.Network(), Addr: addr, Err: errors.New(fault.Text(words, allowed))}
}
