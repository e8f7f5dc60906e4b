package follow

import (
	"golang.org/x/sys/windows"

	"github.com/grpcpipe/grpcpipe/internal/pipename"
)

// A sighting is what can be seen of a pipe without opening it.
type sighting struct {
	there bool
}

// sight finds out whether the pipe has an instance, free or not.
func sight(path string) sighting {
	err := pipename.Find(path)
	return sighting{there: err == nil || err == windows.ERROR_SEM_TIMEOUT}
}

// isNews reports whether the pipe is there. Its name lives only as long as an
// instance, so that is news if it was missing.
func (s sighting) isNews(sighting) bool { return s.there }
