//go:build linux || darwin || freebsd

package namedpipe_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/grpcpipe/grpcpipe/namedpipe"
)

func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can become other users")
	}
}

// TestWhoMayConnect tries every preset against clients of made-up users and
// groups, each a process of its own. The server is root.
func TestWhoMayConnect(t *testing.T) {
	needRoot(t)
	root := syscall.Credential{}
	member := syscall.Credential{Uid: 70001, Gid: 70001, Groups: []uint32{70100}}
	other := syscall.Credential{Uid: 70002, Gid: 70002}
	for _, test := range []struct {
		access namedpipe.Access
		mode   fs.FileMode
		says   string
		client syscall.Credential
		want   string
	}{
		{namedpipe.Access{}, 0o600, "mode 0600, uid 0", root, "admitted"},
		{namedpipe.Access{}, 0o600, "mode 0600, uid 0", member, "denied"},
		{namedpipe.Access{Who: namedpipe.CurrentUser}, 0o600, "mode 0600, uid 0", other, "denied"},
		{namedpipe.Access{Who: namedpipe.CurrentUserAnyElevation}, 0o600, "mode 0600, uid 0", root, "admitted"},
		{namedpipe.Access{Who: namedpipe.CurrentUserAnyElevation}, 0o600, "mode 0600, uid 0", other, "denied"},
		{namedpipe.Access{Who: namedpipe.Administrators}, 0o600, "mode 0600, uid 0", root, "admitted"},
		{namedpipe.Access{Who: namedpipe.Administrators}, 0o600, "mode 0600, uid 0", other, "denied"},
		{namedpipe.Access{Users: []string{"70001"}}, 0o666, "mode 0666, uid 0, uid 70001", member, "admitted"},
		{namedpipe.Access{Users: []string{"70001"}}, 0o666, "mode 0666, uid 0, uid 70001", other, "refused"},
		{namedpipe.Access{Users: []string{"70001"}}, 0o666, "mode 0666, uid 0, uid 70001", root, "admitted"},
		{namedpipe.Access{Users: []string{"nobody"}}, 0o666, "mode 0666, uid 0, uid 65534", nobody, "admitted"},
		{namedpipe.Access{Groups: []string{"70100"}}, 0o660, "mode 0660, group 70100, uid 0, gid 70100", member, "admitted"},
		{namedpipe.Access{Groups: []string{"70100"}}, 0o660, "mode 0660, group 70100, uid 0, gid 70100", other, "denied"},
		{namedpipe.Access{Groups: []string{"70100", "70101"}}, 0o666, "mode 0666, uid 0, gid 70100, gid 70101", member, "admitted"},
		{namedpipe.Access{Groups: []string{"70100", "70101"}}, 0o666, "mode 0666, uid 0, gid 70100, gid 70101", other, "refused"},
		{namedpipe.Access{Groups: []string{"70002"}}, 0o660, "mode 0660, group 70002, uid 0, gid 70002", other, "admitted"},
		{namedpipe.Access{Who: namedpipe.LocalUsers}, 0o666, "mode 0666, any uid", other, "admitted"},
		{namedpipe.Access{Who: namedpipe.Everyone}, 0o666, "mode 0666, any uid", nobody, "admitted"},
		{namedpipe.Access{Who: namedpipe.Everyone, Deny: []string{"70002"}}, 0o666, "mode 0666, any uid, not uid 70002, not gid 70002", other, "refused"},
		{namedpipe.Access{Who: namedpipe.Everyone, Deny: []string{"70100"}}, 0o666, "mode 0666, any uid, not uid 70100, not gid 70100", member, "refused"},
		{namedpipe.Access{Who: namedpipe.Everyone, Deny: []string{"70002"}}, 0o666, "mode 0666, any uid, not uid 70002, not gid 70002", member, "admitted"},
		{namedpipe.Access{Who: namedpipe.CurrentUser | namedpipe.Administrators, Users: []string{"70001"}}, 0o666, "mode 0666, uid 0, uid 70001", member, "admitted"},
	} {
		t.Run(fmt.Sprintf("%s/uid %d", test.says, test.client.Uid), func(t *testing.T) {
			var log syncBuffer
			l := listen(t, freshName(t), namedpipe.ListenConfig{Access: test.access, Logger: slog.New(slog.NewTextHandler(&log, nil))})
			if says, err := test.access.Describe(); says != test.says || err != nil {
				t.Errorf("described as %q, %v; want %q", says, err, test.says)
			}
			if file, err := os.Lstat(l.Addr().String()); err != nil || file.Mode().Perm() != test.mode {
				t.Errorf("mode %v, %v; want %v", file.Mode(), err, test.mode)
			}
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
			out, err := commandAs(t, test.client, "talk", l.Addr().String()).CombinedOutput()
			if err != nil || string(out) != test.want {
				t.Errorf("%s, %v; want %s", out, err, test.want)
			}
			refused := uint64(0)
			if test.want == "refused" {
				refused = 1
				if !strings.Contains(log.String(), fmt.Sprintf(`client="%d, process `, test.client.Uid)) {
					t.Errorf("the log says %q", log.String())
				}
			}
			if s := l.Stats(); s.Refused["access"] != refused {
				t.Errorf("stats are %+v", s)
			}
			l.Close()
			wg.Wait()
		})
	}
}

// TestAccessErrors: what this system can't give is an error, never a looser
// rule.
func TestAccessErrors(t *testing.T) {
	for _, test := range []struct {
		access namedpipe.Access
		is     error
		says   string
	}{
		{namedpipe.Access{Who: namedpipe.AppContainers}, errors.ErrUnsupported, "Windows only"},
		{namedpipe.Access{Who: namedpipe.LowIntegrity}, errors.ErrUnsupported, "Windows only"},
		{namedpipe.Access{Packages: []string{"S-1-15-2-1"}}, errors.ErrUnsupported, "Windows only"},
		{namedpipe.Access{SDDL: "D:(A;;GA;;;WD)"}, errors.ErrUnsupported, "Windows only"},
		{namedpipe.Access{Remote: true}, errors.ErrUnsupported, "Windows only"},
		{namedpipe.Access{Users: []string{"no such user"}}, fs.ErrInvalid, "no such user"},
		{namedpipe.Access{Groups: []string{"no such group"}}, fs.ErrInvalid, "no such group"},
		{namedpipe.Access{Deny: []string{"no such user"}}, fs.ErrInvalid, "no such user"},
		{namedpipe.Access{Who: 1 << 20}, fs.ErrInvalid, "unknown bits"},
		{namedpipe.Access{SDDL: "D:", Who: namedpipe.Everyone}, fs.ErrInvalid, "stands alone"},
		{namedpipe.Access{Remote: true, Deny: []string{"root"}}, fs.ErrInvalid, "Remote"},
	} {
		_, err := (&namedpipe.ListenConfig{Access: test.access}).Listen(t.Context(), freshName(t))
		checkError(t, err, "listen", []error{test.is}, false, test.says)
		if _, err := test.access.Describe(); !errors.Is(err, test.is) {
			t.Errorf("Describe: %v", err)
		}
	}
}

// TestPlantedLinks: root listens in a folder of a user's who swaps whatever root
// makes there for links to a file of root's. The file stays as it is.
func TestPlantedLinks(t *testing.T) {
	needRoot(t)
	base, err := os.MkdirTemp("/tmp", "np")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(base) })
	user := syscall.Credential{Uid: 70001, Gid: 70001}
	dir, trap, secret := base+"/d", base+"/trap", base+"/secret"
	for _, made := range []string{base, dir, trap} {
		os.Mkdir(made, 0o755)
		if err := errors.Join(os.Chmod(made, 0o755), os.Chown(made, int(user.Uid), int(user.Gid))); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.WriteFile(secret, nil, 0o600), os.Symlink(secret, trap+"/s")); err != nil {
		t.Fatal(err)
	}
	startReady(t, commandAs(t, user, "swap", dir, trap))
	lc := namedpipe.ListenConfig{Access: namedpipe.Access{Who: namedpipe.Everyone}, NameTakenTimeout: -1}
	made := 0
	for range 300 {
		l, err := lc.Listen(t.Context(), dir+"/s")
		if err == nil {
			made++
			l.Close()
		}
	}
	if file, err := os.Lstat(secret); err != nil || file.Mode() != 0o600 {
		t.Errorf("the file: %v, %v", file.Mode(), err)
	}
	if swapped, _ := filepath.Glob(dir + "/old*"); len(swapped) == 0 {
		t.Error("nothing was swapped")
	}
	t.Logf("%d of 300 listeners were made", made)
}

// TestSquatted: a stranger listens on the name first. The client refuses it
// before a byte is sent and says who it is; the server's own Listen says so too;
// and one word accepts it.
func TestSquatted(t *testing.T) {
	needRoot(t)
	name := freshName(t)
	stranger := startReady(t, commandAs(t, nobody, "listen for a byte", name))
	lc := namedpipe.ListenConfig{NameTakenTimeout: -1}
	_, err := lc.Listen(t.Context(), name)
	checkError(t, err, "listen", []error{syscall.EADDRINUSE}, false, fmt.Sprintf("held by nobody, process %d", stranger.Pid()))

	_, err = namedpipe.Dial(t.Context(), name)
	checkError(t, err, "dial", []error{fs.ErrPermission}, false, fmt.Sprintf("owner nobody (65534), process %d", stranger.Pid()))
	if !strings.Contains(err.Error(), "Trust.Users (65534)") || runtime.GOOS == "linux" && !strings.Contains(err.Error(), "/helper") {
		t.Errorf("%v", err)
	}
	// One that is accepted sends its byte, so the stranger had the time to see
	// one from the client that refused it.
	c, err := (&namedpipe.Dialer{Server: namedpipe.Trust{Anyone: true}}).Dial(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	c.Write([]byte("!"))
	c.Close()
	if err := stranger.WaitStdout(soon(t), "a byte", func(said string) bool { return len(said) > len("ready\n") }); err != nil {
		t.Fatal(err)
	}
	if said := stranger.Stdout(); said != "ready\n!" {
		t.Errorf("the stranger got %q", said)
	}
}

// TestTrust: what a Dialer accepts, with a server of another user.
func TestTrust(t *testing.T) {
	needRoot(t)
	for _, test := range []struct {
		trust func(pid int, exe string) namedpipe.Trust
		says  string // "" if accepted
		field string // of the TrustError
	}{
		{func(int, string) namedpipe.Trust { return namedpipe.Trust{} }, "neither this one nor root", "Users"},
		{func(int, string) namedpipe.Trust { return namedpipe.Trust{Anyone: true} }, "", ""},
		{func(int, string) namedpipe.Trust { return namedpipe.Trust{Users: []string{"nobody"}} }, "", ""},
		{func(int, string) namedpipe.Trust { return namedpipe.Trust{Users: []string{"65534"}} }, "", ""},
		{func(int, string) namedpipe.Trust { return namedpipe.Trust{Users: []string{"70001"}} }, "neither", "Users"},
		{func(int, string) namedpipe.Trust { return namedpipe.Trust{Groups: []string{"65534"}} }, "", ""},
		{func(int, string) namedpipe.Trust { return namedpipe.Trust{Groups: []string{"70001"}} }, "neither", "Users"},
		{func(pid int, _ string) namedpipe.Trust { return namedpipe.Trust{Anyone: true, PID: pid} }, "", ""},
		{func(pid int, _ string) namedpipe.Trust { return namedpipe.Trust{Anyone: true, PID: pid + 1} }, "process is not", "PID"},
		// On top of the check of the owner, never instead of it.
		{func(pid int, _ string) namedpipe.Trust { return namedpipe.Trust{PID: pid} }, "neither", "Users"},
		{func(_ int, exe string) namedpipe.Trust { return namedpipe.Trust{Anyone: true, Executable: exe} }, "", ""},
		{func(_ int, exe string) namedpipe.Trust { return namedpipe.Trust{Anyone: true, Executable: "/bin/sh"} }, "program is not /bin/sh", "Executable"},
		{func(int, string) namedpipe.Trust {
			return namedpipe.Trust{Anyone: true, Check: func(*namedpipe.Peer) error { return fs.ErrInvalid }}
		}, fs.ErrInvalid.Error(), "Check"},
		{func(int, string) namedpipe.Trust {
			return namedpipe.Trust{Anyone: true, Check: func(p *namedpipe.Peer) error {
				if p.User.Name != "nobody" {
					return fmt.Errorf("the peer is %v", p)
				}
				return nil
			}}
		}, "", ""},
	} {
		name := freshName(t)
		cmd := commandAs(t, nobody, "listen for a byte", name)
		server := startReady(t, cmd)
		trust := test.trust(server.Pid(), cmd.Path)
		if runtime.GOOS != "linux" && trust.Executable != "" {
			server.Kill()
			continue // this system doesn't tell the program
		}
		c, err := (&namedpipe.Dialer{Server: trust}).Dial(t.Context(), name)
		switch {
		case err == nil:
			if test.says != "" {
				t.Errorf("%+v is accepted", trust)
			}
			c.Close()
		case test.says == "":
			t.Errorf("%+v: %v", trust, err)
		default:
			checkError(t, err, "dial", []error{fs.ErrPermission}, false, test.says)
			var refused *namedpipe.TrustError
			if !errors.As(err, &refused) || refused.Field != test.field || refused.Server.PID != cmd.Process.Pid && runtime.GOOS == "linux" {
				t.Errorf("%+v: the error is made of %#v", trust, refused)
			}
			if test.field == "Check" && !errors.Is(err, fs.ErrInvalid) {
				t.Errorf("%v does not match the error of Check", err)
			}
		}
		server.Kill()
	}
}

// TestPeer: both ends know each other.
func TestPeer(t *testing.T) {
	s, c := pair(t)
	for what, conn := range map[string]*namedpipe.Conn{"client, seen by the server": s, "server, seen by the client": c} {
		p, err := conn.Peer()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if p.User.ID != fmt.Sprint(os.Geteuid()) || !p.UserProven || !p.SameUser || p.Elevated != (os.Geteuid() == 0) || p.Remote {
			t.Errorf("%s: %+v", what, p)
		}
		if runtime.GOOS == "linux" && (p.PID != os.Getpid() || !sameExecutable(p.Executable)) {
			t.Errorf("%s: %+v", what, p)
		}
		again, err := conn.Peer()
		if again != p || err != nil {
			t.Errorf("%s: asked again %p, %v, at first %p", what, again, err, p)
		}
		if text := p.String(); !strings.Contains(text, "process") || !strings.Contains(text, p.User.Name) {
			t.Errorf("%s: %s", what, text)
		}
	}
	if err := impersonate(s, func() error { return nil }); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Impersonate: %v", err)
	}
	s.Close()
	if _, err := (func() (*namedpipe.Peer, error) { s, _ := pair(t); s.Close(); return s.Peer() })(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Peer of a closed connection: %v", err)
	}
}

func sameExecutable(path string) bool {
	own, err := os.ReadFile(os.Args[0])
	if err != nil {
		return false
	}
	theirs, err := os.ReadFile(path)
	return err == nil && bytes.Equal(own, theirs)
}

// TestPeersGroups: supplementary groups are the peer's, however many.
func TestPeersGroups(t *testing.T) {
	needRoot(t)
	many := syscall.Credential{Uid: 70001, Gid: 70002}
	want := map[string]bool{"70002": true}
	n := 200
	if runtime.GOOS != "linux" {
		n = 10 // xucred holds 16
	}
	for i := range n {
		many.Groups = append(many.Groups, uint32(80000+i))
		want[fmt.Sprint(80000+i)] = true
	}
	l := listen(t, freshName(t), namedpipe.ListenConfig{Access: namedpipe.Access{Who: namedpipe.Everyone}})
	cmd := commandAs(t, many, "talk", l.Addr().String())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s, err := l.AcceptPipe()
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Peer()
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range p.Groups {
		delete(want, g)
	}
	if len(want) > 0 || p.User.ID != "70001" || p.SameUser || p.Administrator || p.PID != cmd.Process.Pid && runtime.GOOS == "linux" {
		t.Errorf("missing %v of %+v", want, p)
	}
	s.Close()
	cmd.Wait()
}
