//go:build !windows && !linux

package main

import (
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// pipe is the path of the socket, in a directory of root's.
const pipe = "/var/run/grpcpipe-greeter.sock"

// runManaged does nothing: main suffices, since launchd stops a job with SIGTERM.
func runManaged() (bool, error) { return false, nil }

const jobs = "/Library/LaunchDaemons"

func jobPath(name string) string { return filepath.Join(jobs, "io.github.grpcpipe."+name+".plist") }

// job returns a job that launchd starts at boot, and again when it ends.
func job(name, exe string) string {
	var path strings.Builder
	xml.EscapeText(&path, []byte(exe)) // a Builder returns no error
	return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
	<key>Label</key><string>io.github.grpcpipe.` + name + `</string>
	<key>ProgramArguments</key><array><string>` + path.String() + `</string></array>
	<key>RunAtLoad</key><true/>
	<key>KeepAlive</key><true/>
	<key>ExitTimeOut</key><integer>15</integer>
</dict>
</plist>
`
}

func install(name, exe string) error {
	if runtime.GOOS != "darwin" {
		return fmt.Errorf("install is for Windows, systemd and launchd: %w", errors.ErrUnsupported)
	}
	f, err := os.OpenFile(jobPath(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(job(name, exe))
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return launchctl("bootstrap", "system", jobPath(name))
}

func remove(name string) error {
	if runtime.GOOS != "darwin" {
		return fmt.Errorf("remove is for Windows, systemd and launchd: %w", errors.ErrUnsupported)
	}
	return errors.Join(launchctl("bootout", "system", jobPath(name)), os.Remove(jobPath(name)))
}

func launchctl(args ...string) error {
	if out, err := exec.Command("launchctl", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("launchctl %q: %w: %s", args, err, out)
	}
	return nil
}
