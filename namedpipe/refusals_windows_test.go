package namedpipe_test

import (
	"fmt"
	"os"
	"testing"
)

// Who never sends a byte can't be identified.
func TestUnidentifiedInLog(t *testing.T) {
	t.Parallel() // waits 10 s
	checkUnidentified(t, fmt.Sprintf("process %d", os.Getpid()), "has sent nothing for 10s")
}
