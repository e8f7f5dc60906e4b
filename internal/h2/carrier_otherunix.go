//go:build unix && !linux

package h2

import "syscall"

// writePieces writes the first piece, without waiting on a descriptor that
// doesn't block.
func writePieces(fd int, pieces [][]byte) (int, error) {
	for len(pieces) > 1 && len(pieces[0]) == 0 {
		pieces = pieces[1:]
	}
	for {
		n, err := syscall.Write(fd, pieces[0])
		if err != syscall.EINTR {
			return max(n, 0), err
		}
	}
}

// readPieces reads once into p.
func readPieces(fd int, p, _ []byte) (int, error) { return syscall.Read(fd, p) }
