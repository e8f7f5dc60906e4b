package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
)

// profileVar is the environment variable that passes -profile to the children.
const profileVar = "GRPCPIPE_BENCH_PROFILE"

// profile writes this child's profile of processor time and of allocations to
// the folder of -profile, until the function it returns is called.
func profile(role, contender string) (stop func(), err error) {
	dir := os.Getenv(profileVar)
	if dir == "" {
		return func() {}, nil
	}
	runtime.MemProfileRate = 16 << 10
	at := filepath.Join(dir, fmt.Sprintf("%s-%s", contender, role))
	f, err := os.Create(at + ".cpu")
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, err
	}
	return func() {
		pprof.StopCPUProfile()
		f.Close()
		m, err := os.Create(at + ".allocs")
		if err == nil {
			err = pprof.Lookup("allocs").WriteTo(m, 0)
			m.Close()
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "bench: profile:", err)
		}
	}, nil
}
