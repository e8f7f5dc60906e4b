package namedpipe_test

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/grpcpipe/grpcpipe/namedpipe"
)

func init() {
	// A server among others of its name that answers with its process id.
	programs["share"] = func() {
		l := mustListen(namedpipe.ListenConfig{Share: true})
		answer(l, os.Getpid())
	}
}

// TestShare: processes that all say so serve a name together, each of them has
// clients, and the name is free when the last has gone.
func TestShare(t *testing.T) {
	t.Parallel()
	name := freshName(t)
	l := listen(t, name, namedpipe.ListenConfig{Share: true})
	go answer(l, 1)
	others := map[int]bool{1: true}
	for range 2 {
		p := helper(t, "share", name)
		others[p.Pid()] = true
		defer p.Kill()
	}
	for clients := 0; len(others) > 0; clients++ {
		if clients == 1000 {
			t.Fatalf("1,000 clients have not seen %v", others)
		}
		delete(others, whoAnswersOnce(t, name))
	}
	// The first goes, the others stay.
	l.Close()
	for range 20 {
		if n := whoAnswersOnce(t, name); n == 1 {
			t.Error("answered by a listener that is closed")
		}
	}
	_, err := (&namedpipe.ListenConfig{NameTakenTimeout: -1}).Listen(t.Context(), name)
	if !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("Listen while others share the name: %v", err)
	}
}

// TestShareFree: the name is free when the last listener has gone.
func TestShareFree(t *testing.T) {
	t.Parallel()
	name := freshName(t)
	share := namedpipe.ListenConfig{Share: true, NameTakenTimeout: -1}
	a := listen(t, name, share)
	b := listen(t, name, share)
	a.Close()
	if _, err := (&namedpipe.ListenConfig{NameTakenTimeout: -1}).Listen(t.Context(), name); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("with one left: %v", err)
	}
	b.Close()
	listen(t, name, namedpipe.ListenConfig{NameTakenTimeout: -1})
}

func TestShareErrors(t *testing.T) {
	t.Parallel()
	share := namedpipe.ListenConfig{Share: true, NameTakenTimeout: -1}
	for _, test := range []struct {
		what        string
		have, wants namedpipe.ListenConfig
		is          error
		says        string
	}{
		{"the first doesn't share", namedpipe.ListenConfig{}, share, syscall.EADDRINUSE, "doesn't share it"},
		{"the second doesn't", share, namedpipe.ListenConfig{NameTakenTimeout: -1}, syscall.EADDRINUSE, "another server"},
		{"another access", share, namedpipe.ListenConfig{Share: true, Access: namedpipe.Access{Who: namedpipe.Everyone}}, fs.ErrInvalid, "use the same Access"},
		{"the same access in other words", namedpipe.ListenConfig{Share: true, Access: namedpipe.Access{SDDL: "D:P(A;;GA;;;WD)"}},
			namedpipe.ListenConfig{Share: true, Access: namedpipe.Access{SDDL: "D:P(A;;FA;;;S-1-1-0)"}}, nil, ""},
	} {
		name := freshName(t)
		listen(t, name, test.have)
		l, err := test.wants.Listen(t.Context(), name)
		if err == nil {
			l.Close()
		}
		if !errors.Is(err, test.is) || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", test.what, err)
		}
	}
}
