package fastgrpc

import "github.com/grpcpipe/grpcpipe/internal/h2"

// mostKept is how many bytes of a stream's messages are kept to make the call
// again, should the server not have looked at it.
const mostKept = 64 << 10

// keep keeps a message that is sent. s.send is held.
func (s *clientStream) keep(b []byte) {
	switch {
	case s.final:
	case s.answered.Load() || len(s.kept)+len(b) > mostKept:
		s.final, s.kept = true, nil
	default:
		s.kept = append(s.kept, b...)
	}
}

// mayRepeat reports whether the call, which ended by err, can be made again.
// s.send is held.
func (s *clientStream) mayRepeat(err error) bool {
	return err != nil && !s.final && !s.answered.Load() && s.call.mayRepeat(err, s.repeated)
}

// repeat makes the call again, if the server has not looked at it, and reports
// whether it did. The caller receives.
func (s *clientStream) repeat(err error) bool {
	if err == nil || s.answered.Load() {
		return false
	}
	s.lock()
	if s.finished || !s.mayRepeat(err) {
		s.mu.Unlock()
		s.send.Unlock()
		return false
	}
	opening := make(chan struct{})
	s.opening = opening
	s.repeated = true
	end := s.sentEnd
	s.mu.Unlock()
	s.send.Unlock()

	c := &s.call
	c.Release(h2.Cancel)
	err = c.open(s.ctx, h2.Payload{B: s.kept}, end)

	s.mu.Lock()
	defer s.mu.Unlock()
	defer close(opening)
	s.opening = nil
	if err != nil && err != h2.ErrStreamDone {
		s.finishLocked(c.fail(err))
		return false
	}
	return true
}
