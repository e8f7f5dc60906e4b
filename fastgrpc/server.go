package fastgrpc

import (
	"context"
	"log"
	"math"
	"net"
	"reflect"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
)

// A ServerConfig configures a server. Its zero value serves every local pipe
// well. It must not be changed while a server uses it.
type ServerConfig struct {
	// Credentials are the handshake with each client. Nil means those of
	// grpcpipe.NewCredentials: who the client is, without encryption.
	Credentials credentials.TransportCredentials

	// UnaryInterceptors and StreamInterceptors are called in order, the first
	// outermost.
	UnaryInterceptors  []grpc.UnaryServerInterceptor
	StreamInterceptors []grpc.StreamServerInterceptor

	// StatsHandlers are told of calls and connections.
	StatsHandlers []stats.Handler

	// UnknownService handles calls of services and methods that aren't
	// registered. Nil means that they end with Unimplemented.
	UnknownService grpc.StreamHandler

	// MaxRecvMessage is the largest message that is received, in bytes, after
	// decompression too. 0 means 4 MiB.
	MaxRecvMessage int
	// MaxSendMessage is the largest message that is sent, in bytes. 0 means
	// 2 GiB less a byte.
	MaxSendMessage int

	// Codec encodes and decodes all messages, whatever their content-subtype.
	// Nil means the codec that is registered for the subtype.
	Codec encoding.CodecV2

	// KeepAlive closes connections in order at an age or after a time without
	// calls, which takes up to twice as long, and sends pings to silent clients. Its
	// zero value does nothing of it, unlike grpc-go's, which sends pings every two
	// hours: the end of a pipe shows at once.
	KeepAlive keepalive.ServerParameters

	// Limits bound what a client can make the server hold or do.
	Limits Limits
}

const defaultMaxRecv = 4 << 20

// A Server serves gRPC calls. It is a grpc.ServiceRegistrar, and what the
// reflection service needs.
type Server struct {
	cfg       ServerConfig
	unaryInt  grpc.UnaryServerInterceptor  // nil for none
	streamInt grpc.StreamServerInterceptor // nil for none
	stats     handlers                     // nil for none
	proto     codec
	calls     sync.Pool
	work      workers
	under     wire

	mu        sync.Mutex
	services  map[string]*service
	methods   map[string]*method // by "/service/method"; not changed once serving
	unknown   *method
	serving   bool
	stopped   bool
	draining  bool
	listeners map[net.Listener]struct{}
	conns     map[*serverConn]struct{}
	changed   *sync.Cond     // conns got fewer
	running   sync.WaitGroup // goroutines of Serve and of handshakes
}

type service struct {
	desc *grpc.ServiceDesc
	impl any
}

type method struct {
	unary  *grpc.MethodDesc // or
	stream *grpc.StreamDesc
	impl   any
	quick  quickness
}

// NewServer returns a server that has no services yet and does nothing.
func NewServer(cfg ServerConfig) *Server {
	if cfg.MaxRecvMessage == 0 {
		cfg.MaxRecvMessage = defaultMaxRecv
	}
	if cfg.MaxSendMessage == 0 {
		cfg.MaxSendMessage = math.MaxInt32
	}
	s := &Server{
		cfg: cfg, unaryInt: chainUnary(cfg.UnaryInterceptors), streamInt: chainStream(cfg.StreamInterceptors),
		services: map[string]*service{}, methods: map[string]*method{},
		listeners: map[net.Listener]struct{}{}, conns: map[*serverConn]struct{}{},
	}
	s.stats = cfg.StatsHandlers
	s.proto, _ = codecFor("")
	s.changed = sync.NewCond(&s.mu)
	s.calls.New = func() any {
		c := new(serverCall)
		c.decode = c.decodeRequest
		return c
	}
	if cfg.UnknownService != nil {
		s.unknown = &method{stream: &grpc.StreamDesc{
			StreamName: "unknown_service_handler", Handler: cfg.UnknownService, ClientStreams: true, ServerStreams: true,
		}}
	}
	return s
}

// RegisterService registers a service and its implementation. As with grpc-go,
// it ends the program if the implementation doesn't fit, the service is there
// already or the server is serving.
func (s *Server) RegisterService(desc *grpc.ServiceDesc, impl any) {
	if impl != nil {
		want := reflect.TypeOf(desc.HandlerType).Elem()
		if got := reflect.TypeOf(impl); !got.Implements(want) {
			log.Fatalf("fastgrpc: RegisterService found the handler of type %v that does not satisfy %v", got, want)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.serving {
		log.Fatalf("fastgrpc: RegisterService after Serve for %q", desc.ServiceName)
	}
	if s.services[desc.ServiceName] != nil {
		log.Fatalf("fastgrpc: RegisterService found duplicate service registration for %q", desc.ServiceName)
	}
	s.services[desc.ServiceName] = &service{desc: desc, impl: impl}
	for i := range desc.Methods {
		m := &desc.Methods[i]
		s.methods["/"+desc.ServiceName+"/"+m.MethodName] = &method{unary: m, impl: impl}
	}
	for i := range desc.Streams {
		m := &desc.Streams[i]
		s.methods["/"+desc.ServiceName+"/"+m.StreamName] = &method{stream: m, impl: impl}
	}
}

// GetServiceInfo returns what is registered, by the services' names.
func (s *Server) GetServiceInfo() map[string]grpc.ServiceInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string]grpc.ServiceInfo, len(s.services))
	for name, sv := range s.services {
		info := grpc.ServiceInfo{Metadata: sv.desc.Metadata}
		for _, m := range sv.desc.Methods {
			info.Methods = append(info.Methods, grpc.MethodInfo{Name: m.MethodName})
		}
		for _, m := range sv.desc.Streams {
			info.Methods = append(info.Methods, grpc.MethodInfo{
				Name: m.StreamName, IsClientStream: m.ClientStreams, IsServerStream: m.ServerStreams,
			})
		}
		all[name] = info
	}
	return all
}

// lookup finds the method of a path. A path that isn't one is refused before any
// interceptor could let it pass by its name.
func (s *Server) lookup(path string) (*method, error) {
	if m := s.methods[path]; m != nil {
		return m, nil
	}
	rest, ok := strings.CutPrefix(path, "/")
	pos := strings.LastIndexByte(rest, '/')
	if !ok || pos < 0 {
		return nil, status.Errorf(codes.Unimplemented, "malformed method name: %q", path)
	}
	if s.unknown != nil {
		return s.unknown, nil
	}
	if _, ok := s.services[rest[:pos]]; ok {
		return nil, status.Errorf(codes.Unimplemented, "unknown method %v for service %v", rest[pos+1:], rest[:pos])
	}
	return nil, status.Errorf(codes.Unimplemented, "unknown service %v", rest[:pos])
}

// Serve accepts connections and serves them until the listener fails, or Stop or
// GracefulStop is called, which both close it. It then returns nil; before that
// it returns the listener's error. Serve may be called several times at once.
func (s *Server) Serve(lis net.Listener) error {
	s.mu.Lock()
	s.serving = true
	if s.stopped || s.draining {
		s.mu.Unlock()
		lis.Close()
		return grpc.ErrServerStopped
	}
	s.listeners[lis] = struct{}{}
	s.running.Add(1)
	s.mu.Unlock()
	defer s.running.Done()
	defer func() {
		s.mu.Lock()
		delete(s.listeners, lis)
		s.mu.Unlock()
		lis.Close()
	}()
	return s.accept(lis)
}

// Stop ends all connections and calls at once and waits for their handlers'
// contexts to be canceled, not for the handlers.
func (s *Server) Stop() { s.stop(false) }

// GracefulStop takes no new connections and calls, and waits until those that
// there are have ended.
func (s *Server) GracefulStop() { s.stop(true) }

func (s *Server) stop(graceful bool) {
	s.mu.Lock()
	s.draining = true
	if !graceful {
		s.stopped = true
	}
	for lis := range s.listeners {
		lis.Close()
	}
	conns := make([]*serverConn, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c)
	}
	s.mu.Unlock()
	for _, c := range conns {
		if graceful {
			c.drain()
		} else {
			c.close()
		}
	}
	s.running.Wait()
	s.mu.Lock()
	for len(s.conns) > 0 {
		s.changed.Wait()
	}
	s.mu.Unlock()
	s.work.close()
}

// chainUnary makes one interceptor of several.
func chainUnary(all []grpc.UnaryServerInterceptor) grpc.UnaryServerInterceptor {
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	}
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		return all[0](ctx, req, info, nextUnary(all, 1, info, handler))
	}
}

func nextUnary(all []grpc.UnaryServerInterceptor, i int, info *grpc.UnaryServerInfo, last grpc.UnaryHandler) grpc.UnaryHandler {
	if i == len(all) {
		return last
	}
	return func(ctx context.Context, req any) (any, error) {
		return all[i](ctx, req, info, nextUnary(all, i+1, info, last))
	}
}

// chainStream makes one interceptor of several.
func chainStream(all []grpc.StreamServerInterceptor) grpc.StreamServerInterceptor {
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	}
	return func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		return all[0](srv, ss, info, nextStream(all, 1, info, handler))
	}
}

func nextStream(all []grpc.StreamServerInterceptor, i int, info *grpc.StreamServerInfo, last grpc.StreamHandler) grpc.StreamHandler {
	if i == len(all) {
		return last
	}
	return func(srv any, ss grpc.ServerStream) error {
		return all[i](srv, ss, info, nextStream(all, i+1, info, last))
	}
}
