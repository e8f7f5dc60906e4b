package browser

import (
	"context"
	"errors"
	"io"
	"os"
	"testing"

	"github.com/bufbuild/protocompile"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	rpb "google.golang.org/grpc/reflection/grpc_reflection_v1"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// kitchen is the server that the page is tried on. It knows its messages from
// the .proto file alone.
type kitchen struct {
	dish   protoreflect.MessageDescriptor
	files  *protoregistry.Files
	header chan metadata.MD // of each Echo, if there is room
}

func newKitchen(t *testing.T) *kitchen {
	t.Helper()
	source, err := os.ReadFile("testdata/kitchen.proto")
	if err != nil {
		t.Fatal(err)
	}
	return compileKitchen(t, string(source))
}

func compileKitchen(t *testing.T, source string) *kitchen {
	t.Helper()
	compiler := protocompile.Compiler{
		Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{
			Accessor: protocompile.SourceAccessorFromMap(map[string]string{"kitchen.proto": source}),
		}),
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	files, err := compiler.Compile(context.Background(), "kitchen.proto")
	if err != nil {
		t.Fatal(err)
	}
	k := &kitchen{files: &protoregistry.Files{}, header: make(chan metadata.MD, 16)}
	if err := k.files.RegisterFile(files[0]); err != nil {
		t.Fatal(err)
	}
	k.dish = files[0].Messages().ByName("Dish")
	return k
}

// serve serves on the pipe until stop.
func (k *kitchen) serve(t *testing.T, pipe string) (stop func()) {
	t.Helper()
	lis, err := namedpipe.Listen(t.Context(), pipe)
	if err != nil {
		t.Fatal(err)
	}
	srv := grpc.NewServer(grpcpipe.ServerOptions()...)
	unary := func(name string, f func(context.Context, *dynamicpb.Message) (*dynamicpb.Message, error)) grpc.MethodDesc {
		return grpc.MethodDesc{MethodName: name, Handler: func(_ any, ctx context.Context, dec func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			m := dynamicpb.NewMessage(k.dish)
			if err := dec(m); err != nil {
				return nil, err
			}
			return f(ctx, m)
		}}
	}
	srv.RegisterService(&grpc.ServiceDesc{
		ServiceName: "kitchen.Kitchen", HandlerType: (*any)(nil), Metadata: "kitchen.proto",
		Methods: []grpc.MethodDesc{unary("Echo", k.echo), unary("Spill", k.spill)},
		Streams: []grpc.StreamDesc{
			{StreamName: "Count", ServerStreams: true, Handler: k.count},
			{StreamName: "Chat", ServerStreams: true, ClientStreams: true, Handler: k.chat},
		},
	}, k)
	all := resolver{k.files}
	rpb.RegisterServerReflectionServer(srv, reflection.NewServerV1(reflection.ServerOptions{Services: srv, DescriptorResolver: all}))
	done := make(chan struct{})
	go func() {
		defer close(done)
		srv.Serve(lis)
	}()
	stop = func() { srv.Stop(); <-done }
	t.Cleanup(stop)
	return stop
}

// resolver finds the kitchen's file and those that are linked in.
type resolver struct{ own *protoregistry.Files }

func (r resolver) FindFileByPath(path string) (protoreflect.FileDescriptor, error) {
	if fd, err := r.own.FindFileByPath(path); err == nil {
		return fd, nil
	}
	return protoregistry.GlobalFiles.FindFileByPath(path)
}

func (r resolver) FindDescriptorByName(name protoreflect.FullName) (protoreflect.Descriptor, error) {
	if d, err := r.own.FindDescriptorByName(name); err == nil {
		return d, nil
	}
	return protoregistry.GlobalFiles.FindDescriptorByName(name)
}

func (k *kitchen) echo(ctx context.Context, m *dynamicpb.Message) (*dynamicpb.Message, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	select {
	case k.header <- md:
	default:
	}
	return m, grpc.SendHeader(ctx, metadata.Pairs("served-by", "kitchen"))
}

func (k *kitchen) spill(context.Context, *dynamicpb.Message) (*dynamicpb.Message, error) {
	st, err := status.New(codes.FailedPrecondition, "the soup is on the floor").WithDetails(&errdetails.ErrorInfo{Reason: "SLIPPERY", Domain: "kitchen"})
	if err != nil {
		return nil, err
	}
	return nil, st.Err()
}

func (k *kitchen) count(_ any, s grpc.ServerStream) error {
	m := dynamicpb.NewMessage(k.dish)
	if err := s.RecvMsg(m); err != nil {
		return err
	}
	field := k.dish.Fields().ByName("calories")
	for i := range m.Get(field).Int() {
		out := dynamicpb.NewMessage(k.dish)
		out.Set(field, protoreflect.ValueOfInt64(i+1))
		if err := s.SendMsg(out); err != nil {
			return err
		}
	}
	return nil
}

func (k *kitchen) chat(_ any, s grpc.ServerStream) error {
	for {
		m := dynamicpb.NewMessage(k.dish)
		if err := s.RecvMsg(m); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if err := s.SendMsg(m); err != nil {
			return err
		}
	}
}
