package namedpipe

import (
	"fmt"
	"io/fs"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	pipePrefix = `\\.\pipe\`
	// maxName is the limit of the whole Windows name, prefix included, in
	// UTF-16 units: https://learn.microsoft.com/windows/win32/ipc/pipe-names.
	maxName = 256
	// dotnetPrefix is what .NET puts before a pipe's name to make a file name
	// of it: dotnet/runtime, PipeStream.Unix.cs.
	dotnetPrefix = "CoreFxPipe_"
)

// ResolveAddr returns the address that a name stands for, without looking
// whether such a pipe exists. These spellings mean the same pipe:
//
//	MyPipe
//	\\.\pipe\MyPipe
//	//./pipe/MyPipe       (the prefix in any case)
//
// On Windows LOCAL\MyPipe is a pipe of the AppContainer that the process is in
// (see [AppContainers] for its name outside) and
// ProtectedPrefix\Administrators\MyPipe one that only administrators can make;
// elsewhere both are refused. Off Windows a rooted path such as
// /run/me/my.sock is taken as it is, and every other name is the file
// CoreFxPipe_ + name in $TMPDIR, or in /tmp if that isn't set, as in .NET.
//
// A name is refused, with an error that matches fs.ErrInvalid, if it is empty,
// "anonymous", on another machine, not UTF-8, has a NUL, a slash, or a part
// that Windows would change (. and .., a dot or space at the end), or is longer
// than the system allows: 256 UTF-16 units with the prefix on Windows,
// elsewhere the size of a socket's path, 107 bytes on Linux and 103 on macOS.
func ResolveAddr(name string) (*Addr, error) {
	addr, err := resolve(name)
	if err != nil {
		return nil, opError("resolve", &Addr{path: name}, err)
	}
	return addr, nil
}

func resolve(name string) (*Addr, error) {
	path, err := pathOf(name)
	if err != nil {
		return nil, err
	}
	return &Addr{path: path}, nil
}

// badName is the error for a name that breaks a rule. It says which, and what
// to write instead.
func badName(rule, remedy string) error {
	return &problem{text: "bad pipe name: " + rule + "; " + remedy, causes: []error{fs.ErrInvalid}}
}

func isSlash(c byte) bool { return c == '\\' || c == '/' }

// bareName takes the prefix off a name and holds the rest against the rules
// that are the same everywhere. A name is portable if it is refused nowhere, so
// that a program that is tried on one system doesn't fail on the next.
func bareName(name string) (string, error) {
	bare := name
	if n := len(pipePrefix); len(name) >= n && isSlash(name[0]) && isSlash(name[1]) && name[2] == '.' &&
		isSlash(name[3]) && strings.EqualFold(name[4:8], "pipe") && isSlash(name[8]) {
		bare = name[n:]
	} else if len(name) >= 2 && isSlash(name[0]) && isSlash(name[1]) {
		return "", badName("it is on another machine or not a pipe", `pipes are for one machine: write the bare name or \\.\pipe\NAME`)
	}
	switch {
	case bare == "":
		return "", badName("it is empty", "write a name such as MyPipe")
	case strings.EqualFold(bare, "anonymous"):
		return "", badName(`"anonymous" is reserved by .NET`, "choose another name")
	case strings.ContainsRune(bare, 0):
		return "", badName("it has a NUL character", "leave it out")
	case !utf8.ValidString(bare):
		return "", badName("it is not UTF-8", "write it in UTF-8")
	case strings.Contains(bare, "/"):
		return "", badName("it has a slash", `write a bare name, or \ between its parts`)
	case len(utf16.Encode([]rune(pipePrefix+bare))) > maxName:
		return "", badName(fmt.Sprintf("it is longer than %d characters with its prefix", maxName), "choose a shorter one")
	}
	for part := range strings.SplitSeq(bare, `\`) {
		switch {
		case part == "":
			return "", badName("it has an empty part", `begin with no \, and put one \ between parts`)
		case part == "." || part == "..":
			return "", badName(`it has the part "`+part+`", which Windows takes away`, "leave that part out")
		case strings.HasSuffix(part, ".") || strings.HasSuffix(part, " "):
			return "", badName(fmt.Sprintf("its part %q ends in a dot or a space, which Windows takes away", part), "leave that off")
		}
	}
	return bare, nil
}

// windowsPath is the path of the pipe on Windows.
func windowsPath(name string) (string, error) {
	if rooted(name) {
		return "", badName("a rooted path is a Unix socket's", "on Windows write the bare name, such as MyPipe")
	}
	bare, err := bareName(name)
	if err != nil {
		return "", err
	}
	return pipePrefix + bare, nil
}

// unixPath is the path of the socket off Windows: tempDir is .NET's
// Path.GetTempPath, max the most bytes that a socket's address can hold.
func unixPath(name, tempDir string, max int) (string, error) {
	path := name
	if rooted(name) {
		switch {
		case strings.ContainsRune(name, 0):
			return "", badName("it has a NUL character", "leave it out")
		case strings.HasSuffix(name, "/"):
			return "", badName("it is a folder's path", "add a file name")
		}
	} else {
		bare, err := bareName(name)
		if err != nil {
			return "", err
		}
		first, _, nested := strings.Cut(bare, `\`)
		if nested && (strings.EqualFold(first, "LOCAL") || strings.EqualFold(first, "ProtectedPrefix")) {
			return "", badName(first+`\ means something on Windows only`, "write the bare name")
		}
		if !strings.HasSuffix(tempDir, "/") {
			tempDir += "/"
		}
		path = tempDir + dotnetPrefix + bare
	}
	if len(path) > max {
		return "", badName(fmt.Sprintf("the socket's path %s has %d bytes and a socket's address holds %d", path, len(path), max),
			"choose a shorter name, set TMPDIR to a shorter folder at both ends, or give a rooted path")
	}
	return path, nil
}

// rooted tells whether a name is a path from the root of a Unix file system.
// Two slashes begin \\host\share in its other spelling.
func rooted(name string) bool {
	return strings.HasPrefix(name, "/") && !(len(name) > 1 && isSlash(name[1]))
}
