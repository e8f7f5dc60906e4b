package fastgrpc

import (
	"time"

	"google.golang.org/grpc/connectivity"
)

// An idleWatch makes a client idle that makes no calls. It looks at what the
// connections have carried, so that calls cost nothing more.
type idleWatch struct {
	timer  *time.Timer
	opened uint64 // calls on all connections, when it last looked
}

func (w *idleWatch) stop() {
	if w.timer != nil {
		w.timer.Stop()
		w.timer = nil
	}
}

// watchIdle begins to watch. cc.mu is held.
func (cc *ClientConn) watchIdle() {
	every := cc.cfg.IdleTimeout
	if every < 0 || cc.idle.timer != nil {
		return
	}
	_, cc.idle.opened = cc.load()
	var timer *time.Timer
	timer = time.AfterFunc(every, func() {
		cc.mu.Lock()
		defer cc.mu.Unlock()
		if cc.idle.timer != timer {
			return
		}
		open, opened := cc.load()
		if open || opened != cc.idle.opened || cc.waiting > 0 {
			cc.idle.opened = opened
			timer.Reset(every)
			return
		}
		cc.letGo()
		cc.setState(connectivity.Idle, nil)
	})
	cc.idle.timer = timer
}

// load reports whether calls are under way, and returns a number that changes
// with each call. cc.mu is held.
func (cc *ClientConn) load() (open bool, opened uint64) {
	for l := range cc.links {
		now, n := l.h2.Load()
		open = open || now > 0
		opened += n
	}
	return open, opened
}
