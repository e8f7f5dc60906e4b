//go:build unix

package main

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
	"time"
)

// stockNetwork is where stock grpc-go listens as it would without this library.
const stockNetwork = "unix"

func systemStats() stats {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return stats{}
	}
	return stats{
		CPU:      time.Duration(u.Utime.Nano() + u.Stime.Nano()),
		Switches: int64(u.Nvcsw) + int64(u.Nivcsw),
		Resident: resident(u),
	}
}

// resident returns the memory in use, if the system reports it, or else the
// largest that was in use.
func resident(u syscall.Rusage) int64 {
	if b, err := os.ReadFile("/proc/self/statm"); err == nil {
		if f := bytes.Fields(b); len(f) > 1 {
			if n, err := strconv.ParseInt(string(f[1]), 10, 64); err == nil {
				return n * int64(os.Getpagesize())
			}
		}
	}
	return int64(u.Maxrss)
}
