package h2

import (
	"time"

	"golang.org/x/sys/unix"
)

// threadSleep sleeps in the system.
func threadSleep(d time.Duration) {
	ts := unix.NsecToTimespec(int64(d))
	unix.Nanosleep(&ts, nil)
}
