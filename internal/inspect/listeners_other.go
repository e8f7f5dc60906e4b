//go:build !windows && !linux

package inspect

import "errors"

type listening struct{ path string }

// states returns a function that returns Unknown: this system doesn't say who
// listens.
func states() func(path string) string {
	return func(string) string { return Unknown }
}

// listeners returns nothing: this system doesn't list them.
func listeners() ([]listening, error) { return nil, errors.ErrUnsupported }
