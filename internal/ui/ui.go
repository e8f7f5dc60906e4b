// Package ui is a web page that shows, calls and measures the gRPC servers of
// this machine. It is an http.Handler; see [New] for who may use it.
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
	// Hosts are the values of the Host header that the page answers, such as
	// 127.0.0.1:7000. They keep out names that were rebound to this machine.
	Hosts []string
	// Dir is the directory for saved requests and the history, as plain files,
	// made when there is something to write. If it is empty nothing is kept.
	Dir string
	// Probe lets the list of pipes query each server of this user for its
	// services. Otherwise only servers that the user opens are sent anything.
	Probe bool
	// Base holds the settings for reaching servers that the page doesn't set.
	// Its Target is not used.
	Base inspect.Config
}

// A UI is the page. Its methods are safe for concurrent use.
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

// New makes a page. A browser needs a token from [UI.Token] to open it:
// loopback is open to every user of the machine and to every page in a browser.
// The caller must call Close.
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

// Token returns a secret that opens the page once. It belongs behind the # of
// the page's address.
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

// maxBody is the size, in bytes, of the page's largest request: a message of
// gRPC's default limit as base64 in JSON.
const maxBody = 32 << 20

// answer turns a function into a handler that reads and writes JSON.
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
		json.NewEncoder(w).Encode(out) // fails only if the page is closed
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

// A feed is a streamed response, one JSON value per line.
type feed struct {
	enc   *json.Encoder
	flush func()
}

// feedQuiet is how long a feed waits for more lines before it flushes.
const feedQuiet = 10 * time.Millisecond

// newFeed starts the response. One goroutine at a time may call its methods.
func newFeed(w http.ResponseWriter) *feed {
	w.Header().Set("Content-Type", "application/x-ndjson")
	rc := http.NewResponseController(w)
	return &feed{enc: json.NewEncoder(w), flush: func() { rc.Flush() }}
}

// run writes events until the channel is closed or the page is closed, and
// flushes when no more come for a moment.
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
