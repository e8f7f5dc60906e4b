//go:build !windows

package cli

import "io"

// enableEscapes tells whether the terminal w shows colors.
func enableEscapes(io.Writer) bool { return true }
