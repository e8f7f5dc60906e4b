package h2

import (
	"syscall"
	"unsafe"
)

// maxPieces is how many pieces one system call takes.
const maxPieces = 64

// writePieces writes once, without waiting on a descriptor that doesn't block.
func writePieces(fd int, pieces [][]byte) (int, error) {
	if len(pieces) == 1 {
		for {
			n, err := syscall.Write(fd, pieces[0])
			if err != syscall.EINTR {
				return max(n, 0), err
			}
		}
	}
	var vec [maxPieces]syscall.Iovec
	n := 0
	for _, p := range pieces {
		if len(p) == 0 {
			continue
		}
		if n == len(vec) {
			break
		}
		vec[n].Base = &p[0]
		vec[n].SetLen(len(p))
		n++
	}
	for {
		r, _, e := syscall.Syscall(syscall.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(&vec[0])), uintptr(n))
		if e == syscall.EINTR {
			continue
		}
		if e != 0 {
			return 0, e
		}
		return int(r), nil
	}
}

// readPieces reads once into p and then more.
func readPieces(fd int, p, more []byte) (int, error) {
	if len(more) == 0 {
		return syscall.Read(fd, p)
	}
	vec := [2]syscall.Iovec{{Base: &p[0]}, {Base: &more[0]}}
	vec[0].SetLen(len(p))
	vec[1].SetLen(len(more))
	r, _, e := syscall.Syscall(syscall.SYS_READV, uintptr(fd), uintptr(unsafe.Pointer(&vec[0])), 2)
	if e != 0 {
		return 0, e
	}
	return int(r), nil
}
