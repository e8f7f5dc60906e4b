package grpcpipe

import (
	"fmt"
	"runtime"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	_ "google.golang.org/grpc/encoding/gzip" // both ends can take and send gzip without more ado
	_ "google.golang.org/grpc/health"        // the client side of health checking, asked for in a service config
	"google.golang.org/grpc/resolver"

	"github.com/grpcpipe/grpcpipe/internal/follow"
	"github.com/grpcpipe/grpcpipe/internal/target"
)

const (
	// Static windows turn off grpc's bandwidth estimate and the pings that it
	// costs, which between two processes of one machine estimate nothing. The
	// stream's window is also what one slow reader can make its own process
	// keep in memory, so it is 8 MiB and not the 16 that measured best by a
	// hair; the connection's lets eight such streams stand still without
	// holding up the ninth.
	streamWindow = 8 << 20
	connWindow   = 64 << 20
	// ioBuffer takes a message of 64 KiB with the heads of its frames in one
	// system call. More was measured to give nothing, and each connection that
	// is writing has one.
	ioBuffer = 80 << 10
	// connectTimeout is the time from the beginning of a dial to the peer's
	// SETTINGS.
	connectTimeout = 5 * time.Second
)

// NewClient returns a channel to the server behind a pipe. It does no I/O: the
// channel connects at the first call, or at Connect. The caller must Close it.
// Like every grpc.ClientConn it may be used by any number of goroutines.
//
// The target is one of
//
//	MyPipe                   a bare name, without : / , and *
//	npipe:MyPipe             or npipe:///MyPipe
//	\\.\pipe\MyPipe          or //./pipe/MyPipe, and either after npipe: or npipe://
//	http://pipe:/MyPipe      as in Kestrel; https: demands TLS credentials
//	/run/me/my.sock          or npipe:/run/me/my.sock, a Unix socket, not on Windows
//	npipe:a,b                several pipes
//	npipe:worker-*           every pipe whose name fits, followed as servers come and go
//
// The names mean what namedpipe.ResolveAddr says and are never decoded: %20 is
// three characters. After a slash or npipe:// comma and asterisk are
// part of the name. Over
// several pipes grpc's load balancing works as over several addresses: the
// first that answers (pick_first, the default) or all in turn (round_robin, by
// a service config).
//
// Every other target that grpc knows, such as dns:///example.com or
// 127.0.0.1:5000, goes on to grpc.NewClient with the caller's options only, so
// that a program can move to a network. What is neither is an error that shows
// the right spelling.
//
// A server that is neither this user's nor the system's is refused before a byte
// is sent to it; WithDialer changes that. The options given come after ours and
// win. Ours are: the credentials of NewCredentials, unless others are given; no
// proxy; the :authority localhost, also as
// the server's name under TLS; back-off from 50 ms to 2 s, cut short as soon as
// the pipe is there again; 5 s from dialling to the server's first HTTP/2 frame;
// windows of 8 MiB a stream and 64 MiB a connection, which is what a reader that
// stands still may leave in this process's memory; buffers that are not cleared
// between messages, for calls that carry protobuf; interceptors that say so when
// a call's deadline passed because the server takes no more calls on the
// connection. [WithConnections] opens more.
func NewClient(to string, opts ...grpc.DialOption) (*grpc.ClientConn, error) {
	t, err := target.Parse(to)
	if err != nil {
		return nil, fmt.Errorf("grpcpipe: %w", err)
	}
	switch {
	case t.Kind == target.Pipes:
		return newPipeClient(t, follow.System, opts)
	case t.Kind == target.HostPort || resolver.Get(t.Scheme) != nil:
		return grpc.NewClient(to, opts...)
	}
	return newForeign(t, opts)
}

// newForeign serves callers who brought a resolver for the target's scheme in
// grpc.WithResolvers. Options can't be looked into, but the channel tells which
// scheme it has settled for.
func newForeign(t target.Target, opts []grpc.DialOption) (*grpc.ClientConn, error) {
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
	ours := append(pipeOptions(newBuilder(t, conns, list)), codecOptions()...)
	// Ours are the innermost interceptors: they see a call as it is sent. There
	// is one of each kind because each costs every call an allocation.
	theirs := append(opts[:len(opts):len(opts)],
		grpc.WithChainUnaryInterceptor(lastUnary), grpc.WithChainStreamInterceptor(lastStream))
	bare := append(ours[:len(ours):len(ours)], theirs...)
	full := append(append(ours[:len(ours):len(ours)], grpc.WithTransportCredentials(NewCredentials(nil))), theirs...)
	if !t.TLS {
		cc, err := grpc.NewClient(t.URL, full...)
		if err != nil {
			// A bundle of credentials doesn't replace our default ones: grpc
			// refuses to have both.
			if cc, err := grpc.NewClient(t.URL, bare...); err == nil {
				return cc, nil
			}
			return nil, fmt.Errorf("grpcpipe: target %q: %w", t.Text, err)
		}
		return cc, nil
	}
	cc, err := grpc.NewClient(t.URL, bare...)
	if err == nil {
		return cc, nil
	}
	if cc, err2 := grpc.NewClient(t.URL, full...); err2 == nil {
		// So credentials were all that was missing.
		cc.Close()
		return nil, fmt.Errorf("grpcpipe: target %q: https needs TLS credentials and none were given: add "+
			"grpc.WithTransportCredentials(credentials.NewTLS(...)), or write http://pipe:/NAME or npipe:NAME if the server has no TLS", t.Text)
	}
	return nil, fmt.Errorf("grpcpipe: target %q: %w", t.Text, err)
}

// readBuffer is the size of a connection's read buffer. On Windows an idle
// connection holds it, so there it is as large as grpc's and no larger.
func readBuffer() int {
	if runtime.GOOS == "windows" {
		return 32 << 10
	}
	return ioBuffer
}

// pipeOptions are the options of every channel over pipes, but for credentials.
func pipeOptions(b *builder) []grpc.DialOption {
	opts := []grpc.DialOption{
		grpc.WithResolvers(b),
		grpc.WithContextDialer(b.dial),
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
	if b.conns > 0 {
		opts = append(opts, grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"`+LeastBusy+`":{}}]}`))
	}
	return opts
}
