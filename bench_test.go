package grpcpipe_test

import (
	"context"
	"fmt"
	"io"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop/grpc_testing"

	"github.com/grpcpipe/grpcpipe"
)

// BenchmarkUnary compares a call with our options and with grpc's own, both ends
// in one process.
func BenchmarkUnary(b *testing.B) {
	for _, parallel := range []int{1, 32} {
		for _, options := range []string{"grpcpipe", "grpc"} {
			b.Run(fmt.Sprintf("parallel=%d/options=%s", parallel, options), func(b *testing.B) {
				stub := benchStub(b, options)
				b.SetParallelism(parallel)
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if _, err := stub.UnaryCall(context.Background(), &grpc_testing.SimpleRequest{}); err != nil {
							b.Error(err)
							return
						}
					}
				})
			})
		}
	}
}

// BenchmarkStream sends messages of 64 KiB to and fro on one stream, several
// under way at a time.
func BenchmarkStream(b *testing.B) {
	for _, options := range []string{"grpcpipe", "grpc"} {
		b.Run("options="+options, func(b *testing.B) {
			stream, err := benchStub(b, options).FullDuplexCall(context.Background())
			if err != nil {
				b.Fatal(err)
			}
			body := make([]byte, 64<<10)
			b.SetBytes(int64(len(body)))
			b.ResetTimer()
			sent := make(chan error, 1)
			go func() {
				for range b.N {
					if err := stream.Send(&grpc_testing.StreamingOutputCallRequest{Payload: &grpc_testing.Payload{Body: body}}); err != nil {
						sent <- err
						return
					}
				}
				sent <- stream.CloseSend()
			}()
			for {
				if _, err := stream.Recv(); err == io.EOF {
					break
				} else if err != nil {
					b.Fatal(err)
				}
			}
			if err := <-sent; err != nil {
				b.Fatal(err)
			}
		})
	}
}

func benchStub(b *testing.B, options string) grpc_testing.TestServiceClient {
	name := pipeName(b)
	if options == "grpcpipe" {
		serve(b, name)
		return grpc_testing.NewTestServiceClient(client(b, name))
	}
	serveWith(b, name, &service{})
	cc, err := grpc.NewClient("passthrough:///"+name, grpc.WithContextDialer(opaqueDial),
		grpc.WithAuthority("localhost"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { cc.Close() })
	return grpc_testing.NewTestServiceClient(cc)
}

// BenchmarkConnectIdentity is a dial and a first call, with the credentials that
// ask who is there and with those that don't.
func BenchmarkConnectIdentity(b *testing.B) {
	for _, asked := range []bool{true, false} {
		b.Run(fmt.Sprintf("asked=%v", asked), func(b *testing.B) {
			name := pipeName(b)
			opts := grpcpipe.ServerOptions()
			if !asked {
				opts = append(opts, grpc.Creds(insecure.NewCredentials()))
			}
			serveWith(b, name, &service{}, opts...)
			var dopts []grpc.DialOption
			if !asked {
				dopts = append(dopts, grpc.WithTransportCredentials(insecure.NewCredentials()))
			}
			b.ReportAllocs()
			for b.Loop() {
				cc, err := grpcpipe.NewClient(name, dopts...)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := call(b.Context(), cc); err != nil {
					b.Fatal(err)
				}
				cc.Close()
			}
		})
	}
}
