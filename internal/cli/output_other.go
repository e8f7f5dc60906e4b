//go:build !windows

package cli

import "io"

// enableEscapes reports whether the terminal w shows colors.
func enableEscapes(io.Writer) bool { return true }
