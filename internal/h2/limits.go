package h2

import "time"

// Limits bound what a peer can make a connection hold or do. A zero field means
// its default.
type Limits struct {
	// Streams is how many calls a peer may have under way, and at a server how
	// many handlers a connection keeps busy. Default 1000.
	Streams uint32
	// HeaderBytes is the size of a header list as HTTP/2 counts it: name, value
	// and 32 bytes for each field. Default 16 KiB. Some peers' lists are larger by
	// themselves, so a list that is too large ends its stream only.
	HeaderBytes uint32
	// HeaderFields is the number of fields in a header list. Default 128.
	HeaderFields int
	// Continuations is the number of CONTINUATION frames behind one HEADERS frame.
	// Default 8.
	Continuations int
	// FrameBytes is the largest frame a peer may send, 16 KiB to 16 MiB less a
	// byte. Default 80 KiB: a message of 64 KiB in one frame.
	FrameBytes uint32
	// StreamWindow is how many bytes a peer may send on a stream that nobody
	// reads. Default 8 MiB.
	StreamWindow uint32
	// ConnWindow is how many bytes a peer may send on a connection that nobody
	// reads. Default 64 MiB.
	ConnWindow uint32
	// QueuedBytes is how many bytes of messages wait to be written before senders
	// wait. Default 256 KiB.
	QueuedBytes int
	// QueuedControl is how many answers (to pings, settings and the like) wait to
	// be written before the peer, which doesn't read them, is cut. Default 1000.
	QueuedControl int
	// Resets is how many streams a peer may reset, or make us reset, in a burst,
	// and ResetsPerSecond how many it may go on with. Default 2000 and 200.
	Resets          int
	ResetsPerSecond int
	// Glitches is how many frames without progress (empty DATA, settings, pings,
	// window updates for nothing) a peer may send in a burst, and
	// GlitchesPerSecond how many it may go on with. Default 10000 and 1000.
	Glitches          int
	GlitchesPerSecond int
	// PingInterval is the time between a client's pings that a server lets pass. It
	// ends the connection at the fifth that comes sooner with nothing of a call
	// sent between them. Default 250 ms; .NET clients can be set to ping every second.
	PingInterval time.Duration
	// Settings is the number of settings in one frame. Default 32.
	Settings int
	// Handshake is the time from the start of the connection to the peer's
	// preface and SETTINGS. Default 10 s.
	Handshake time.Duration
	// HeaderTime is the time from the first frame of a header block to its last.
	// Default 10 s.
	HeaderTime time.Duration
	// WriteStall is how long a write may make no progress before the connection
	// is given up. Default 2 minutes.
	WriteStall time.Duration
}

func or[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// withDefaults fills in what is zero and brings into range what HTTP/2 bounds.
func (l Limits) withDefaults() Limits {
	or(&l.Streams, 1000)
	or(&l.HeaderBytes, 16<<10)
	or(&l.HeaderFields, 128)
	or(&l.Continuations, 8)
	or(&l.FrameBytes, 80<<10)
	or(&l.StreamWindow, 8<<20)
	or(&l.ConnWindow, 64<<20)
	or(&l.QueuedBytes, 256<<10)
	or(&l.QueuedControl, 1000)
	or(&l.Resets, 2000)
	or(&l.ResetsPerSecond, 200)
	or(&l.Glitches, 10000)
	or(&l.GlitchesPerSecond, 1000)
	or(&l.PingInterval, 250*time.Millisecond)
	or(&l.Settings, 32)
	or(&l.Handshake, 10*time.Second)
	or(&l.HeaderTime, 10*time.Second)
	or(&l.WriteStall, 2*time.Minute)
	l.FrameBytes = min(max(l.FrameBytes, minFrameSize), maxFrameSize)
	l.StreamWindow = min(max(l.StreamWindow, defaultWindow), maxWindow)
	l.ConnWindow = min(max(l.ConnWindow, defaultWindow), maxWindow)
	return l
}

// A rate is a token bucket: a burst, then a number per second.
type rate struct {
	burst, perSecond int
	used             float64
	last             time.Time
}

// take counts one, and reports whether it is within the rate. Until half of the
// burst is used it looks at no clock.
func (r *rate) take() bool {
	r.used++
	if r.used <= float64(r.burst)/2 {
		return true
	}
	now := time.Now()
	if !r.last.IsZero() {
		r.used = max(0, r.used-now.Sub(r.last).Seconds()*float64(r.perSecond))
	}
	r.last = now
	return r.used <= float64(r.burst)
}
