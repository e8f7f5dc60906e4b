package h2

import (
	"context"
	"encoding/binary"
	"time"
)

// Start begins a client's connection: its preface and settings are queued, and
// written with the first call or the first flush.
func (c *Conn) Start() {
	c.begin()
	c.mu.Lock()
	c.flush(false)
	c.mu.Unlock()
	c.watchIdle()
}

// begin queues what this end begins with.
func (c *Conn) begin() {
	if c.server {
		c.car.SetReadDeadline(time.Now().Add(c.lim.Handshake))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.out.arena
	if !c.server {
		a = append(a, Preface...)
	}
	start := len(a)
	a = appendFrame(a, 0, frameSettings, 0, 0)
	if c.server {
		a = appendSetting(a, settingMaxStreams, c.lim.Streams)
	} else {
		a = appendSetting(a, settingEnablePush, 0)
	}
	a = appendSetting(a, settingInitialWindow, c.lim.StreamWindow)
	a = appendSetting(a, settingMaxFrame, c.lim.FrameBytes)
	a = appendSetting(a, settingMaxHeaderList, c.lim.HeaderBytes)
	setLength(a[start:], len(a)-start-frameHead)
	if more := int64(c.lim.ConnWindow) - c.recvWindow; more > 0 {
		a = appendWindowUpdate(a, 0, uint32(more))
		c.recvWindow += more
	}
	c.out.arena = a
}

// onSettings takes the peer's settings.
func (c *Conn) onSettings(f frame, p []byte) error {
	switch {
	case f.id != 0:
		return connError(ProtocolError, "SETTINGS on stream %d", f.id)
	case f.has(flagAck):
		if len(p) != 0 {
			return connError(FrameSizeError, "an acknowledgment of SETTINGS with %d bytes", len(p))
		}
		return c.glitch()
	case len(p)%6 != 0:
		return connError(FrameSizeError, "SETTINGS of %d bytes", len(p))
	case len(p)/6 > c.lim.Settings:
		return connError(EnhanceYourCalm, "SETTINGS with %d settings; at most %d are allowed", len(p)/6, c.lim.Settings)
	}
	if err := c.glitch(); err != nil {
		return err
	}
	c.mu.Lock()
	err := c.applySettings(p)
	first := err == nil && !c.settled
	if err == nil {
		c.settled = true
		c.out.arena = appendFrame(c.out.arena, 0, frameSettings, flagAck, 0)
		if !c.answer() {
			err = connError(EnhanceYourCalm, "too many answers wait to be read")
		}
		c.wakeBlocked()
		for range c.queue {
			if uint32(c.open) >= c.peerStreams {
				break
			}
			c.admit()
		}
	}
	c.mu.Unlock()
	if first {
		if c.server {
			c.car.SetReadDeadline(time.Time{})
		}
		c.h.Ready(c)
		close(c.ready)
	}
	return err
}

// applySettings applies the settings in p. c.mu is held.
func (c *Conn) applySettings(p []byte) error {
	streams := false
	for ; len(p) > 0; p = p[6:] {
		id, v := binary.BigEndian.Uint16(p), binary.BigEndian.Uint32(p[2:])
		switch id {
		case settingHeaderTable:
			c.enc.setMax(v)
		case settingEnablePush:
			if v > 1 || !c.server && v != 0 {
				return connError(ProtocolError, "ENABLE_PUSH of %d", v)
			}
		case settingMaxStreams:
			c.peerStreams, streams = v, true
		case settingInitialWindow:
			if v > maxWindow {
				return connError(FlowControlError, "an initial window of %d bytes", v)
			}
			by := int64(v) - c.peerWindow
			c.peerWindow = int64(v)
			for _, st := range c.streams {
				if st.sendWindow += by; st.sendWindow > maxWindow {
					return connError(FlowControlError, "the window of stream %d is over 2^31-1", st.id)
				}
			}
		case settingMaxFrame:
			if v < minFrameSize || v > maxFrameSize {
				return connError(ProtocolError, "MAX_FRAME_SIZE of %d bytes", v)
			}
			c.peerMaxFrame = int(v)
		case settingMaxHeaderList:
			c.peerHeaders = v
		}
	}
	if !c.settled && !streams {
		c.peerStreams = 1 << 31 // no limit
	}
	return nil
}

// onPing answers a ping, or is the answer to one.
func (c *Conn) onPing(f frame, p []byte) error {
	if len(p) != 8 {
		return connError(FrameSizeError, "PING of %d bytes", len(p))
	}
	if f.id != 0 {
		return connError(ProtocolError, "PING on stream %d", f.id)
	}
	data := [8]byte(p)
	if !f.has(flagAck) {
		if err := c.glitch(); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.server && !f.has(flagAck) && c.strikes.ping(time.Now(), c.lim.PingInterval) {
		return connError(EnhanceYourCalm, "too_many_pings") // as grpc-go says it: clients look for this
	}
	if f.has(flagAck) {
		if ch := c.pings[data]; ch != nil {
			delete(c.pings, data)
			ch <- struct{}{}
		}
		return nil
	}
	c.out.arena = appendPing(c.out.arena, flagAck, data)
	if !c.answer() {
		return connError(EnhanceYourCalm, "too many answers wait to be read")
	}
	return nil
}

// Ping sends a ping. The answer is sent on the channel, which must have room for
// it; if the connection ends there is none.
func (c *Conn) Ping(answer chan<- struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.pingCount++
	var data [8]byte
	binary.BigEndian.PutUint64(data[:], c.pingCount)
	if c.pings == nil {
		c.pings = map[[8]byte]chan<- struct{}{}
	}
	c.pings[data] = answer
	c.out.arena = appendPing(c.out.arena, 0, data)
	c.flush(false)
}

// WaitReady waits until the peer's settings are there. With lead it reads for
// that if nobody does.
func (c *Conn) WaitReady(ctx context.Context, lead bool) error {
	var token chan struct{}
	if lead {
		token = c.token
	}
	select {
	case token <- struct{}{}:
		c.lead(ctx, false, c.Settled)
	case <-c.ready:
	case <-c.done:
	case <-ctx.Done():
	}
	if c.Settled() {
		return nil
	}
	if err := c.Err(); err != nil {
		return err
	}
	return ctx.Err()
}
