package fastgrpc

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"github.com/grpcpipe/grpcpipe/internal/follow"
	"github.com/grpcpipe/grpcpipe/internal/h2"
	"github.com/grpcpipe/grpcpipe/internal/target"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// A ClientConfig configures a client. Its zero value fits every local pipe. It
// must not be changed while a client uses it.
type ClientConfig struct {
	// Credentials are the handshake with the server. Nil means those of
	// grpcpipe.NewCredentials, without encryption; a target that begins with
	// https: needs TLS.
	Credentials credentials.TransportCredentials
	// PerRPCCredentials go with every call.
	PerRPCCredentials []credentials.PerRPCCredentials

	// RoundRobin sends calls to all of the target's pipes in turn. Without it they go
	// to the first that answers, as long as it does.
	RoundRobin bool
	// Connections is the number of connections to each pipe, at most 100. If it is
	// not 0 all of the target's pipes are connected to, and each call takes the
	// connection with the fewest calls under way. It is for servers that limit the
	// calls on one connection, as Kestrel does to 100. 0 means one connection.
	Connections int

	// Dialer opens pipes. Nil means the zero namedpipe.Dialer, which connects to
	// no server of another user.
	Dialer *namedpipe.Dialer

	// UnaryInterceptors and StreamInterceptors are called in order, the first
	// outermost. They are handed a *grpc.ClientConn that is idle and can tell the
	// target, and nothing else.
	UnaryInterceptors  []grpc.UnaryClientInterceptor
	StreamInterceptors []grpc.StreamClientInterceptor

	// StatsHandlers are told of calls and connections.
	StatsHandlers []stats.Handler

	// CallOptions go before those of each call.
	CallOptions []grpc.CallOption

	// Authority is the :authority of calls. Empty means localhost, or the server's
	// name of the credentials.
	Authority string
	// UserAgent goes before this package's in the user-agent of calls.
	UserAgent string

	// ConnectTimeout is the time from dialing to the server's first frame.
	// 0 means 5 s.
	ConnectTimeout time.Duration
	// IdleTimeout is how long there must be no call before the client closes its
	// connections and becomes idle, which takes up to twice as long. 0 means 30
	// minutes; a negative one means never.
	IdleTimeout time.Duration
	// KeepAlive sends pings to a server from which nothing has come for Time, and
	// gives it up if nothing comes within Timeout more, 20 s if that is 0. A zero
	// Time means no pings, which is right for pipes: their end shows at once. As
	// with grpc-go a Time below 10 s means 10 s, and a server that says it is pinged
	// too often doubles the time for the connections that follow.
	KeepAlive keepalive.ClientParameters

	// Limits bound what a server can make the client hold or do.
	Limits Limits
}

// A ClientConn makes calls to a server, or to several. It connects at the first
// call, or at Connect, and again whenever it must. It is safe for concurrent use.
type ClientConn struct {
	cfg       ClientConfig
	target    target.Target
	text      string
	authority string
	scheme    string
	proto     codec
	head      func(string) h2.Head // of requests, by method
	defaults  []grpc.CallOption
	pipes     *follow.Follower // nil if the target isn't pipes

	stand     *grpc.ClientConn // for interceptors to look at; nil without any
	unaryInt  func(ctx context.Context, method string, args, reply any, opts []grpc.CallOption) error
	streamInt func(ctx context.Context, desc *grpc.StreamDesc, method string, opts []grpc.CallOption) (grpc.ClientStream, error)

	ready  atomic.Pointer[clientLink] // the one connection for calls; nil if there is none
	picker atomic.Pointer[picker]     // of several connections; nil if there are none
	calls  sync.Pool

	closing context.Context
	stop    context.CancelFunc
	routine sync.WaitGroup
	under   wire

	mu        sync.Mutex
	state     connectivity.State
	changed   chan struct{} // closed when state, lastErr or early changes
	lastErr   error         // why the last attempt failed
	closed    bool
	links     map[*clientLink]struct{}
	endpoints []*endpoint // none while idle
	next      int         // of endpoints, to try first; pick first only
	following context.CancelFunc
	followed  chan struct{} // closed when following has ended
	pause     *time.Timer   // before the next of endpoints is tried, or the rest is not waited for
	settled   bool          // spread: calls need not wait for the rest
	waiting   int           // calls that wait for a connection
	hasty     int           // of them, those that don't wait for ready
	early     *clientLink   // the connection that waits for the server's settings
	idle      idleWatch
	pingTime  time.Duration // between keep-alive pings
}

// NewClient returns a client of the server that target names: pipes as for
// grpcpipe.NewClient, unix:PATH, or host:port with an address or a name that the
// system resolves. It does no I/O. The caller must Close it.
func NewClient(target string, cfg ClientConfig) (*ClientConn, error) {
	return newClient(target, cfg, follow.System)
}

// newClient is NewClient with a lister for patterns.
func newClient(target string, cfg ClientConfig, list follow.Lister) (*ClientConn, error) {
	cc := &ClientConn{cfg: cfg, text: target, changed: make(chan struct{}), links: map[*clientLink]struct{}{}}
	if err := cc.parse(list); err != nil {
		return nil, err
	}
	if cfg.Connections < 0 || cfg.Connections > maxConnections {
		return nil, fmt.Errorf("fastgrpc: ClientConfig.Connections is %d: it must be from 0 to %d: %w", cfg.Connections, maxConnections, fs.ErrInvalid)
	}
	if cc.cfg.ConnectTimeout == 0 {
		cc.cfg.ConnectTimeout = 5 * time.Second
	}
	if cc.cfg.IdleTimeout == 0 {
		cc.cfg.IdleTimeout = 30 * time.Minute
	}
	if t := cfg.KeepAlive.Time; t > 0 {
		cc.pingTime = max(t, 10*time.Second)
	}
	for _, o := range cfg.CallOptions {
		if err := checkOption(o); err != nil {
			return nil, err
		}
	}
	cc.proto, _ = codecFor("")
	cc.defaults = cfg.CallOptions
	cc.closing, cc.stop = context.WithCancel(context.Background())
	agent := "grpc-go-fastgrpc/" + grpc.Version
	if cfg.UserAgent != "" {
		agent = cfg.UserAgent + " " + agent
	}
	cc.head = func(method string) h2.Head {
		return h2.Head{
			{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: cc.scheme}, {Name: ":path", Value: method},
			{Name: ":authority", Value: cc.authority}, {Name: contentTypeKey, Value: plainContentType},
			{Name: "user-agent", Value: agent}, {Name: "te", Value: "trailers"}, {Name: acceptKey, Value: acceptable()},
		}
	}
	cc.calls.New = func() any { return new(clientCall) }
	if err := cc.intercept(); err != nil {
		cc.stop()
		return nil, err
	}
	return cc, nil
}

// maxConnections guards against typing errors, as in the root package.
const maxConnections = 100

// Target returns the target as it was given to NewClient.
func (cc *ClientConn) Target() string { return cc.text }

// Close ends all calls and connections. A second Close is an error with the code
// Canceled.
func (cc *ClientConn) Close() error {
	cc.mu.Lock()
	if cc.closed {
		cc.mu.Unlock()
		return errClosing
	}
	cc.closed = true
	links := slices.Collect(maps.Keys(cc.links))
	cc.letGo()
	cc.setState(connectivity.Shutdown, nil)
	cc.mu.Unlock()
	cc.stop()
	for _, l := range links {
		l.h2.Close()
	}
	cc.routine.Wait()
	if cc.stand != nil {
		cc.stand.Close()
	}
	return nil
}

// GetState returns the state of the client, which is that of grpc-go's.
func (cc *ClientConn) GetState() connectivity.State {
	cc.mu.Lock()
	defer cc.mu.Unlock()
	return cc.state
}

// WaitForStateChange waits until the state is another than source, and reports
// whether that was before ctx was done.
func (cc *ClientConn) WaitForStateChange(ctx context.Context, source connectivity.State) bool {
	for {
		cc.mu.Lock()
		state, changed := cc.state, cc.changed
		cc.mu.Unlock()
		if state != source {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// Connect connects now if the client is idle.
func (cc *ClientConn) Connect() {
	cc.mu.Lock()
	defer cc.mu.Unlock()
	if cc.state == connectivity.Idle {
		cc.start()
	}
}

// setState notes a change. cc.mu is held.
func (cc *ClientConn) setState(s connectivity.State, err error) {
	cc.state, cc.lastErr = s, err
	cc.broadcast()
}

// broadcast wakes whoever waits for a change. cc.mu is held.
func (cc *ClientConn) broadcast() {
	close(cc.changed)
	cc.changed = make(chan struct{})
}

var errClosing = status.Error(codes.Canceled, "grpc: the client connection is closing")

// pick returns a connection for a call. Without waitForReady it waits for the
// attempts to connect, but not beyond their failure.
func (cc *ClientConn) pick(ctx context.Context, waitForReady bool) (*clientLink, error) {
	for {
		if p := cc.picker.Load(); p != nil {
			return p.pick(), nil
		}
		cc.mu.Lock()
		if cc.closed {
			cc.mu.Unlock()
			return nil, errClosing
		}
		if l := cc.ready.Load(); l != nil {
			cc.mu.Unlock()
			return l, nil
		}
		if cc.picker.Load() != nil {
			cc.mu.Unlock()
			continue
		}
		if cc.state == connectivity.Idle {
			cc.start()
		}
		state, err, changed := cc.state, cc.lastErr, cc.changed
		if state == connectivity.TransientFailure && !waitForReady {
			cc.mu.Unlock()
			return nil, status.Errorf(codes.Unavailable, "connection error: %v", err)
		}
		// If an early connection ends, nobody knows whether the server has acted on
		// its calls. Those that wait for ready are made again then, so they are not
		// sent before.
		if l := cc.early; l != nil && !waitForReady {
			cc.mu.Unlock()
			return l, nil
		}
		hasty := 0
		if !waitForReady {
			hasty = 1
		}
		cc.waiting++
		cc.hasty += hasty
		cc.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		cc.mu.Lock()
		cc.waiting--
		cc.hasty -= hasty
		cc.mu.Unlock()
		if ctx.Err() != nil {
			return nil, cc.waitError(ctx.Err())
		}
	}
}

// waitError is the error of a call that ended while it waited for a connection.
func (cc *ClientConn) waitError(err error) error {
	cc.mu.Lock()
	last := cc.lastErr
	cc.mu.Unlock()
	st := status.FromContextError(err)
	if last == nil {
		return st.Err()
	}
	return status.Errorf(st.Code(), "%s while waiting for a connection; the last attempt: %v", st.Message(), last)
}

const noLimit = math.MaxInt32
