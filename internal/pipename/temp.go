package pipename

import (
	"fmt"
	"math/rand/v2"
	"path"
	"regexp"
	"strconv"
)

// A socket is made in a folder beside its path, .npipe and seven digits, and
// gets its path once it is ready. The kernel goes on to tell of it by the name
// it was bound with.
const tempPrefix = ".npipe"

var tempName = regexp.MustCompile(`^\.npipe[0-9a-z]{7}$`)

// ShortName is the name of a socket in such a folder if its own makes the path too
// long for a socket's address.
const ShortName = "s"

// Temp returns a new name for a folder in which a socket is made.
func Temp() string {
	return fmt.Sprintf("%s%07s", tempPrefix, strconv.FormatUint(uint64(rand.Uint32()), 36))
}

// IsTemp reports whether Temp may have made the name.
func IsTemp(name string) bool { return tempName.MatchString(name) }

// CutTemp returns the path of the socket that was bound as bound, and bound
// itself if that is in no folder of Temp's.
func CutTemp(bound string) string {
	dir, base := path.Split(bound)
	if above, temp := path.Split(path.Clean(dir)); IsTemp(temp) {
		return above + base
	}
	return bound
}
