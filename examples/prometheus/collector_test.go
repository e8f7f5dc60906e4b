package prometheus_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	client "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/grpcpipe/grpcpipe/examples/prometheus"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// Two listeners, one of which refuses everybody, as Prometheus gets to see them.
func TestScrape(t *testing.T) {
	refusing := namedpipe.ListenConfig{Instances: 2, Access: namedpipe.Access{Check: func(*namedpipe.Peer) error { return errors.New("no") }}}
	first, second := listen(t, namedpipe.ListenConfig{Instances: 2}), listen(t, refusing)
	registry := client.NewPedanticRegistry()
	// snippet: register
	registry.MustRegister(prometheus.NewCollector(first, second))
	// end snippet
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("problems: %v, %v", problems, err)
	}

	kept := dial(t, first)
	defer kept.Close()
	server, err := first.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	accepted := make(chan struct{})
	go func() { // refuses until the listener is closed
		defer close(accepted)
		if _, err := second.Accept(); err == nil {
			t.Error("a client was accepted")
		}
	}()
	for range 3 {
		c := dial(t, second)
		io.Copy(io.Discard, c)
		c.Close()
	}
	second.Close()
	<-accepted

	waiting := 1
	if runtime.GOOS == "windows" {
		waiting = 2
	}
	web := httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	defer web.Close()
	reply, err := http.Get(web.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	page, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	label := func(l *namedpipe.Listener) string { // as the page quotes it
		return strings.ReplaceAll(l.Addr().String(), `\`, `\\`)
	}
	for _, want := range []string{
		fmt.Sprintf(`grpcpipe_listener_accepted_total{pipe="%s"} 1`, label(first)),
		fmt.Sprintf(`grpcpipe_listener_open_connections{pipe="%s"} 1`, label(first)),
		fmt.Sprintf(`grpcpipe_listener_refused_total{pipe="%s",reason="access"} 0`, label(first)),
		fmt.Sprintf(`grpcpipe_listener_waiting_instances{pipe="%s"} %d`, label(first), waiting),
		fmt.Sprintf(`grpcpipe_listener_accepted_total{pipe="%s"} 0`, label(second)),
		fmt.Sprintf(`grpcpipe_listener_open_connections{pipe="%s"} 0`, label(second)),
		fmt.Sprintf(`grpcpipe_listener_refused_total{pipe="%s",reason="access"} 3`, label(second)),
		fmt.Sprintf(`grpcpipe_listener_refused_total{pipe="%s",reason="gone"} 0`, label(second)),
		fmt.Sprintf(`grpcpipe_listener_waiting_instances{pipe="%s"} 0`, label(second)),
		fmt.Sprintf(`grpcpipe_listener_queued_connections{pipe="%s"} 0`, label(second)),
		fmt.Sprintf(`grpcpipe_listener_retries_total{pipe="%s"} 0`, label(second)),
	} {
		if !strings.Contains(string(page), want+"\n") {
			t.Errorf("the page is without %s:\n%s", want, page)
		}
	}
}

func listen(t *testing.T, lc namedpipe.ListenConfig) *namedpipe.Listener {
	t.Helper()
	l, err := lc.Listen(t.Context(), "prometheus-"+rand.Text())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func dial(t *testing.T, l *namedpipe.Listener) *namedpipe.Conn {
	t.Helper()
	c, err := namedpipe.Dial(t.Context(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return c
}
