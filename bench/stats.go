package main

import (
	"context"
	"runtime"
	"time"
)

// stats are a process's counters.
type stats struct {
	Allocs   uint64        // objects
	CPU      time.Duration // user and system
	Switches int64         // context switches, of either kind
	Resident int64         // bytes of memory
}

func (s stats) minus(o stats) stats {
	s.Allocs -= o.Allocs
	s.CPU -= o.CPU
	s.Switches -= o.Switches
	return s
}

func (s stats) plus(o stats) stats {
	s.Allocs += o.Allocs
	s.CPU += o.CPU
	s.Switches += o.Switches
	return s
}

func readStats() stats {
	// Not package runtime/metrics: it counts the objects of a span when the span
	// is allocated, hundreds at once and before they exist.
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	s := systemStats()
	s.Allocs = m.Mallocs
	return s
}

func namedpipeContext() context.Context { return context.Background() }
