package namedpipe

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/mgr"
)

// asService is the first argument of the test binary, after the flags, as
// TestService's service; the second is the pipe's name.
const asService = "namedpipe-test-service"

// An echoService serves a pipe of this name to administrators: a byte back for
// each byte.
type echoService string

func (name echoService) Execute(_ []string, requests <-chan svc.ChangeRequest, status chan<- svc.Status) (bool, uint32) {
	l, err := (&ListenConfig{Access: Access{Who: CurrentUser | Administrators}}).Listen(context.Background(), string(name))
	if err != nil {
		return true, 1
	}
	status <- svc.Status{State: svc.Running, Accepts: svc.AcceptStop}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.Copy(c, c)
			}()
		}
	}()
	for r := range requests {
		switch r.Cmd {
		case svc.Interrogate:
			status <- r.CurrentStatus
		case svc.Stop:
			l.Close()
			return false, 0
		}
	}
	return false, 0
}

// TestService: a service in the account LocalService owns its pipe by a SID of
// its own, which a client names, and serves several clients; also where that SID
// is restricted, so that it must be granted each write.
func TestService(t *testing.T) {
	if flag.Arg(0) == asService {
		if err := svc.Run("", echoService(flag.Arg(1))); err != nil {
			t.Fatal(err)
		}
		return
	}
	wine := windows.NewLazySystemDLL("ntdll.dll").NewProc("wine_get_version").Find() == nil
	if !wine && !windows.GetCurrentProcessToken().IsElevated() {
		t.Skip("to install a service needs an administrator")
	}
	for what, kind := range map[string]uint32{"unrestricted": windows.SERVICE_SID_TYPE_UNRESTRICTED, "restricted": windows.SERVICE_SID_TYPE_RESTRICTED} {
		t.Run(what, func(t *testing.T) {
			name := fmt.Sprintf("np-%d-%x", os.Getpid(), time.Now().UnixNano())
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			d := Dialer{WaitForServer: true, Server: Trust{Users: []string{`NT SERVICE\` + name}}}
			if wine { // Wine 10 gives a service no SID and runs it as the one user it has
				kind, d.Server = windows.SERVICE_SID_TYPE_NONE, Trust{}
			}
			installService(t, name, kind)
			var first *Peer
			for range 3 {
				c, err := d.Dial(ctx, name)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				c.SetDeadline(time.Now().Add(20 * time.Second))
				b := []byte{1}
				if _, err := c.Write(b); err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(c, b); err != nil {
					t.Fatal(err)
				}
				if first, err = c.Peer(); err != nil {
					t.Fatal(err)
				}
			}
			if wine {
				t.Skip("Wine 10 gives a service no SID of its own; that it starts and serves was seen")
			}
			sid := mustSID(t, first.User.ID)
			if !isServiceSID(sid) || first.SameUser {
				t.Errorf("the service's pipe is owned by %+v", first.User)
			}
			var refused *TrustError
			if _, err := (&Dialer{}).Dial(ctx, name); !errors.As(err, &refused) || refused.Field != "Users" {
				t.Errorf("by default: %v", err)
			}
		})
	}
}

// installService installs and starts the test binary as a service in the account
// LocalService, and removes it at the test's end.
func installService(t *testing.T, name string, sidType uint32) {
	t.Helper()
	// The account can't read this user's temporary folder.
	folder := filepath.Join(os.Getenv("ProgramData"), name)
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	program := filepath.Join(folder, "service.exe")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, data, 0o755); err != nil {
		t.Fatal(err)
	}
	m, err := mgr.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Disconnect()
	s, err := m.CreateService(name, program, mgr.Config{
		StartType: mgr.StartManual, ServiceStartName: `NT AUTHORITY\LocalService`, SidType: sidType,
	}, "-test.run=^TestService$", asService, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(s.Delete(), s.Close()); err != nil {
			t.Error(err)
		}
	})
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	status, err := s.Query()
	if err != nil {
		t.Fatal(err)
	}
	process, err := windows.OpenProcess(windows.SYNCHRONIZE, false, status.ProcessId)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		defer windows.CloseHandle(process)
		if _, err := s.Control(svc.Stop); err != nil {
			t.Error(err)
		}
		if event, err := windows.WaitForSingleObject(process, 30_000); event != windows.WAIT_OBJECT_0 {
			t.Errorf("the service doesn't stop: %v, %v", event, err)
		}
	})
}
