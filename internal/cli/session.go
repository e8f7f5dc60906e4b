package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/internal/follow"
)

// A session is a channel that has been seen to work, and how it came to be.
type session struct {
	*grpc.ClientConn
	target string
	trace  *trace
}

// isPipe tells whether a target is a pipe's, or several pipes'. It is the
// library that knows.
func isPipe(target string) (bool, error) {
	cc, err := grpcpipe.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return false, usage("%s", strings.TrimPrefix(err.Error(), "grpcpipe: "))
	}
	defer cc.Close()
	return strings.HasPrefix(cc.CanonicalTarget(), "npipe:"), nil
}

// prepare makes the dialer and the options of a channel.
func (f *connFlags) prepare(target string) (*dialer, []grpc.DialOption, error) {
	if err := positive("--connect-timeout", f.connectTimeout); err != nil {
		return nil, nil, err
	}
	pipe, err := isPipe(target)
	if err != nil {
		return nil, nil, err
	}
	d := &dialer{trace: &trace{}, pipe: pipe, timeout: f.connectTimeout, target: target, tls: f.wantsTLS(target)}
	if d.trust, err = f.trust(); err != nil {
		return nil, nil, err
	}
	most, err := size("--max-message", f.maxMessage)
	if err != nil {
		return nil, nil, err
	}
	opts := []grpc.DialOption{
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(most), grpc.MaxCallSendMsgSize(1<<31-1)),
		grpc.WithUserAgent("grpcpipe/" + buildInfo().Version),
	}
	if f.authority != "" {
		opts = append(opts, grpc.WithAuthority(f.authority))
	}
	switch {
	case d.tls:
		creds, err := f.tlsCredentials()
		if err != nil {
			return nil, nil, err
		}
		opts = append(opts, grpc.WithTransportCredentials(tracedTLS{creds, d}))
	case !pipe:
		opts = append(opts, grpc.WithTransportCredentials(insecure.NewCredentials()))
	}
	return d, opts, nil
}

// connect makes a channel and waits until it is ready. The caller closes it.
func (f *connFlags) connect(ctx context.Context, target string, wait bool) (*session, error) {
	d, opts, err := f.prepare(target)
	if err != nil {
		return nil, err
	}
	d.wait = wait
	opts = append(opts, grpc.WithContextDialer(d.dial), grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: f.connectTimeout + time.Second}))
	cc, err := grpcpipe.NewClient(target, opts...)
	if err != nil {
		return nil, usage("%s", strings.TrimPrefix(err.Error(), "grpcpipe: "))
	}
	s := &session{ClientConn: cc, target: target, trace: d.trace}
	// The dialer keeps the time and says best what has taken it.
	if err := s.becomeReady(ctx, f.connectTimeout+2*time.Second); err != nil {
		cc.Close()
		return nil, err
	}
	return s, nil
}

func (s *session) becomeReady(ctx context.Context, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	s.Connect()
	for {
		state := s.GetState()
		if state == connectivity.Ready {
			return nil
		}
		if state == connectivity.TransientFailure || !s.WaitForStateChange(ctx, state) {
			break
		}
	}
	s.trace.mu.Lock()
	err := s.trace.err
	s.trace.mu.Unlock()
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return internal(errors.New("interrupted"))
	case errors.As(err, new(*failure)):
		return err
	case err != nil:
		return cannotConnect(err)
	case ctx.Err() != nil:
		return cannotConnect(fmt.Errorf("%s: no connection in %v: start the server, or check the address", s.target, timeout))
	}
	return cannotConnect(fmt.Errorf("%s: the connection failed before it was ready: see the server's log", s.target))
}

// nothingFits is the error for a pattern of pipes to which there is none.
func nothingFits(target string) error {
	pattern := strings.TrimPrefix(target, "npipe:")
	if _, err := follow.System.List(pattern); err != nil {
		return cannotConnect(err)
	}
	return cannotConnect(fmt.Errorf("no pipe fits %s: start a server, or see what there is with `grpcpipe ls`", target))
}
