package pipename

import "strings"

// nextPrefix begins the last part of the name of the pipe on which a server's
// successor asks for the server's name.
const nextPrefix = ".next-"

// Next returns the path of the pipe on which the successor of the server at path
// asks for its name.
func Next(path string) string {
	i := lastPart(path)
	return path[:i] + nextPrefix + path[i:]
}

// IsNext reports whether a name or path is one of those.
func IsNext(name string) bool { return strings.HasPrefix(name[lastPart(name):], nextPrefix) }

func lastPart(path string) int { return strings.LastIndexAny(path, `\/`) + 1 }
