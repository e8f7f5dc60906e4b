package follow

import (
	"runtime"
	"strings"
	"unicode/utf8"
)

// An Entry is a pipe that exists.
type Entry struct {
	// Name is the bare name, as in namedpipe.ResolveAddr.
	Name string
	// Path is the full path: \\.\pipe\NAME on Windows, the socket's elsewhere.
	Path string
	// Instances is the number of instances and MaxInstances the most there can
	// be, -1 for no limit. Both are 0 off Windows, where pipes have none.
	Instances, MaxInstances int
}

// A Lister lists pipes. It is safe for concurrent use.
type Lister interface {
	// List returns the pipes whose names match the pattern, in no order.
	List(pattern string) ([]Entry, error)
}

// System lists the pipes of this system without opening any. Under Wine 10 that
// is an error that matches errors.ErrUnsupported.
//
// Off Windows the pipes are the sockets that .NET maps pipe names to, CoreFxPipe_
// + name in the temporary folder. They include the socket that a killed server
// has left; only a dial can tell.
var System Lister = newSystem()

// Match reports whether a name matches a pattern, in which * stands for any
// characters or none and nothing else is special. Case is ignored on Windows, as
// in names.
func Match(pattern, name string) bool {
	return match(pattern, name, runtime.GOOS == "windows")
}

func match(pattern, name string, fold bool) bool {
	// The usual walk with one point to come back to: after the last asterisk.
	star, mark, p, n := -1, 0, 0, 0
	for n < len(name) {
		if p < len(pattern) && pattern[p] == '*' {
			star, mark = p, n
			p++
			continue
		}
		if p < len(pattern) {
			pr, pw := utf8.DecodeRuneInString(pattern[p:])
			nr, nw := utf8.DecodeRuneInString(name[n:])
			same := pr == nr && pattern[p:p+pw] == name[n:n+nw]
			if same || fold && pr != utf8.RuneError && strings.EqualFold(pattern[p:p+pw], name[n:n+nw]) {
				p, n = p+pw, n+nw
				continue
			}
		}
		if star < 0 {
			return false
		}
		_, w := utf8.DecodeRuneInString(name[mark:])
		mark += w
		p, n = star+1, mark
	}
	return strings.Trim(pattern[p:], "*") == ""
}
