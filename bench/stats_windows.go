package main

import (
	"runtime"
	"time"

	"golang.org/x/sys/windows"
)

const stockNetwork = "tcp"

func systemStats() stats {
	var created, ended, kernel, user windows.Filetime
	var s stats
	if windows.GetProcessTimes(windows.CurrentProcess(), &created, &ended, &kernel, &user) == nil {
		s.CPU = ticks(kernel) + ticks(user)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	s.Resident = int64(m.Sys - m.HeapReleased) // what Go holds; Wine doesn't report its own share
	return s
}

// ticks converts a duration, which Filetime.Nanoseconds would treat as a date.
func ticks(f windows.Filetime) time.Duration {
	return time.Duration(int64(f.HighDateTime)<<32|int64(f.LowDateTime)) * 100
}
