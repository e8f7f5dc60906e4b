package interop_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/grpcpipe/grpcpipe/internal/testing/engine"
	"github.com/grpcpipe/grpcpipe/internal/testing/seen"
	"github.com/grpcpipe/grpcpipe/internal/testing/soak"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// Kestrel's named-pipe transport has 22 public tests of its behavior. Each has
// a counterpart of the same name here: those of NamedPipeConnectionListenerTests
// and NamedPipeConnectionTests in this file, those of WebHostTests in
// kestrel_webhost_test.go.
func TestKestrelTransport(t *testing.T) {
	for name, test := range map[string]func(*testing.T){
		"AcceptAsync_AfterUnbind_ReturnNull":                                    acceptAfterClose,
		"AcceptAsync_ClientCreatesConnection_ServerAccepts":                     clientConnects,
		"AcceptAsync_UnbindAfterCall_CleanExit":                                 closeDuringAccept,
		"AcceptAsync_DisposeAfterCall_CleanExit":                                deadlineDuringAccept,
		"AcceptAsync_ParallelConnections_ClientConnectionsSuccessfullyAccepted": parallelConnections,
		"AcceptAsync_HitBacklogLimit_ClientConnectionsSuccessfullyAccepted":     backlogLimit,
		"BindAsync_ListenersSharePort_ThrowAddressInUse":                        secondListener,
		"BindAsync_ListenersSharePort_DisposeFirstListener_Success":             listenAgain,
		"BidirectionalStream_ServerReadsDataAndCompletes_GracefullyClosed":      bothWaysAndClose,
		"InputReadAsync_ServerAborted_ThrowError":                               readAfterClose,
		"InputReadAsync_ServerAbortedDuring_ThrowError":                         closeDuringRead,
		"OutputWriteAsync_ServerAborted_ThrowError":                             writeAfterClose,
		"CompleteTransport_BeforeClientHasReadLastBytes_DontLoseData":           closeBeforeClientHasRead,
		"DisposeAsync_BeforeClientHasReadLastBytes_DontLoseData":                closeAllBeforeClientHasRead,
		"ListenNamedPipeEndpoint_NonWindowsOperatingSystem_ErrorAsync":          listenOnEverySystem,
		"ListenNamedPipeEndpoint_HelloWorld_ClientSuccess":                      helloWorld,
		"ListenNamedPipeEndpoint_Impersonation_ClientSuccess":                   impersonation,
		"ListenNamedPipeEndpoint_ProtocolVersion_ClientSuccess":                 protocolVersions,
		"ListenNamedPipeEndpoint_Tls_ClientSuccess":                             protocolVersionsTLS,
	} {
		t.Run(name, func(t *testing.T) {
			seen.Row(t, name)
			test(t)
		})
	}
	for name, test := range map[string]func(*testing.T, engine.Engine){ // those with gRPC
		"ListenNamedPipeEndpoint_CustomNamedPipeEndpointTransport":     customListener,
		"ListenNamedPipeEndpoint_Security_PerEndpointSecuritySettings": accessOfEachListener,
		"ListenNamedPipeEndpoint_FromUrl_HelloWorld_ClientSuccess":     fromURL,
	} {
		t.Run(name, func(t *testing.T) {
			engine.Each(t, func(t *testing.T, e engine.Engine) {
				seen.RowOf(t, name, e.Name)
				test(t, e)
			})
		})
	}
}

func listen(t testing.TB, pipe string) *namedpipe.Listener {
	t.Helper()
	lis, err := namedpipe.Listen(t.Context(), pipe)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lis.Close() })
	return lis
}

func dial(t testing.TB, pipe string) *namedpipe.Conn {
	t.Helper()
	c, err := namedpipe.Dial(limited(t, time.Minute), pipe)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// pair returns both ends of a connection. No call on either may take longer
// than a minute.
func pair(t testing.TB) (server net.Conn, client *namedpipe.Conn) {
	t.Helper()
	pipe := testproc.PipeName()
	lis := listen(t, pipe)
	client = dial(t, pipe)
	server, err := lis.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	end := time.Now().Add(time.Minute)
	if err := errors.Join(server.SetDeadline(end), client.SetDeadline(end)); err != nil {
		t.Fatal(err)
	}
	return server, client
}

// wantIs fails unless err is the given one.
func wantIs(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}

// Kestrel's Accept returns null; Go's has net.ErrClosed for that.
func acceptAfterClose(t *testing.T) {
	lis := listen(t, testproc.PipeName())
	lis.Close()
	_, err := lis.Accept()
	wantIs(t, err, net.ErrClosed)
}

// Kestrel counts how often its pipe instances were used again. Here it is the
// counters that must be right, before and after the connection.
func clientConnects(t *testing.T) {
	pipe := testproc.PipeName()
	lis := listen(t, pipe)
	for i := range uint64(2) {
		c := dial(t, pipe)
		s, err := lis.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if got := lis.Stats(); got.Accepted != i+1 || got.Open != 1 {
			t.Errorf("after connection %d: %+v", i+1, got)
		}
		c.Close()
		if _, err := s.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the server read %v, want EOF", err)
		}
		s.Close()
		if got := lis.Stats(); got.Open != 0 {
			t.Errorf("after its end: %+v", got)
		}
	}
}

// accepting starts an Accept and returns what it will return.
func accepting(lis *namedpipe.Listener) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, err := lis.Accept()
		done <- err
	}()
	return done
}

func closeDuringAccept(t *testing.T) {
	lis := listen(t, testproc.PipeName())
	done := accepting(lis)
	if err := lis.Close(); err != nil {
		t.Error(err)
	}
	wantIs(t, <-done, net.ErrClosed)
}

// A Go listener has Close only; what else ends an Accept is a deadline, after
// which the listener is as good as before.
func deadlineDuringAccept(t *testing.T) {
	pipe := testproc.PipeName()
	lis := listen(t, pipe)
	done := accepting(lis)
	if err := lis.SetDeadline(time.Now()); err != nil {
		t.Error(err)
	}
	wantIs(t, <-done, os.ErrDeadlineExceeded)
	if err := lis.SetDeadline(time.Time{}); err != nil {
		t.Error(err)
	}
	done = accepting(lis)
	dial(t, pipe)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// 10 clients connect, send a byte and leave, 250 times each, with 1, 4 and 16
// instances that wait for them.
func parallelConnections(t *testing.T) {
	const clients = 10
	rounds := soak.N(250)
	for _, instances := range []int{1, 4, 16} {
		pipe := testproc.PipeName()
		lc := namedpipe.ListenConfig{Instances: instances}
		lis, err := lc.Listen(t.Context(), pipe)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { lis.Close() })
		ctx := limited(t, 2*time.Minute)
		lis.SetDeadline(time.Now().Add(2 * time.Minute))
		errs := make([]error, clients)
		var wg sync.WaitGroup
		for i := range clients {
			wg.Go(func() {
				for range rounds {
					c, err := namedpipe.Dial(ctx, pipe)
					if err == nil {
						_, err = c.Write([]byte{1})
						// On Windows a client that leaves before its instance is looked at
						// was never there.
						_, err2 := io.Copy(io.Discard, c)
						err = errors.Join(err, err2, c.Close())
					}
					if err != nil {
						errs[i] = err
						lis.SetDeadline(time.Now()) // ends the test
						return
					}
				}
			})
		}
		for range clients * rounds {
			s, err := lis.Accept()
			if err != nil {
				t.Error(err)
				break
			}
			if n, err := s.Read(make([]byte, 2)); n != 1 || err != nil {
				t.Errorf("the server read %d bytes, %v", n, err)
			}
			s.Close()
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Errorf("%d instances: %v", instances, err)
		}
	}
}

// More clients than instances wait until Accept has made room. Off Windows the
// backlog is the system's and takes them all.
func backlogLimit(t *testing.T) {
	const clients = 100
	pipe := testproc.PipeName()
	lc := namedpipe.ListenConfig{Instances: 2}
	lis, err := lc.Listen(t.Context(), pipe)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lis.Close() })
	ctx := limited(t, 2*time.Minute)
	errs := make([]error, clients)
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			c, err := namedpipe.Dial(ctx, pipe)
			if err == nil {
				_, err = c.Read(make([]byte, 1))
				err = errors.Join(err, c.Close())
			}
			errs[i] = err
		})
	}
	stop := context.AfterFunc(ctx, func() { lis.Close() })
	defer stop()
	for range clients {
		s, err := lis.Accept()
		if err != nil {
			t.Error(err)
			break
		}
		if _, err := s.Write([]byte{1}); err != nil {
			t.Error(err)
		}
		s.Close()
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
}

func secondListener(t *testing.T) {
	pipe := testproc.PipeName()
	listen(t, pipe)
	lc := namedpipe.ListenConfig{NameTakenTimeout: -1}
	lis, err := lc.Listen(t.Context(), pipe)
	wantIs(t, err, syscall.EADDRINUSE)
	if err == nil {
		lis.Close()
	}
}

func listenAgain(t *testing.T) {
	pipe := testproc.PipeName()
	listen(t, pipe).Close()
	lis := listen(t, pipe)
	done := accepting(lis)
	dial(t, pipe)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// The end of a connection in good order is an EOF at the other end, after the
// last byte.
func bothWaysAndClose(t *testing.T) {
	s, c := pair(t)
	if _, err := c.Write([]byte("question")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, len("question"))
	if _, err := io.ReadFull(s, b); err != nil || string(b) != "question" {
		t.Errorf("the server read %q, %v", b, err)
	}
	if _, err := s.Write([]byte("answer")); err != nil {
		t.Error(err)
	}
	s.Close()
	if b, err := io.ReadAll(c); err != nil || string(b) != "answer" {
		t.Errorf("the client read %q, %v", b, err)
	}
}

// Kestrel's ConnectionAbortedException is net.ErrClosed in Go.
func readAfterClose(t *testing.T) {
	s, _ := pair(t)
	s.Close()
	_, err := s.Read(make([]byte, 1))
	wantIs(t, err, net.ErrClosed)
}

func closeDuringRead(t *testing.T) {
	s, _ := pair(t)
	done := make(chan error, 1)
	go func() {
		_, err := s.Read(make([]byte, 1))
		done <- err
	}()
	s.Close()
	wantIs(t, <-done, net.ErrClosed)
}

// Kestrel throws 10 MiB away without a word. Go says that they went nowhere.
func writeAfterClose(t *testing.T) {
	s, _ := pair(t)
	s.Close()
	_, err := s.Write(make([]byte, 10<<20))
	wantIs(t, err, net.ErrClosed)
}

// Kestrel doesn't end a connection before the client has read the last byte.
// Go doesn't wait: what was written is the client's, whenever it reads.
func closeBeforeClientHasRead(t *testing.T) {
	s, c := pair(t)
	dontLoseData(t, s, c, func() {})
}

// The same when listener and all go away.
func closeAllBeforeClientHasRead(t *testing.T) {
	pipe := testproc.PipeName()
	lis := listen(t, pipe)
	c := dial(t, pipe)
	s, err := lis.Accept()
	if err != nil {
		t.Fatal(err)
	}
	dontLoseData(t, s, c, func() { lis.Close() })
}

func dontLoseData(t *testing.T, s, c net.Conn, andThen func()) {
	t.Helper()
	want := bytes.Repeat([]byte("0123456789abcdef"), 2<<10)
	if _, err := s.Write(want); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	andThen()
	if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the client read %d bytes of %d, %v", len(got), len(want), err)
	}
}
