package grpcpipe

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	_ "google.golang.org/grpc/encoding/gzip" // both ends can take and send gzip
	_ "google.golang.org/grpc/health"        // the client side of health checking, which a service config turns on
	"google.golang.org/grpc/resolver"

	"github.com/grpcpipe/grpcpipe/internal/follow"
	"github.com/grpcpipe/grpcpipe/internal/target"
)

const (
	// Static windows turn off grpc's bandwidth estimate and its pings, which
	// estimate nothing between two processes of one machine. A stream's window
	// is also what one slow reader can make its own process keep in memory, so
	// it is 8 MiB and not the 16 MiB that measured best by a hair. The
	// connection's lets eight such streams stand still without holding up a
	// ninth.
	streamWindow = 8 << 20
	connWindow   = 64 << 20
	// ioBuffer takes a message of 64 KiB with its frame headers in one system
	// call. More measured no faster, and each connection that is writing has one.
	ioBuffer = 80 << 10
	// connectTimeout bounds the time from the beginning of a dial to the server's
	// SETTINGS.
	connectTimeout = 5 * time.Second
)

// NewClient returns a channel to the server behind a pipe. It does no I/O: the
// channel connects at the first call, or when its Connect method is called. The
// caller must close it. Like every grpc.ClientConn it is safe for concurrent use.
//
// The target is one of
//
//	MyPipe                   a bare name, without : / , and *
//	npipe:MyPipe             or npipe:///MyPipe
//	\\.\pipe\MyPipe          or //./pipe/MyPipe, and either after npipe: or npipe://
//	http://pipe:/MyPipe      as in Kestrel; https: requires TLS credentials
//	/run/me/my.sock          or npipe:/run/me/my.sock, a Unix socket, not on Windows
//	npipe:a,b                several pipes
//	npipe:worker-*           all pipes that match, followed as servers come and go
//
// Names mean what namedpipe.ResolveAddr says and are never decoded: %20 is three
// characters. After npipe: a comma separates names and an asterisk stands for any
// characters; after npipe:// and without npipe: both are part of the name. Over
// several pipes grpc's load balancing works as over several addresses: it uses
// the first that answers (pick_first, the default) or all in turn (round_robin,
// set in a service config).
//
// Any other target that grpc knows, such as dns:///example.com or
// 127.0.0.1:5000, is passed to grpc.NewClient with the caller's options alone, so
// that a program can move to a network. Anything else is an error that matches
// fs.ErrInvalid and shows the right spelling.
//
// A server that runs neither as this user nor as the system is refused before a
// byte is sent to it; [WithDialer] changes that.
//
// The caller's options override these defaults:
//
//   - The credentials are those of [NewCredentials].
//   - There is no proxy.
//   - The :authority and, under TLS, the server's name are localhost.
//   - The time between two attempts to connect grows from 50 ms to 2 s. It is cut
//     short when a missing pipe is there again.
//   - An attempt fails if the server's first HTTP/2 frame takes more than 5 s.
//   - Flow-control windows are 8 MiB per stream and 64 MiB per connection: what
//     this process keeps in memory for a caller that stops reading.
//   - Protobuf messages are encoded into buffers that are not cleared between uses.
//   - If a call's deadline passes because the server takes no more calls at a time
//     on the connection, the error says so. [WithConnections] opens more.
func NewClient(target string, opts ...grpc.DialOption) (*grpc.ClientConn, error) {
	return newClient(target, follow.System, opts)
}

// newClient is NewClient with a lister for patterns.
func newClient(text string, list follow.Lister, opts []grpc.DialOption) (*grpc.ClientConn, error) {
	t, err := target.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("grpcpipe: %w", err)
	}
	switch {
	case t.Kind == target.Pipes:
		return newPipeClient(t, list, opts)
	case t.Kind == target.HostPort || resolver.Get(t.Scheme) != nil:
		return grpc.NewClient(text, opts...)
	}
	return newOtherClient(t, opts)
}

// newOtherClient serves callers who bring a resolver for the target's scheme in
// grpc.WithResolvers. Options can't be inspected, but the channel tells which
// scheme it has settled for.
func newOtherClient(t target.Target, opts []grpc.DialOption) (*grpc.ClientConn, error) {
	if cc, err := grpc.NewClient(t.Text, opts...); err == nil {
		if strings.HasPrefix(cc.CanonicalTarget(), t.Scheme+":") {
			return cc, nil
		}
		cc.Close()
	}
	return nil, fmt.Errorf("grpcpipe: %w", &target.Error{
		Text: t.Text, What: fmt.Sprintf("no resolver for the scheme %q is registered", t.Scheme),
		Remedy: "write npipe:NAME for a pipe, or host:port or dns:///host:port for the network",
	})
}

// newPipeClient makes the channel to the pipes that t names.
func newPipeClient(t target.Target, list follow.Lister, opts []grpc.DialOption) (*grpc.ClientConn, error) {
	conns, err := wantedConnections(opts)
	if err != nil {
		return nil, err
	}
	ours := append(pipeOptions(newChannel(t, conns, list)), codecOptions()...)
	// Ours are the innermost interceptors: they see a call as it is sent. There
	// is one of each kind because each costs every call an allocation.
	all := slices.Concat(ours, opts, []grpc.DialOption{
		grpc.WithChainUnaryInterceptor(lastUnary), grpc.WithChainStreamInterceptor(lastStream)})
	// Options can't be asked whether there are credentials among them, and grpc
	// refuses ours beside a bundle. So the caller's are tried alone first.
	if cc, err := grpc.NewClient(t.URL, all...); err == nil {
		return cc, nil
	}
	all = append([]grpc.DialOption{grpc.WithTransportCredentials(NewCredentials(nil))}, all...)
	cc, err := grpc.NewClient(t.URL, all...)
	switch {
	case err != nil:
		return nil, fmt.Errorf("grpcpipe: target %q: %w", t.Text, err)
	case t.TLS: // and credentials were all that was missing
		cc.Close()
		return nil, fmt.Errorf("grpcpipe: target %q: https needs TLS credentials and none were given: add "+
			"grpc.WithTransportCredentials(credentials.NewTLS(...)), or write http://pipe:/NAME or npipe:NAME if the server has no TLS", t.Text)
	}
	return cc, nil
}

// readBuffer returns the size of a connection's read buffer. On Windows an idle
// connection holds it, so there it is as large as grpc's and no larger.
func readBuffer() int {
	if runtime.GOOS == "windows" {
		return 32 << 10
	}
	return ioBuffer
}

// pipeOptions returns the options of every channel over pipes, but for credentials.
func pipeOptions(ch *channel) []grpc.DialOption {
	opts := []grpc.DialOption{
		grpc.WithResolvers(ch),
		grpc.WithContextDialer(ch.dial),
		grpc.WithNoProxy(),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{
				BaseDelay:  50 * time.Millisecond,
				Multiplier: 1.6,
				Jitter:     0.2,
				MaxDelay:   2 * time.Second,
			},
			MinConnectTimeout: connectTimeout,
		}),
		grpc.WithStaticStreamWindowSize(streamWindow),
		grpc.WithStaticConnWindowSize(connWindow),
		grpc.WithReadBufferSize(readBuffer()),
		grpc.WithWriteBufferSize(ioBuffer),
	}
	if ch.conns > 0 {
		opts = append(opts, grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"`+LeastBusy+`":{}}]}`))
	}
	return opts
}
