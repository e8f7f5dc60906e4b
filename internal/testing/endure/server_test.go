package endure

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"testing"

	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"

	"github.com/grpcpipe/grpcpipe/fastgrpc"
	"github.com/grpcpipe/grpcpipe/internal/testing/engine"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

func TestMain(m *testing.M) {
	testproc.Main(m, map[string]func(){"server": serverMain, "caller": callerMain})
}

// callKey is the metadata with a call's number.
const callKey = "call-number"

// serverMain is a server: its arguments are the engine, the pipe and the file that
// the numbers of calls go to. It takes the name over from the server that has it.
func serverMain() {
	if err := serve(engineNamed(os.Args[1]), os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func engineNamed(name string) engine.Engine {
	for _, e := range engine.All {
		if e.Name == name {
			return e
		}
	}
	panic("no engine " + name)
}

func serve(e engine.Engine, pipe, file string) error {
	served, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer served.Close()
	// note writes before the handler answers, in one piece: what a client has an
	// answer to is in the file, also when this process is killed.
	note := func(ctx context.Context) {
		md, _ := metadata.FromIncomingContext(ctx)
		for _, v := range md.Get(callKey) { // other languages' calls have none
			n, err := strconv.ParseUint(v, 10, 64)
			if err == nil {
				_, err = served.Write(binary.LittleEndian.AppendUint64(nil, n))
			}
			if err != nil {
				panic(err)
			}
		}
	}
	var cfg fastgrpc.ServerConfig
	cfg.UnaryInterceptors = []grpc.UnaryServerInterceptor{func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		note(ctx)
		if r, ok := req.(*testpb.SimpleRequest); ok && r.GetFillUsername() {
			b, err := json.Marshal(sizeOfSelf())
			return &testpb.SimpleResponse{Username: string(b)}, err
		}
		return handler(ctx, req)
	}}
	cfg.StreamInterceptors = []grpc.StreamServerInterceptor{func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		note(ss.Context())
		return handler(srv, ss)
	}}
	lc := namedpipe.ListenConfig{TakeOver: true}
	lis, err := lc.Listen(context.Background(), pipe)
	if err != nil {
		return err
	}
	s := e.NewTestServer(cfg)
	fmt.Println("ready")
	go func() { // asked to stop
		io.Copy(io.Discard, os.Stdin)
		s.GracefulStop()
	}()
	if err := s.Serve(lis); err != nil && !errors.Is(err, namedpipe.ErrReplaced) {
		return err
	}
	s.GracefulStop()
	return nil
}

// size is what a process holds.
type size struct {
	Goroutines, Handles int
	Heap                uint64 // bytes in use after a collection
}

func sizeOfSelf() size {
	runtime.GC()
	runtime.GC() // what the first one's finalizers and pools have let go of
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return size{runtime.NumGoroutine(), handles(), m.HeapAlloc}
}
