package main

import (
	"fmt"
	"os"
)

// resident returns the memory of a process that is in RAM, in bytes.
func resident(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, err
	}
	var total, pages int64
	if _, err := fmt.Sscan(string(b), &total, &pages); err != nil {
		return 0, err
	}
	return pages * int64(os.Getpagesize()), nil
}
