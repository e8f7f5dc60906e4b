package fastgrpc

import (
	"context"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/grpcpipe/grpcpipe/internal/creds"
	"github.com/grpcpipe/grpcpipe/internal/h2"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// TestCarriedByThePipe: credentials that change no byte leave both ends the pipe
// itself, which carries frames faster than anything around it.
func TestCarriedByThePipe(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]credentials.TransportCredentials{
		"none": nil, "NewCredentials(nil)": creds.New(nil), "insecure": insecure.NewCredentials(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			carried := make(chan net.Conn, 2)
			under := wire{carry: func(c net.Conn) h2.Carrier {
				carried <- c
				return h2.NewCarrier(c)
			}}
			lis, err := namedpipe.Listen(ctx, testproc.PipeName())
			if err != nil {
				t.Fatal(err)
			}
			srv := NewServer(ServerConfig{Credentials: c})
			srv.under = under
			go srv.Serve(lis)
			defer srv.Stop()
			cc, err := NewClient("npipe:"+lis.Addr().String(), ClientConfig{Credentials: c})
			if err != nil {
				t.Fatal(err)
			}
			defer cc.Close()
			cc.under = under
			if err := cc.Invoke(ctx, "/no.Such/Method", &emptypb.Empty{}, &emptypb.Empty{}); status.Code(err) != codes.Unimplemented {
				t.Fatal(err)
			}
			for range 2 {
				c := <-carried
				if _, ok := c.(*namedpipe.Conn); !ok {
					t.Errorf("an end is carried by a %T", c)
				}
			}
		})
	}
}
