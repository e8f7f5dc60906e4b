//go:build unix

package tableflip

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cloudflare/tableflip"

	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

func TestMain(m *testing.M) { testproc.Main(m, map[string]func(){"server": server}) }

// server answers clients with its process id, replaces itself at SIGHUP and ends
// at SIGTERM.
func server() {
	if err := serve(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(name string) error {
	upg, err := tableflip.New(tableflip.Options{})
	if err != nil {
		return err
	}
	defer upg.Stop()
	l, err := listen(upg, name)
	if err != nil {
		return err
	}
	answered := make(chan struct{})
	defer func() {
		l.Close()
		<-answered // a client that was accepted has its answer
	}()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGTERM)
	go func() {
		for s := range signals {
			if s == syscall.SIGTERM {
				upg.Stop()
			} else if err := upg.Upgrade(); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		}
	}()
	go func() {
		defer close(answered)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprintln(c, os.Getpid())
			c.Close()
		}
	}()
	if err := upg.Ready(); err != nil {
		return err
	}
	<-upg.Exit()
	return nil
}

// listen takes the socket of the process before, or makes the first.
func listen(upg *tableflip.Upgrader, name string) (*namedpipe.Listener, error) {
	var lc namedpipe.ListenConfig
	f, err := upg.File(name)
	if err != nil {
		return nil, err
	}
	if f != nil {
		defer f.Close()
		return lc.FileListener(name, f)
	}
	l, err := lc.Listen(context.Background(), name)
	if err != nil {
		return nil, err
	}
	if f, err = l.File(); err != nil {
		return nil, err
	}
	defer f.Close()
	return l, upg.AddFile(name, f)
}

// TestTableflip: servers replace each other by tableflip under clients that
// connect without pause, each of which is answered.
func TestTableflip(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	name := testproc.PipeName()
	cmd, err := testproc.Self(ctx, "server", name)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var last int
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		cmd.Wait()
	}()
	defer func() {
		syscall.Kill(last, syscall.SIGTERM)
		cmd.Process.Kill() // has ended, unless the test has failed
		<-ended
		if addr, err := namedpipe.ResolveAddr(name); err == nil {
			os.Remove(addr.String()) // tableflip's servers leave it to each other
		}
	}()
	ask := func(d namedpipe.Dialer) (pid int, err error) {
		c, err := d.Dial(ctx, name)
		if err != nil {
			return 0, err
		}
		defer c.Close()
		_, err = fmt.Fscanln(c, &pid)
		return pid, err
	}
	if last, err = ask(namedpipe.Dialer{WaitForServer: true}); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := ask(namedpipe.Dialer{}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	seen := map[int]bool{last: true}
	for range 3 {
		// tableflip refuses while the process before is there, so it is told
		// again and again.
		newest := last
		for seen[last] {
			if err := syscall.Kill(newest, syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
			for i := 0; i < 50 && seen[last]; i++ {
				if last, err = ask(namedpipe.Dialer{}); err != nil {
					t.Fatal(err)
				}
			}
		}
		seen[last] = true
	}
	close(stop)
	wg.Wait()
}
