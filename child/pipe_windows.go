package child

import (
	"crypto/rand"
	"strings"
)

// A privateDir does nothing on Windows, where pipes are not files.
type privateDir struct{}

func (*privateDir) remove() {}

// randomPipe returns a name that nobody can guess.
func randomPipe() (string, *privateDir, error) {
	return "grpcpipe-child-" + strings.ToLower(rand.Text()), nil, nil
}
