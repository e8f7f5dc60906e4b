package fastgrpc

import (
	"sync/atomic"
	"time"
)

const (
	// quickAlways is up to what time a method's handler runs on the reader's
	// goroutine in any case, and quickAlone up to what time if no other call of
	// the connection is under way.
	quickAlways = 5 * time.Microsecond
	quickAlone  = 50 * time.Microsecond
	// One call in measureOne is timed.
	measureOne = 64
	// leastProbation is for how many calls a method's handler runs elsewhere after
	// it was found to block; each time that happens again it is four times as
	// many, up to mostProbation, and half as many for every goodBehavior calls
	// without.
	leastProbation = 256
	mostProbation  = 16384
	goodBehavior   = 4096
)

// A quickness is what is known of how long a method's handler takes. One that
// has been quick lately runs on the goroutine that reads for the connection; see
// h2.Conn.BeginInline. It starts elsewhere.
type quickness struct {
	calls atomic.Uint32
	mean  atomic.Int64 // nanoseconds, of some calls; 0 if none was timed
	wait  atomic.Int32 // calls until it may run on the reader again
	next  atomic.Int32 // the next probation; 0 for the least
}

// inline reports whether the call's handler should run on the reader.
func (q *quickness) inline(c *serverCall) bool {
	if q.wait.Load() > 0 {
		q.wait.Add(-1)
		return false
	}
	switch mean := time.Duration(q.mean.Load()); {
	case mean == 0:
		return false
	case mean <= quickAlways:
		return true
	default:
		return mean <= quickAlone && c.Conn().Busy() == 1
	}
}

// begin and end enclose the handler.
func (q *quickness) begin() time.Time {
	n := q.calls.Add(1)
	if n%goodBehavior == 0 {
		q.next.Store(q.next.Load() / 2)
	}
	if n%measureOne == 0 || n <= 4 {
		return time.Now()
	}
	return time.Time{}
}

func (q *quickness) end(start time.Time) {
	if start.IsZero() {
		return
	}
	took := int64(time.Since(start))
	old := q.mean.Load()
	if old != 0 {
		took = old + (took-old)/8
	}
	q.mean.Store(max(took, 1))
}

// tookOver says that the handler kept the reader for too long.
func (q *quickness) tookOver() {
	n := max(q.next.Load(), leastProbation)
	q.wait.Store(n)
	q.next.Store(min(4*n, mostProbation))
}
