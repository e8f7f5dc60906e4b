package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// pipe is the path of the socket, in a directory of root's, so that nobody else can
// take the name.
const pipe = "/run/grpcpipe-greeter/greeter.sock"

// runManaged does nothing: main suffices, since systemd stops a service with
// SIGTERM and Listen uses the socket that systemd passes to the process.
func runManaged() (bool, error) { return false, nil }

// snippet: systemd

// units returns the socket unit, whose socket systemd opens at boot and keeps
// while the service restarts, and the service unit. The service starts with its
// first client and runs as a dynamic user, which exists only while it runs.
func units(exe string) map[string]string {
	return map[string]string{
		".socket": `[Unit]
Description=grpcpipe's example service, its socket

[Socket]
ListenStream=` + pipe + `
SocketMode=0666
DirectoryMode=0755

[Install]
WantedBy=sockets.target
`,
		".service": `[Unit]
Description=grpcpipe's example service
Requires=` + name + `.socket

[Service]
ExecStart="` + quoted.Replace(exe) + `"
DynamicUser=yes
KillSignal=SIGTERM
TimeoutStopSec=15
`,
	}
}

// end snippet

// quoted escapes what systemd expands in a quoted word. systemd runs no program
// with a quote or a backslash in its path.
var quoted = strings.NewReplacer("%", "%%", "$", "$$")

// unitDir is the directory of the administrator's units.
var unitDir = "/etc/systemd/system"

// systemctl runs systemctl; a test replaces it.
var systemctl = func(args ...string) error {
	if out, err := exec.Command("systemctl", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("systemctl %q: %w: %s", args, err, out)
	}
	return nil
}

func install(name, exe string) error {
	for suffix, text := range units(exe) {
		path := filepath.Join(unitDir, name+suffix)
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if errors.Is(err, os.ErrExist) {
			return fmt.Errorf("a unit %s is installed already: remove it first: %w", path, err)
		}
		if err != nil {
			return err
		}
		_, err = f.WriteString(text)
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return errors.Join(systemctl("daemon-reload"), systemctl("enable", "--now", name+".socket"))
}

func remove(name string) error {
	// Try both and remove the files, whether or not the units were running.
	err := errors.Join(systemctl("disable", "--now", name+".socket"), systemctl("stop", name+".service"))
	for _, suffix := range []string{".socket", ".service"} {
		err = errors.Join(err, os.Remove(filepath.Join(unitDir, name+suffix)))
	}
	return errors.Join(err, systemctl("daemon-reload"))
}
