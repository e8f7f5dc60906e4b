package inspect

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/credentials"

	"github.com/grpcpipe/grpcpipe/internal/follow"
	"github.com/grpcpipe/grpcpipe/internal/target"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// A trace records how a connection became ready: the time of each stage, the
// server's settings, and, if it failed, the original error rather than grpc's
// text of it. Its methods are safe for concurrent use.
type trace struct {
	mu       sync.Mutex
	began    time.Time
	waited   time.Duration // for an instance, or for the server to start
	open     time.Duration // the last attempt only
	opened   time.Time
	secured  time.Time // when the TLS handshake was done; zero without TLS
	settled  time.Time
	settings []http2.Setting
	tls      *tls.ConnectionState
	err      error
	pipe     *namedpipe.Conn // nil for a network address
	addr     string
}

// fail records why there is no connection. The first reason counts: later ones
// are often its consequences.
func (t *trace) fail(err error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err == nil {
		t.err = err
	}
	return err
}

// settle records that the server's settings have come.
func (t *trace) settle(settings []http2.Setting) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.settled, t.settings = time.Now(), settings
}

// Stages are the durations of the parts of connecting. TLS is 0 without TLS.
type Stages struct {
	Open     time.Duration // the pipe or the socket
	Wait     time.Duration // for a free instance, or for the server to start
	TLS      time.Duration
	Settings time.Duration // until the server's HTTP/2 settings came
}

func (t *trace) stages() Stages {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := Stages{Open: t.open, Wait: t.waited}
	from := t.opened
	if !t.secured.IsZero() {
		s.TLS = t.secured.Sub(from)
		from = t.secured
	}
	if !t.settled.IsZero() {
		s.Settings = t.settled.Sub(from)
	}
	return s
}

// peer returns the server's process, nil if it is unknown.
func (t *trace) peer() *namedpipe.Peer {
	t.mu.Lock()
	pipe := t.pipe
	t.mu.Unlock()
	if pipe == nil {
		return nil
	}
	p, err := pipe.Peer()
	if err != nil {
		return nil
	}
	return p
}

// A dialer makes the traced connections of one channel.
type dialer struct {
	trace  *trace
	cfg    *Config
	isPipe bool // the addresses are pipes
	tls    bool
}

// quick is how long opening a pipe may take before it counts as waiting.
const quick = 20 * time.Millisecond

// dial connects to an address that grpc has resolved.
func (d *dialer) dial(ctx context.Context, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.timeout())
	defer cancel()
	t := d.trace
	t.mu.Lock()
	t.began, t.addr = time.Now(), addr
	t.mu.Unlock()
	c, err := d.open(ctx, addr)
	if err != nil {
		return nil, t.fail(err)
	}
	t.mu.Lock()
	t.opened = time.Now()
	t.pipe, _ = c.(*namedpipe.Conn)
	t.mu.Unlock()
	end, _ := ctx.Deadline()
	return d.firstConn(c, end, false), nil
}

func (d *dialer) open(ctx context.Context, addr string) (net.Conn, error) {
	began := time.Now()
	if !d.isPipe {
		return d.openNetwork(ctx, addr)
	}
	if addr == target.NoPipe {
		return nil, noneMatches(d.cfg.Target, d.cfg.Words)
	}
	nd := namedpipe.Dialer{Server: d.cfg.Trust}
	// A short first attempt separates opening from waiting: the library does
	// both in one call.
	short, cancel := context.WithTimeout(ctx, quick)
	c, err := nd.Dial(short, addr)
	cancel()
	if err == nil {
		d.note(0, time.Since(began))
		return c, nil
	}
	missing := errors.Is(err, fs.ErrNotExist)
	if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) && !(missing && d.cfg.Wait) {
		return nil, err
	}
	nd.WaitForServer = d.cfg.Wait
	c, err = nd.Dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	d.note(time.Since(began), 0)
	return c, nil
}

// openNetwork opens a connection that isn't a pipe.
func (d *dialer) openNetwork(ctx context.Context, addr string) (net.Conn, error) {
	began := time.Now()
	for {
		last := time.Now()
		c, err := dialNetwork(ctx, addr, d.cfg.Words)
		missing := errors.Is(err, ErrRefused) || errors.Is(err, fs.ErrNotExist)
		if !missing || !d.cfg.Wait {
			d.note(last.Sub(began), time.Since(last))
			return c, err
		}
		select { // nothing reports that a server has started
		case <-time.After(quick):
		case <-ctx.Done():
			return nil, err
		}
	}
}

// note records how long opening took.
func (d *dialer) note(waited, open time.Duration) {
	d.trace.mu.Lock()
	d.trace.waited, d.trace.open = waited, open
	d.trace.mu.Unlock()
}

// dialNetwork connects to an address that isn't a pipe.
func dialNetwork(ctx context.Context, addr string, w Words) (net.Conn, error) {
	var nd net.Dialer
	network := "tcp"
	if path, ok := strings.CutPrefix(addr, "unix:"); ok { // unix:///absolute or unix:relative
		network, addr = "unix", strings.TrimPrefix(path, "//")
	} else if strings.HasPrefix(addr, "\x00") { // unix-abstract:
		network = "unix"
	}
	c, err := nd.DialContext(ctx, network, addr)
	if err == nil {
		return c, nil
	}
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		return nil, &Error{Kind: Unreachable, Err: err, Next: join("nobody answered in time: check the address", w.MoreTime)}
	}
	return nil, &Error{Kind: Unreachable, Err: err, Next: "start the server, or check the address"}
}

// noneMatches returns the error for a pattern that no pipe matches.
func noneMatches(text string, w Words) error {
	pattern := strings.TrimPrefix(text, target.Scheme+":")
	if _, err := follow.System.List(pattern); err != nil {
		return Unreached(err, w)
	}
	return &Error{Kind: Unreachable, Err: fmt.Errorf("no pipe matches %s", text), Next: join("start a server", w.List)}
}

// tracedTLS records when the handshake was done and watches what follows.
type tracedTLS struct {
	credentials.TransportCredentials
	dialer *dialer
}

func (c tracedTLS) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := c.TransportCredentials.ClientHandshake(ctx, authority, raw)
	t := c.dialer.trace
	if err != nil {
		return nil, nil, t.fail(&Error{Kind: Unreachable, Err: err, Next: tlsNext(err, c.dialer.cfg.Words)})
	}
	t.mu.Lock()
	t.secured = time.Now()
	if i, ok := info.(credentials.TLSInfo); ok {
		t.tls = &i.State
	}
	t.mu.Unlock()
	end, ok := ctx.Deadline()
	if !ok {
		end = time.Now().Add(c.dialer.cfg.timeout())
	}
	return c.dialer.firstConn(conn, end, true), info, nil
}

func (c tracedTLS) Clone() credentials.TransportCredentials {
	return tracedTLS{c.TransportCredentials.Clone(), c.dialer}
}

// tlsNext says what to do about a failed handshake.
func tlsNext(err error, w Words) string {
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	text := err.Error()
	switch {
	case errors.As(err, &authority), strings.Contains(text, "unknown authority"):
		return w.CACert
	case errors.As(err, &name), strings.Contains(text, "cannot validate certificate"):
		return w.ServerName
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "renew the server's certificate, or check this machine's clock"
	case strings.Contains(text, "certificate required"), strings.Contains(text, "bad certificate"):
		return w.ClientCert
	}
	return ""
}
