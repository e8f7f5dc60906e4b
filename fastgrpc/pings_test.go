package fastgrpc

import (
	"context"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"github.com/grpcpipe/grpcpipe/internal/h2"
)

// TestTooManyPings: a client that a server tells so pings the connections that
// follow half as often, as grpc-go's does, and no client pings more often than
// every 10 s. Another farewell changes nothing.
func TestTooManyPings(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		conns   int
		code    http2.ErrCode
		text    string
		doubles bool
	}{
		{"too many", 0, http2.ErrCodeEnhanceYourCalm, "too_many_pings", true},
		{"too many, from all", 3, http2.ErrCodeEnhanceYourCalm, "too_many_pings", true},
		{"calm for another reason", 0, http2.ErrCodeEnhanceYourCalm, "too many frames", false},
		{"no error", 0, http2.ErrCodeNo, "too_many_pings", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dialed, pinged := make(chan net.Conn), make(chan time.Duration)
				cc, err := NewClient("unix:/pings", ClientConfig{
					Credentials: insecure.NewCredentials(), IdleTimeout: -1, Connections: tt.conns,
					KeepAlive: keepalive.ClientParameters{Time: time.Second, PermitWithoutStream: true},
				})
				if err != nil {
					t.Fatal(err)
				}
				cc.under = wire{guard: h2.NewSentinel(), dial: func(context.Context, string) (net.Conn, error) {
					client, server := net.Pipe()
					dialed <- server
					return client, nil
				}}
				go func() {
					for c := range dialed {
						go func() {
							pinged <- firstPing(c, tt.code, tt.text)
							c.Close()
						}()
					}
				}()
				var times []time.Duration
				for range 3 {
					cc.Connect()
					for range max(tt.conns, 1) {
						times = append(times, <-pinged)
					}
					for s := cc.GetState(); tt.conns == 0 && s != connectivity.Idle; s = cc.GetState() {
						cc.WaitForStateChange(t.Context(), s)
					}
				}
				cc.Close()
				close(dialed)
				for range tt.conns {
					<-pinged
				}
				time.Sleep(time.Minute) // until the sentinel has gone to rest
				for i, got := range times {
					want := times[0]
					if tt.doubles {
						want <<= i / max(tt.conns, 1)
					}
					if got != want || want < 10*time.Second {
						t.Fatalf("the first pings came after %v", times)
					}
				}
			})
		})
	}
}

// firstPing serves a client until it pings, says farewell and returns when the
// ping came.
func firstPing(c net.Conn, code http2.ErrCode, text string) time.Duration {
	start := time.Now()
	io.ReadFull(c, make([]byte, len(http2.ClientPreface)))
	fr := http2.NewFramer(c, c)
	go http2.NewFramer(c, nil).WriteSettings() // which waits for the client to read
	for {
		f, err := fr.ReadFrame()
		if err != nil {
			return 0
		}
		if p, ok := f.(*http2.PingFrame); ok && !p.IsAck() {
			fr.WriteGoAway(0, code, []byte(text))
			return time.Since(start)
		}
	}
}
