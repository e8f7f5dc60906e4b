package namedpipe

import (
	"sync"
	"time"
)

// acceptDeadline is a deadline that can be changed while accept waits for it.
// The zero value is none.
type acceptDeadline struct {
	mu    sync.Mutex
	timer *time.Timer
	over  chan struct{} // closed when the deadline has passed
}

// passed returns a channel that is closed once the deadline has passed.
func (d *acceptDeadline) passed() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.over == nil {
		d.over = make(chan struct{})
	}
	return d.over
}

func (d *acceptDeadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil && !d.timer.Stop() {
		<-d.over // its function runs; the channel is not to be used again
	}
	d.timer = nil
	if d.over == nil || isClosed(d.over) {
		d.over = make(chan struct{})
	}
	if t.IsZero() {
		return
	}
	over := d.over
	if left := time.Until(t); left > 0 {
		d.timer = time.AfterFunc(left, func() { close(over) })
		return
	}
	close(over)
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
