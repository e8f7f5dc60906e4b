package namedpipe_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

func init() {
	// Listens for the users after the name ("" for nobody else, * for everyone)
	// and echoes a byte to each client, whom it describes.
	programs["describe clients"] = func() {
		access := namedpipe.Access{}
		switch users := os.Args[2]; users {
		case "":
		case "*":
			access.Who = namedpipe.Everyone
		default:
			access.Users = strings.Fields(users)
		}
		l := mustListen(namedpipe.ListenConfig{Access: access})
		for {
			s, err := l.AcceptPipe()
			if err != nil {
				log.Fatal(err)
			}
			p, err := s.Peer()
			if err != nil {
				log.Fatal(err)
			}
			fmt.Printf("user %q proven %v same %v\n", p.User.ID, p.UserProven, p.SameUser)
			io.CopyN(s, s, 1)
			s.Close()
		}
	}
	// Connects to itself and says what it knows of its own process.
	programs["describe self"] = func() {
		l := mustListen(namedpipe.ListenConfig{})
		c, err := namedpipe.Dial(context.Background(), os.Args[1])
		if err != nil {
			log.Fatal(err)
		}
		p, err := c.Peer()
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("process %v program %q alive %v\n", p.PID == os.Getpid(), p.Executable, p.Alive())
		l.Close()
	}
	// As the first process of a pid namespace, starts "describe self" under the
	// number of the second argument.
	programs["describe numbered"] = func() {
		n, err := strconv.Atoi(os.Args[2])
		if err != nil {
			log.Fatal(err)
		}
		os.Setenv("GRPCPIPE_TEST_PROGRAM", "describe self")
		for range 100 { // a thread of this process may take the number first
			if err := os.WriteFile("/proc/sys/kernel/ns_last_pid", []byte(strconv.Itoa(n-1)), 0); err != nil {
				log.Fatal(err)
			}
			cmd := exec.Command("/proc/self/exe", os.Args[1])
			var out strings.Builder
			cmd.Stdout, cmd.Stderr = &out, os.Stderr
			if err := cmd.Run(); err != nil {
				log.Fatal(err)
			}
			if cmd.Process.Pid == n {
				fmt.Print(out.String())
				return
			}
		}
		log.Fatal("the number is taken")
	}
	programs["disguise"] = disguise
}

// disguise becomes, by its path, the program of the second argument, and talks.
func disguise() {
	exe, err := os.Executable()
	if err != nil {
		log.Fatal(err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		log.Fatal(err)
	}
	if err := unix.Mount(exe, os.Args[2], "", unix.MS_BIND, ""); err != nil {
		log.Fatal(err)
	}
	os.Setenv("GRPCPIPE_TEST_PROGRAM", "talk")
	log.Fatal(unix.Exec(os.Args[2], os.Args[:2], os.Environ()))
}

// unshared puts a command into new namespaces, in which one user and one group
// have numbers if there is a user namespace among them.
func unshared(cmd *exec.Cmd, flags uintptr, inside, outside int) *exec.Cmd {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Cloneflags = flags
	if flags&syscall.CLONE_NEWUSER != 0 {
		ids := []syscall.SysProcIDMap{{ContainerID: inside, HostID: outside, Size: 1}}
		cmd.SysProcAttr.UidMappings, cmd.SysProcAttr.GidMappings = ids, ids
	}
	return cmd
}

// needNamespaces skips where nobody may make namespaces of these kinds.
func needNamespaces(t *testing.T, flags uintptr) {
	t.Helper()
	needRoot(t)
	cmd := unshared(exec.Command("/bin/true"), flags, 0, 0)
	if err := cmd.Run(); err != nil {
		t.Skipf("no new namespaces here: %v", err)
	}
}

// TestUnmappedUsers: in a user namespace every user without a number there shows
// up as 65534. A process that runs as 65534 takes none of them for itself.
func TestUnmappedUsers(t *testing.T) {
	needNamespaces(t, syscall.CLONE_NEWUSER)
	const own, other = 70001, 70002
	inside := func(program string, args ...string) *exec.Cmd {
		return unshared(commandAs(t, nobody, program, args...), syscall.CLONE_NEWUSER, 65534, own)
	}
	as := func(uid uint32) syscall.Credential { return syscall.Credential{Uid: uid, Gid: uid} }

	for _, test := range []struct {
		access string
		client uint32
		want   string
		says   string // of an admitted client
	}{
		{"", other, "denied", ""},
		{"", own, "admitted", `user "" proven false same true`}, // the socket's mode has told
		{"5", own, "refused", ""},
		{"5", other, "refused", ""},
		{"65534", other, "denied", ""},
		{"*", other, "admitted", `user "" proven false same false`},
	} {
		t.Run(fmt.Sprintf("access %q, uid %d", test.access, test.client), func(t *testing.T) {
			name := freshName(t)
			s := startReady(t, inside("describe clients", name, test.access))
			out, err := commandAs(t, as(test.client), "talk to anyone", name).CombinedOutput()
			if err != nil || string(out) != test.want {
				t.Errorf("%s, %v; want %s", out, err, test.want)
			}
			if test.says != "" {
				if _, err := s.WaitLine(soon(t), test.says); err != nil {
					t.Error(err)
				}
			}
		})
	}
	t.Run("server", func(t *testing.T) {
		name := freshName(t)
		startReady(t, commandAs(t, as(other), "describe clients", name, "*"))
		out, err := inside("dial", name).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "is not mapped in this user namespace") || !strings.Contains(string(out), "permission: true") {
			t.Errorf("%s, %v", out, err)
		}
	})
	t.Run("mapped", func(t *testing.T) {
		name := freshName(t)
		cmd := func(program string, args ...string) *exec.Cmd {
			return unshared(commandAs(t, as(7), program, args...), syscall.CLONE_NEWUSER, 7, own)
		}
		s := startReady(t, cmd("describe clients", name, ""))
		if out, err := commandAs(t, as(own), "talk to anyone", name).CombinedOutput(); err != nil || string(out) != "admitted" {
			t.Errorf("%s, %v", out, err)
		}
		if _, err := s.WaitLine(soon(t), `user "7" proven true same true`); err != nil {
			t.Error(err)
		}
	})
}

// TestDisguise: a process with a mount namespace of its own has another
// program's path, and is not taken for that program.
func TestDisguise(t *testing.T) {
	needNamespaces(t, syscall.CLONE_NEWNS)
	innocent := filepath.Join(t.TempDir(), "innocent")
	if err := os.WriteFile(innocent, []byte("#!/bin/true\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	l := listen(t, freshName(t), namedpipe.ListenConfig{})
	cmd := unshared(commandAs(t, syscall.Credential{}, "disguise", l.Addr().String(), innocent), syscall.CLONE_NEWNS, 0, 0)
	peer, err := testproc.Start(t, cmd)
	if err != nil {
		t.Fatal(err)
	}
	l.SetDeadline(time.Now().Add(30 * time.Second))
	s, err := l.AcceptPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	p, err := s.Peer()
	if err != nil {
		t.Fatal(err)
	}
	if p.PID != peer.Pid() || p.Executable != innocent {
		t.Errorf("the peer is %v: it should look like %s", p, innocent)
	}
	if p.Runs(innocent) {
		t.Errorf("it is taken for %s", innocent)
	}
	if !p.Runs(cmd.Path) {
		t.Errorf("it isn't known as %s", cmd.Path)
	}
}

// TestForeignProc: a /proc of another pid namespace shows other processes under
// the numbers of this one's.
func TestForeignProc(t *testing.T) {
	needNamespaces(t, syscall.CLONE_NEWPID)
	cmd := commandAs(t, syscall.Credential{}, "describe numbered", freshName(t), strconv.Itoa(os.Getpid()))
	out, err := unshared(cmd, syscall.CLONE_NEWPID, 0, 0).CombinedOutput()
	if want := "ready\nprocess true program \"\" alive true\n"; string(out) != want || err != nil {
		t.Errorf("%s, %v; want %s", out, err, want)
	}
}

// TestRuns: a program is known by its file, whatever path leads there.
func TestRuns(t *testing.T) {
	_, c := pair(t)
	p, err := c.Peer()
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(self, link); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{self: true, link: true, "/bin/sh": false, "": false, "/no/such/file": false} {
		if p.Runs(path) != want {
			t.Errorf("Runs(%q) is %v", path, !want)
		}
	}
	if (&namedpipe.Peer{Executable: self}).Runs(self) {
		t.Error("a path alone is taken for a program")
	}
}
