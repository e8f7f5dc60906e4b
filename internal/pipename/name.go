package pipename

import (
	"fmt"
	"io/fs"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	// Prefix is what the path of a pipe begins with on Windows.
	Prefix = `\\.\pipe\`
	// DotNetPrefix is what .NET puts before a pipe's name to make the name of a
	// file: dotnet/runtime, PipeStream.Unix.cs.
	DotNetPrefix = "CoreFxPipe_"

	// maxName is the limit of the whole Windows name, prefix included, in
	// UTF-16 units: https://learn.microsoft.com/windows/win32/ipc/pipe-names.
	maxName = 256
)

// An Error says which rule a name breaks and what to write instead. It matches
// fs.ErrInvalid.
type Error struct {
	Rule, Remedy string
}

func (e *Error) Error() string { return "bad pipe name: " + e.Rule + "; " + e.Remedy }
func (e *Error) Unwrap() error { return fs.ErrInvalid }

// Advice returns what is wrong and what to do about it.
func (e *Error) Advice() (what, remedy string) { return "bad pipe name: " + e.Rule, e.Remedy }

func bad(rule, remedy string) error { return &Error{rule, remedy} }

// IsSlash reports whether c is a slash of either kind: in the prefix of a name
// they mean the same.
func IsSlash(c byte) bool { return c == '\\' || c == '/' }

// IsUNC reports whether a name begins with two slashes, as the names of other
// machines and \\.\pipe\ do.
func IsUNC(name string) bool { return len(name) >= 2 && IsSlash(name[0]) && IsSlash(name[1]) }

// CutPrefix returns name without \\.\pipe\ in any spelling, and reports whether
// it began with that.
func CutPrefix(name string) (rest string, found bool) {
	if n := len(Prefix); len(name) >= n && strings.EqualFold(strings.ReplaceAll(name[:n], "/", `\`), Prefix) {
		return name[n:], true
	}
	return name, false
}

// bare cuts the prefix off a name and checks the rest against the rules that
// hold on every system. A name that one system would refuse is refused by all,
// so that a program tried on one doesn't fail on the next.
func bare(name string) (string, error) {
	bare, found := CutPrefix(name)
	if !found && IsUNC(name) {
		return "", bad("it is on another machine or not a pipe", `pipes are for one machine: write the bare name or \\.\pipe\NAME`)
	}
	switch {
	case bare == "":
		return "", bad("it is empty", "write a name such as MyPipe")
	case strings.EqualFold(bare, "anonymous"):
		return "", bad(`"anonymous" is reserved by .NET`, "choose another name")
	case strings.ContainsRune(bare, 0):
		return "", bad("it has a NUL character", "leave it out")
	case !utf8.ValidString(bare):
		return "", bad("it is not UTF-8", "write it in UTF-8")
	case strings.Contains(bare, "/"):
		return "", bad("it has a slash", `write a bare name, or \ between its parts`)
	case len(utf16.Encode([]rune(Prefix+bare))) > maxName:
		return "", bad(fmt.Sprintf("it is longer than %d characters with its prefix", maxName), "choose a shorter one")
	}
	for part := range strings.SplitSeq(bare, `\`) {
		switch {
		case part == "":
			return "", bad("it has an empty part", `remove the leading, trailing or doubled \`)
		case part == "." || part == "..":
			return "", bad(`it has the part "`+part+`", which Windows removes`, "leave that part out")
		case strings.HasSuffix(part, ".") || strings.HasSuffix(part, " "):
			return "", bad(fmt.Sprintf("its part %q ends in a dot or a space, which Windows removes", part), "leave that off")
		}
	}
	return bare, nil
}

// windowsPath returns the path of the pipe on Windows.
func windowsPath(name string) (string, error) {
	if rooted(name) {
		return "", bad("a rooted path is a Unix socket's", "on Windows write the bare name, such as MyPipe")
	}
	bare, err := bare(name)
	if err != nil {
		return "", err
	}
	return Prefix + bare, nil
}

// unixPath returns the path of the socket on other systems. folder is .NET's
// Path.GetTempPath, max the size of a socket's address.
func unixPath(name string, folder func() (string, error), max int) (string, error) {
	path := name
	if rooted(name) {
		switch {
		case strings.ContainsRune(name, 0):
			return "", bad("it has a NUL character", "leave it out")
		case strings.HasSuffix(name, "/"):
			return "", bad("it is a folder's path", "add a file name")
		}
	} else {
		bare, err := bare(name)
		if err != nil {
			return "", err
		}
		first, _, nested := strings.Cut(bare, `\`)
		if nested && (strings.EqualFold(first, "LOCAL") || strings.EqualFold(first, "ProtectedPrefix")) {
			return "", bad(first+`\ has a meaning on Windows only`, "write the bare name")
		}
		dir, err := folder()
		if err != nil {
			return "", err
		}
		path = strings.TrimSuffix(dir, "/") + "/" + DotNetPrefix + bare
	}
	if len(path) > max {
		return "", bad(fmt.Sprintf("the socket's path %s has %d bytes and a socket's address holds %d", path, len(path), max),
			"choose a shorter name, set TMPDIR to a shorter folder at both ends, or give a rooted path")
	}
	return path, nil
}

// rooted reports whether a name is a path from the root of a Unix file system.
// Two slashes begin \\host\share in its other spelling.
func rooted(name string) bool { return strings.HasPrefix(name, "/") && !IsUNC(name) }
