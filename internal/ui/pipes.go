package ui

import (
	"context"
	"net/http"
	"path/filepath"
	"reflect"
	"sync"
	"time"

	"github.com/grpcpipe/grpcpipe/internal/inspect"
	"github.com/grpcpipe/grpcpipe/internal/target"
)

const (
	// listEvery is the interval at which pipes are listed, and detailsEvery the
	// one at which each is opened to see who its server is.
	listEvery    = time.Second
	detailsEvery = 5 * time.Second
	// askTimeout bounds asking one server for its services.
	askTimeout = 2 * time.Second
)

// pipe is a row of the first screen.
type pipe struct {
	Name     string   `json:"name"`
	Path     string   `json:"path"`
	Target   string   `json:"target"`
	State    string   `json:"state"`
	Owner    string   `json:"owner,omitempty"`
	Process  int      `json:"process,omitempty"`
	Program  string   `json:"program,omitempty"`
	Services []string `json:"services,omitempty"`
	Error    string   `json:"error,omitempty"`
}

// A pipeList remembers what can be learned only by opening a pipe.
type pipeList struct {
	probe bool
	ask   func(context.Context, string) ([]string, error)

	mu    sync.Mutex
	known map[string]known // by path
}

type known struct {
	at       time.Time
	details  *inspect.Details
	asked    int // the process whose services were looked up
	services []string
}

// list returns the pipes with what is known of them, and refreshes what is out
// of date.
func (l *pipeList) list(ctx context.Context) ([]pipe, error) {
	found, err := inspect.Pipes("*")
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	var old []inspect.Pipe
	for _, p := range found {
		if time.Since(l.known[p.Path].at) > detailsEvery {
			old = append(old, p)
		}
	}
	l.mu.Unlock()
	inspect.AddDetails(ctx, old)
	l.mu.Lock()
	defer l.mu.Unlock()
	now := make(map[string]known, len(found))
	for _, p := range found {
		now[p.Path] = l.known[p.Path]
	}
	for _, p := range old {
		k := now[p.Path]
		k.at, k.details = time.Now(), p.Details
		if k.details.PID != k.asked {
			k.services = nil
		}
		now[p.Path] = k
	}
	l.known = now
	rows := make([]pipe, 0, len(found))
	for _, p := range found {
		k := l.known[p.Path]
		rows = append(rows, pipe{
			Name: p.Name, Path: p.Path, Target: target.ForName(p.Name), State: p.State, Services: k.services,
			Owner: k.details.Owner, Process: k.details.PID, Error: k.details.Error, Program: filepath.Base(k.details.Executable),
		})
		if k.details.Executable == "" {
			rows[len(rows)-1].Program = ""
		}
		if l.probe && k.details.PID != k.asked && k.details.Error == "" && p.State != inspect.Stale {
			k.asked = k.details.PID
			l.known[p.Path] = k
			go l.askServices(ctx, p.Path, target.ForName(p.Name), k.details.PID)
		}
	}
	return rows, nil
}

func (l *pipeList) askServices(ctx context.Context, path, target string, pid int) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	services, err := l.ask(ctx, target)
	if err != nil {
		return // the server may not speak gRPC, or not answer
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if k, ok := l.known[path]; ok && k.asked == pid {
		k.services = services
		l.known[path] = k
	}
}

// servicesOf asks a server for the names of its services.
func (u *UI) servicesOf(ctx context.Context, target string) ([]string, error) {
	cfg := u.cfg.Base
	cfg.Target, cfg.Timeout = target, askTimeout
	s, err := inspect.Dial(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	sch, err := s.Schema(ctx, inspect.Source{})
	if err != nil {
		return nil, err
	}
	defer sch.Close()
	names, err := sch.Services()
	if err != nil {
		return nil, err
	}
	var services []string
	for _, name := range names {
		services = append(services, string(name))
	}
	return services, nil
}

// pipes sends the list each time it has changed.
func (u *UI) pipes(w http.ResponseWriter, r *http.Request) {
	events := make(chan any)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	go func() {
		defer close(events)
		tick := time.NewTicker(listEvery)
		defer tick.Stop()
		type state struct {
			Pipes []pipe   `json:"pipes"`
			Error *problem `json:"error,omitempty"`
		}
		var last *state
		for {
			rows, err := u.list.list(ctx)
			now := &state{rows, problemOf(err)}
			if last == nil || !reflect.DeepEqual(*last, *now) {
				select {
				case events <- now:
				case <-ctx.Done():
					return
				}
				last = now
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	newFeed(w).run(ctx, events)
}
