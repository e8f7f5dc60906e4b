package namedpipe_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/grpcpipe/grpcpipe/internal/testing/seccomp"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

func init() {
	seccomp.Enter()
	// Identifies a peer while there is no descriptor left, then asks whether it
	// is alive.
	programs["no descriptors"] = func() {
		l := mustListen(namedpipe.ListenConfig{})
		if _, err := namedpipe.Dial(context.Background(), os.Args[1]); err != nil {
			log.Fatal(err)
		}
		s, err := l.AcceptPipe()
		if err != nil {
			log.Fatal(err)
		}
		var old unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
			log.Fatal(err)
		}
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: old.Max}); err != nil {
			log.Fatal(err)
		}
		p, err := s.Peer()
		if rerr := unix.Setrlimit(unix.RLIMIT_NOFILE, &old); rerr != nil || err != nil {
			log.Fatal(rerr, err)
		}
		fmt.Printf("%v proven %v alive %v\n", p.PID == os.Getpid(), p.PIDProven, p.Alive())
	}
}

// TestWithoutPeerGroups: where the system doesn't report supplementary groups,
// only a rule that names one refuses.
func TestWithoutPeerGroups(t *testing.T) {
	needRoot(t)
	if !seccomp.Without(t, unix.SO_PEERGROUPS) {
		return
	}
	other := syscall.Credential{Uid: 70001, Gid: 70002, Groups: []uint32{70100}}
	for _, test := range []struct {
		access namedpipe.Access
		want   string
	}{
		{namedpipe.Access{Who: namedpipe.Everyone}, "admitted"},
		{namedpipe.Access{Users: []string{"70001"}}, "admitted"},
		{namedpipe.Access{Groups: []string{"70002", "70003"}}, "admitted"}, // the primary group is told
		{namedpipe.Access{Groups: []string{"70100"}}, "refused"},
		{namedpipe.Access{Who: namedpipe.Everyone, Deny: []string{"70100"}}, "refused"},
	} {
		l := listen(t, freshName(t), namedpipe.ListenConfig{Access: test.access})
		var wg sync.WaitGroup
		wg.Go(func() {
			for {
				s, err := l.Accept()
				if err != nil {
					return
				}
				io.CopyN(s, s, 1)
				s.Close()
			}
		})
		if out, err := commandAs(t, other, "talk", l.Addr().String()).CombinedOutput(); err != nil || string(out) != test.want {
			t.Errorf("%+v: %s, %v; want %s", test.access, out, err, test.want)
		}
		l.Close()
		wg.Wait()
	}
	name := freshName(t)
	startReady(t, commandAs(t, other, "describe clients", name, "*"))
	for _, test := range []struct {
		trust namedpipe.Trust
		want  string
	}{
		{namedpipe.Trust{Users: []string{"70001"}}, "admitted"},
		{namedpipe.Trust{Groups: []string{"70002"}}, "admitted"},
		{namedpipe.Trust{Groups: []string{"70100"}}, "denied"},
		{namedpipe.Trust{}, "denied"},
	} {
		if got := talk(name, test.trust); got != test.want {
			t.Errorf("%+v: %s, want %s", test.trust, got, test.want)
		}
	}
}

// TestWithoutPeerPidfd: where the system gives no hold on the other process its
// number is a hint, and it counts as alive while it runs.
func TestWithoutPeerPidfd(t *testing.T) {
	if !seccomp.Without(t, unix.SO_PEERPIDFD) {
		return
	}
	TestAlive(t)
	_, c := pair(t)
	if p, err := c.Peer(); err != nil || p.PIDProven || p.PID != os.Getpid() || !p.Alive() {
		t.Errorf("%+v, %v", p, err)
	}
}

// TestPeerWithoutDescriptors: nor does a lack of descriptors make a living
// process look dead.
func TestPeerWithoutDescriptors(t *testing.T) {
	p := helper(t, "no descriptors", freshName(t))
	if _, err := p.WaitLine(soon(t), "true proven false alive true"); err != nil {
		t.Error(err)
	}
}
