package cli

import (
	"io"
	"os"

	"golang.org/x/sys/windows"
)

// enableEscapes asks the console to understand escape sequences, which only
// those before Windows 10 don't.
func enableEscapes(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	h := windows.Handle(f.Fd())
	var mode uint32
	if windows.GetConsoleMode(h, &mode) != nil {
		return false
	}
	return windows.SetConsoleMode(h, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
}
