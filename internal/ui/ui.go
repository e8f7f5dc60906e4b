// Package ui is a page on which the gRPC servers of this machine are seen,
// called and measured. It is an http.Handler; see [New] for who may use it.
package ui

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/grpcpipe/grpcpipe/internal/inspect"
)

// A Config holds options for a page. Only Hosts must be set.
type Config struct {
	// Hosts are the values of the Host header that the page answers to, such as
	// 127.0.0.1:7000: a name that was rebound to this machine is none of them.
	Hosts []string
	// Dir is where requests are saved and the history is kept, as plain files
	// that are made when there is something to write. "" keeps nothing.
	Dir string
	// Probe lets the list of pipes ask each server of this user for its
	// services. Otherwise only servers that the user opens are sent anything.
	Probe bool
	// Base is how servers are reached unless the page says otherwise. Its Target
	// is not used.
	Base inspect.Config
}

// A UI is the page. Its methods may be called by any number of goroutines.
type UI struct {
	cfg   Config
	mux   *http.ServeMux
	guard guard
	store store
	list  pipeList

	mu       sync.Mutex
	sessions map[string]*session // by target and options
	calls    map[string]*call    // by id, while they are under way
}

// New makes a page. Whoever opens it must know a token of [UI.Token]: loopback
// is open to every user of the machine and to every page in a browser. The
// caller must Close it.
func New(cfg Config) *UI {
	u := &UI{cfg: cfg, mux: http.NewServeMux(), store: store{dir: cfg.Dir}, sessions: map[string]*session{}, calls: map[string]*call{}}
	u.guard.hosts = cfg.Hosts
	u.list = pipeList{probe: cfg.Probe, ask: u.servicesOf}
	u.files()
	u.mux.HandleFunc("POST /api/login", u.guard.login)
	for path, serve := range map[string]http.HandlerFunc{
		"hello":      func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
		"pipes":      u.pipes,
		"open":       answer(u.open),
		"schema":     answer(u.schema),
		"call":       u.call,
		"send":       answer(u.send),
		"half-close": answer(u.halfClose),
		"cancel":     answer(u.cancel),
		"copy-as":    answer(u.copyAs),
		"saved":      answer(u.saved),
		"save":       answer(u.save),
		"remove":     answer(u.remove),
		"bench":      u.bench,
	} {
		u.mux.Handle("POST /api/"+path, u.guard.loggedIn(serve))
	}
	return u
}

// ServeHTTP serves the page.
func (u *UI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if u.guard.admits(w, r) {
		u.mux.ServeHTTP(w, r)
	}
}

// Token returns a secret that opens the page once, behind the # of its address.
func (u *UI) Token() string { return u.guard.newToken() }

// Close ends all calls and connections.
func (u *UI) Close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, c := range u.calls {
		c.Cancel()
	}
	for key, s := range u.sessions {
		delete(u.sessions, key)
		s.retire()
	}
}

// maxBody is the largest request of the page, in bytes: a message of gRPC's
// default limit in base64, in JSON.
const maxBody = 32 << 20

// answer makes a handler of a function from the page's JSON to its answer.
func answer[In, Out any](f func(context.Context, In) (Out, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		in, err := decode[In](w, r)
		var out Out
		if err == nil {
			out, err = f(r.Context(), in)
		}
		if err != nil {
			fail(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(out) // fails only if nobody reads it
	}
}

func decode[In any](w http.ResponseWriter, r *http.Request) (in In, err error) {
	if err = json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&in); err != nil {
		err = &inspect.Error{Kind: inspect.Usage, Err: fmt.Errorf("bad request: %w", err)}
	}
	return in, err
}

// problem is an error as the page shows it.
type problem struct {
	Message string `json:"message"`
	Next    string `json:"next,omitempty"`
}

func problemOf(err error) *problem {
	if err == nil {
		return nil
	}
	var e *inspect.Error
	if errors.As(err, &e) {
		return &problem{Message: e.Err.Error(), Next: e.Next}
	}
	return &problem{Message: err.Error()}
}

func fail(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusUnprocessableEntity)
	json.NewEncoder(w).Encode(problemOf(err))
}

// A feed is an answer that goes on, one JSON value a line.
type feed struct {
	enc   *json.Encoder
	flush func()
}

// feedQuiet is how long a feed holds back lines for more to come.
const feedQuiet = 10 * time.Millisecond

// newFeed starts the answer. Its methods are for one goroutine.
func newFeed(w http.ResponseWriter) *feed {
	w.Header().Set("Content-Type", "application/x-ndjson")
	rc := http.NewResponseController(w)
	return &feed{enc: json.NewEncoder(w), flush: func() { rc.Flush() }}
}

// run writes what comes until the channel is closed or the page is gone, and
// flushes when nothing more comes for a moment.
func (f *feed) run(ctx context.Context, events <-chan any) {
	f.flush()
	quiet := time.NewTimer(feedQuiet)
	defer quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-quiet.C:
			f.flush()
		case e, ok := <-events:
			if !ok {
				f.flush()
				return
			}
			if f.enc.Encode(e) != nil {
				return
			}
			quiet.Reset(feedQuiet)
		}
	}
}
