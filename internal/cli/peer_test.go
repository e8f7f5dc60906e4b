package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/examples/greeter/greetpb"
	"github.com/grpcpipe/grpcpipe/internal/testing/interoptest"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// peerMain is a server with a fault: peer KIND PIPE [ARG]. It runs until it is
// killed, at most for two minutes.
func peerMain(args []string) int {
	kind, pipe := args[0], args[1]
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	var err error
	switch kind {
	case "stale":
		return leaveSocket(pipe)
	case "busy":
		if err := stayBusy(ctx, pipe); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return 0
	}
	var lis net.Listener
	if kind == "socket" { // a Unix socket that no pipe's name leads to
		lis, err = net.Listen("unix", pipe)
	} else {
		lis, err = namedpipe.Listen(ctx, pipe)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer lis.Close()
	if s := grpcPeer(kind, args[2:]); s != nil {
		go s.Serve(lis)
		<-ctx.Done()
		return 0
	}
	handle := rawPeers[kind]
	if handle == nil {
		fmt.Fprintln(os.Stderr, "unknown kind", kind)
		return 2
	}
	go func() {
		for {
			c, err := lis.Accept()
			if err != nil {
				return
			}
			go func() {
				handle(c)
				c.Close()
			}()
		}
	}()
	<-ctx.Done()
	return 0
}

// leaveSocket leaves what a killed server leaves off Windows.
func leaveSocket(pipe string) int {
	addr, err := namedpipe.ResolveAddr(pipe)
	if err != nil {
		return 1
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: addr.String(), Net: "unix"})
	if err != nil {
		return 1
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	return 0
}

// grpcPeer is a gRPC server, nil if kind is no such thing.
func grpcPeer(kind string, args []string) *grpc.Server {
	switch kind {
	case "bare": // no reflection, no health
		s := grpc.NewServer(grpcpipe.ServerOptions()...)
		interoptest.Register(s)
		return s
	case "v1alpha": // reflection as servers had it before v1
		s := grpc.NewServer(grpcpipe.ServerOptions()...)
		interoptest.Register(s)
		grpc_reflection_v1alpha.RegisterServerReflectionServer(s, reflection.NewServer(reflection.ServerOptions{Services: s}))
		return s
	case "socket":
		return interoptest.NewServer()
	case "tls":
		cert, err := tls.LoadX509KeyPair(filepath.Join(args[0], "cert.pem"), filepath.Join(args[0], "key.pem"))
		if err != nil {
			panic(err)
		}
		return interoptest.NewServer(append(grpcpipe.ServerOptions(), grpc.Creds(credentials.NewServerTLSFromCert(&cert)))...)
	case "kestrel-like": // refuses calls whose :authority is not a host, in Kestrel's words
		return interoptest.NewServer(append(grpcpipe.ServerOptions(), grpc.InTapHandle(func(ctx context.Context, info *tap.Info) (context.Context, error) {
			if strings.Contains(strings.Join(info.Header[":authority"], ""), "%") {
				return nil, status.Error(codes.Internal, "stream terminated by RST_STREAM with error code: PROTOCOL_ERROR")
			}
			return ctx, nil
		}))...)
	case "private": // demands a token of every call, reflection's too
		return interoptest.NewServer(append(grpcpipe.ServerOptions(), guard(func(_ string, md metadata.MD) error {
			if strings.Join(md["authorization"], "") != "Bearer good" {
				return status.Error(codes.Unauthenticated, "who are you?")
			}
			return nil
		})...)...)
	case "nosy": // fails reflection that is told a secret, or not told the tenant
		return interoptest.NewServer(append(grpcpipe.ServerOptions(), guard(func(method string, md metadata.MD) error {
			switch {
			case !strings.Contains(method, "ServerReflection"):
				return nil
			case md["authorization"] != nil:
				return status.Error(codes.FailedPrecondition, "reflection was told a secret")
			case md["tenant"] == nil:
				return status.Error(codes.FailedPrecondition, "reflection without a tenant")
			}
			return nil
		})...)...)
	case "rude": // greets otherwise
		return interoptest.NewServer(append(grpcpipe.ServerOptions(), grpc.ChainUnaryInterceptor(
			func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
				resp, err := next(ctx, req)
				if r, ok := resp.(*greetpb.HelloReply); ok {
					r.Message = "Go away"
				}
				return resp, err
			}))...)
	case "counting":
		return countingServer(args[0])
	case "small": // takes small messages only
		most, _ := strconv.Atoi(args[0])
		return interoptest.NewServer(append(grpcpipe.ServerOptions(), grpc.MaxRecvMsgSize(most))...)
	case "notserving":
		s := grpc.NewServer(grpcpipe.ServerOptions()...)
		h := health.NewServer()
		h.SetServingStatus("", healthpb.HealthCheckResponse_NOT_SERVING)
		healthpb.RegisterHealthServer(s, h)
		return s
	case "dying": // ends in the middle of a stream
		s := grpc.NewServer(grpcpipe.ServerOptions()...)
		s.RegisterService(&grpc.ServiceDesc{
			ServiceName: "greet.Greeter", HandlerType: (*any)(nil), Metadata: "greet.proto",
			Streams: []grpc.StreamDesc{{StreamName: "SayHello", ServerStreams: true, Handler: func(_ any, stream grpc.ServerStream) error {
				stream.SendMsg(&greetpb.HelloReply{Message: "last words"})
				<-time.After(300 * time.Millisecond) // let them reach the client
				os.Exit(0)
				return nil
			}}},
		}, nil)
		reflection.Register(s)
		return s
	}
	return nil
}

// countingServer writes each name that it greets, and each stream that begins, to
// a file, one a line.
func countingServer(path string) *grpc.Server {
	f, err := os.Create(path)
	if err != nil {
		panic(err)
	}
	var mu sync.Mutex
	note := func(text string) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintln(f, text)
	}
	return interoptest.NewServer(append(grpcpipe.ServerOptions(),
		grpc.ChainUnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			if r, ok := req.(interface{ GetName() string }); ok {
				note(r.GetName())
			}
			return next(ctx, req)
		}),
		grpc.ChainStreamInterceptor(func(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			note(info.FullMethod)
			return next(srv, stream)
		}))...)
}

// guard checks each call before its handler runs.
func guard(check func(method string, md metadata.MD) error) []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			md, _ := metadata.FromIncomingContext(ctx)
			if err := check(info.FullMethod, md); err != nil {
				return nil, err
			}
			return next(ctx, req)
		}),
		grpc.ChainStreamInterceptor(func(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			md, _ := metadata.FromIncomingContext(stream.Context())
			if err := check(info.FullMethod, md); err != nil {
				return err
			}
			return next(srv, stream)
		}),
	}
}

// rawPeers are servers that don't speak gRPC.
var rawPeers = map[string]func(net.Conn){
	"settings": func(c net.Conn) { // and nothing else
		f := http2.NewFramer(c, c)
		f.WriteSettings()
		f.WriteSettingsAck()
		io.Copy(io.Discard, c)
	},
	"silent": func(c net.Conn) { io.Copy(io.Discard, c) },
	"http1": func(c net.Conn) {
		c.Read(make([]byte, 64))
		io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
		io.Copy(io.Discard, c)
	},
	"kestrel-http1": func(c net.Conn) { // its answer to HTTP/2 where only HTTP/1.1 is on
		c.Read(make([]byte, 64))
		http2.NewFramer(c, c).WriteGoAway(0, http2.ErrCodeHTTP11Required, nil)
		io.Copy(io.Discard, c)
	},
	"rubbish": func(c net.Conn) {
		io.WriteString(c, "220 mail.example ESMTP ready\r\n")
		io.Copy(io.Discard, c)
	},
	"echo":      func(c net.Conn) { io.Copy(c, c) },
	"closing":   func(c net.Conn) { c.Read(make([]byte, 24)) },
	"authority": refuseAuthority,
}

// refuseAuthority resets streams as Kestrel does when it doesn't like the
// :authority; it likes none but example.
func refuseAuthority(c net.Conn) {
	io.ReadFull(c, make([]byte, len(http2.ClientPreface)))
	f := http2.NewFramer(c, c)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	f.WriteSettings()
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return
		}
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				f.WriteSettingsAck()
			}
		case *http2.MetaHeadersFrame:
			if !strings.HasPrefix(frame.PseudoValue("authority"), "example") {
				f.WriteRSTStream(frame.StreamID, http2.ErrCodeProtocol)
			}
		}
	}
}

// probeWait waits until each of the pipes can be opened or, after -busy, until
// it is there and can't.
func probeWait(pipes []string) int {
	busy := pipes[0] == "-busy"
	if busy {
		pipes = pipes[1:]
	}
	end := time.Now().Add(30 * time.Second)
	for _, pipe := range pipes {
		for {
			ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
			c, err := namedpipe.Dial(ctx, pipe)
			cancel()
			if err == nil {
				c.Close()
			}
			missing := errors.Is(err, fs.ErrNotExist)
			if busy && errors.Is(err, context.DeadlineExceeded) && !missing || !busy && err == nil {
				break
			}
			if time.Now().After(end) {
				fmt.Fprintln(os.Stderr, pipe, err)
				return 1
			}
			<-time.After(10 * time.Millisecond)
		}
	}
	return 0
}

// within runs a program for at most a time: within TIME PROGRAM [ARG]... It is
// for what would run for ever if it didn't fail as it should.
func within(args []string) int {
	limit, err := time.ParseDuration(args[0])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 99
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[1], args[2:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err = cmd.Run()
	if ctx.Err() != nil {
		fmt.Fprintln(os.Stderr, "still running after", limit)
	}
	if cmd.ProcessState == nil {
		fmt.Fprintln(os.Stderr, err)
		return 99
	}
	return cmd.ProcessState.ExitCode()
}
