//go:build !windows && !linux

package inspect

import "errors"

type listening struct{ path string }

// states returns what tells the state of a socket by its path; this system
// doesn't.
func states() func(path string) string {
	return func(string) string { return Unknown }
}

// listeners are the sockets that are listened on; this system doesn't tell.
func listeners() ([]listening, error) { return nil, errors.ErrUnsupported }
