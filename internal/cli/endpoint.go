package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/grpcpipe/grpcpipe/internal/cli/relay"
	"github.com/grpcpipe/grpcpipe/internal/inspect"
	"github.com/grpcpipe/grpcpipe/internal/target"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// An endpoint is one side of `proxy`.
type endpoint struct {
	kind string // pipe, unix, tcp or stdio
	addr string
}

func (e endpoint) String() string {
	if e.kind == "stdio" {
		return "standard input and output"
	}
	return e.kind + ":" + e.addr
}

// parseEndpoint reads one of the sides. What has no prefix is a pipe's name, or
// host:port.
func parseEndpoint(text string) (endpoint, error) {
	if text == "-" || text == "stdio" {
		return endpoint{kind: "stdio"}, nil
	}
	if addr, ok := strings.CutPrefix(text, "tcp:"); ok {
		return tcpEndpoint(text, strings.TrimPrefix(addr, "//"))
	}
	t, err := target.Parse(text)
	switch {
	case err != nil:
		return endpoint{}, badTarget(err)
	case t.Kind == target.HostPort:
		return tcpEndpoint(text, text)
	case t.Scheme == "unix":
		path := strings.TrimPrefix(text[len("unix:"):], "//")
		if path == "" {
			return endpoint{}, usage("%q: the socket's path is missing: write unix:/run/me/my.sock", text)
		}
		return endpoint{"unix", path}, nil
	case t.Kind != target.Pipes:
		return endpoint{}, usage("%q: write a pipe's name, unix:PATH, tcp:127.0.0.1:PORT or -", text)
	case len(t.Paths) == 1:
		return endpoint{"pipe", t.Paths[0]}, nil
	}
	return endpoint{}, usage("%q: proxy relays to one pipe: name it", text)
}

// tcpEndpoint refuses all but this machine's own addresses: a pipe is closed to
// the network, and what leads to it must be too.
func tcpEndpoint(text, addr string) (endpoint, error) {
	if !strings.Contains(addr, ":") {
		addr = "127.0.0.1:" + addr
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return endpoint{}, usage("%q: write tcp:127.0.0.1:PORT", text)
	}
	if host == "localhost" || host == "" && strings.HasPrefix(addr, ":") {
		host = "127.0.0.1"
	}
	ip, err := netip.ParseAddr(host)
	if err != nil || !ip.IsLoopback() {
		return endpoint{}, usage("%q: proxy binds and dials this machine's loopback only: write tcp:127.0.0.1:%s", text, port)
	}
	return endpoint{"tcp", net.JoinHostPort(host, port)}, nil
}

// listen listens on the endpoint.
func (a *app) listenOn(ctx context.Context, e endpoint, access []string) (net.Listener, error) {
	if len(access) > 0 && e.kind != "pipe" {
		return nil, usage("--access is for pipes: %s is not one", e)
	}
	switch e.kind {
	case "stdio":
		return relay.NewStdio(a.stdin, a.stdout).Listener(), nil
	case "pipe":
		lis, _, err := listen(ctx, e.addr, access)
		if err != nil {
			return nil, err
		}
		return lis, nil
	case "unix":
		return listenUnix(e.addr)
	}
	lis, err := net.Listen("tcp", e.addr)
	if err != nil {
		return nil, internal(fmt.Errorf("%w: choose another port, or 0 for any", err))
	}
	return lis, nil
}

// listenUnix listens on a socket that nobody but this user can connect to. A
// socket that nobody listens on any more is removed first.
func listenUnix(path string) (net.Listener, error) {
	lis, err := privately(func() (net.Listener, error) { return net.Listen("unix", path) })
	if errors.Is(err, errInUse) && isDeadSocket(path) {
		if err := os.Remove(path); err != nil {
			return nil, internal(err)
		}
		lis, err = privately(func() (net.Listener, error) { return net.Listen("unix", path) })
	}
	if err != nil {
		return nil, internal(fmt.Errorf("%w: choose another path, or stop the program that listens there", err))
	}
	return lis, nil
}

func isDeadSocket(path string) bool {
	info, err := os.Lstat(path)
	if err != nil || info.Mode()&fs.ModeSocket == 0 {
		return false
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		c.Close()
	}
	return errors.Is(err, inspect.ErrRefused)
}

// dialTo returns what connects to the endpoint. A busy pipe is tried again for
// as long as the timeout.
func (a *app) dialTo(e endpoint, trust namedpipe.Trust, timeout time.Duration) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		switch e.kind {
		case "stdio":
			return relay.NewStdio(a.stdin, a.stdout), nil
		case "pipe":
			d := namedpipe.Dialer{Server: trust}
			c, err := d.Dial(ctx, e.addr)
			if err != nil {
				return nil, err
			}
			return c, nil
		}
		var d net.Dialer
		c, err := d.DialContext(ctx, e.kind, e.addr)
		if err != nil {
			return nil, fmt.Errorf("%w: start the server, or check the address", err)
		}
		return c, nil
	}
}
