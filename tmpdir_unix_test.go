//go:build unix

package grpcpipe_test

import (
	"os"
	"testing"

	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// A temporary folder may be given by a relative path, or by one that begins with
// the two slashes that elsewhere begin a machine's name. Not parallel: it is the
// environment of the process.
func TestOddTMPDIR(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.Mkdir("tmp", 0o700); err != nil {
		t.Fatal(err)
	}
	for _, tmp := range []string{"tmp", "./tmp/", "/" + dir + "/tmp"} {
		t.Setenv("TMPDIR", tmp)
		name := pipeName(t)
		serve(t, name)
		c, err := namedpipe.Dial(testContext(t), name)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		for _, target := range []string{name, "npipe:" + name + "*"} {
			if reply := mustCall(testContext(t), t, client(t, target)); reply.ServerId != name {
				t.Errorf("TMPDIR=%s: %s reached %q", tmp, target, reply.ServerId)
			}
		}
	}
}
