//go:build !linux

package h2

import "time"

// threadSleep sleeps by a timer of the runtime: a thread of its own is no better
// where the system sleeps as coarsely as Windows does.
func threadSleep(d time.Duration) { time.Sleep(d) }
