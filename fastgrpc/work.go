package fastgrpc

import "sync"

const (
	// maxWorkers is how many goroutines wait for calls. A new one would grow its
	// stack for each call, an eighth of what a small call costs.
	maxWorkers = 64
	// maxTurns is after how many calls a worker is replaced: its stack is as large
	// as the deepest of them needed.
	maxTurns = 1 << 16
)

// workers run calls. There is no limit on calls: one that finds no worker gets a
// new goroutine, which may stay as a worker.
type workers struct {
	mu   sync.Mutex
	idle []*worker
	shut bool
}

type worker struct{ next chan *serverCall }

// do runs the call on another goroutine.
func (w *workers) do(c *serverCall) {
	w.mu.Lock()
	if n := len(w.idle); n > 0 {
		one := w.idle[n-1]
		w.idle = w.idle[:n-1]
		w.mu.Unlock()
		one.next <- c
		return
	}
	w.mu.Unlock()
	go w.work(c)
}

func (w *workers) work(c *serverCall) {
	one := &worker{make(chan *serverCall, 1)}
	for range maxTurns {
		c.run()
		w.mu.Lock()
		if w.shut || len(w.idle) >= maxWorkers {
			w.mu.Unlock()
			return
		}
		w.idle = append(w.idle, one)
		w.mu.Unlock()
		if c = <-one.next; c == nil {
			return
		}
	}
	go w.work(c)
}

// close ends the workers that wait. Calls may still come and are run.
func (w *workers) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.shut = true
	for _, one := range w.idle {
		close(one.next)
	}
	w.idle = nil
}
