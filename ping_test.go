package grpcpipe_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// pinger is a client that makes no call and sends n pings, one each interval. It
// returns how many were answered.
func pinger(ctx context.Context, name string, interval time.Duration, n int) (answered int, err error) {
	c, err := namedpipe.Dial(ctx, name)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	if _, err := c.Write([]byte(http2.ClientPreface)); err != nil {
		return 0, err
	}
	fr := http2.NewFramer(c, c)
	if err := fr.WriteSettings(); err != nil {
		return 0, err
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for range n {
		if err := fr.WritePing(false, [8]byte{1}); err != nil {
			return answered, err
		}
		for pong := false; !pong; {
			f, err := fr.ReadFrame()
			if err != nil {
				return answered, err
			}
			switch f := f.(type) {
			case *http2.PingFrame:
				pong = f.IsAck()
			case *http2.GoAwayFrame:
				return answered, fmt.Errorf("GOAWAY %v %s", f.ErrCode, f.DebugData())
			}
		}
		answered++
		select {
		case <-tick.C:
		case <-ctx.Done():
			return answered, ctx.Err()
		}
	}
	return answered, nil
}

// What the server promises in its first frame is what a .NET client goes by.
func TestServerSettings(t *testing.T) {
	t.Parallel()
	name := pipeName(t)
	serve(t, name)
	c := dialRaw(t, name)
	if _, err := c.Write([]byte(http2.ClientPreface)); err != nil {
		t.Fatal(err)
	}
	frame, err := http2.NewFramer(c, c).ReadFrame()
	if err != nil {
		t.Fatal(err)
	}
	settings, ok := frame.(*http2.SettingsFrame)
	if !ok {
		t.Fatalf("the first frame is %v", frame)
	}
	if n, _ := settings.Value(http2.SettingMaxConcurrentStreams); n < 100 {
		t.Errorf("%d streams a connection", n)
	}
	if n, _ := settings.Value(http2.SettingInitialWindowSize); n != 8<<20 {
		t.Errorf("a window of %d bytes", n)
	}
}
