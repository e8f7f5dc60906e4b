//go:build !windows

package inspect

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/grpcpipe/grpcpipe/internal/pipename"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// HasInstances reports whether pipes have instances on this system.
const HasInstances = false

// accessOf describes who may connect to a socket: who may write to it.
func accessOf(path string, _ *namedpipe.Conn) string {
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return info.Mode().Perm().String()
	}
	mode := info.Mode().Perm()
	if mode&0o002 != 0 {
		return "any user (the server may be stricter)"
	}
	who := []string{}
	if mode&0o200 != 0 {
		who = append(who, "user "+userName(st.Uid))
	}
	if mode&0o020 != 0 {
		who = append(who, "group "+groupName(st.Gid))
	}
	if len(who) == 0 {
		return "root only"
	}
	return strings.Join(who, ", ")
}

func userName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
}

func groupName(gid uint32) string {
	id := strconv.FormatUint(uint64(gid), 10)
	if g, err := user.LookupGroupId(id); err == nil {
		return g.Name
	}
	return id
}

// whoAmI describes the user that this process runs as.
func whoAmI() string {
	uid := os.Geteuid()
	return fmt.Sprintf("user %s (uid %d)", userName(uint32(uid)), uid)
}

// denied describes who may use a socket that this user may not.
func denied(path string) string {
	dir := filepath.Dir(path)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrPermission) {
		return fmt.Sprintf("the folder %s can't be entered", dir)
	}
	if who := accessOf(path, nil); who != "" {
		return "it admits " + who
	}
	return "who is allowed can't be seen"
}

// ErrRefused is the error for a socket on which nobody listens.
const ErrRefused = syscall.ECONNREFUSED

// isRefused reports whether a file is there and nobody listens on it.
func isRefused(err error) bool { return errors.Is(err, ErrRefused) }

// fileInTheWay says what is at a socket's path if it is not a socket.
func fileInTheWay(path string) string {
	info, err := os.Stat(path)
	switch {
	case err != nil || info.Mode()&fs.ModeSocket != 0:
		return ""
	case info.IsDir():
		return "a folder"
	}
	return "a file"
}

// elsewhere looks for the server of a missing pipe in other temporary folders.
func elsewhere(_ context.Context, path string) (text, next string) {
	base, dir := filepath.Base(path), filepath.Dir(path)
	if !strings.HasPrefix(base, pipename.DotNetPrefix) {
		return "", ""
	}
	var others []string
	all, _ := listeners() // without them, search the usual folders
	for _, l := range all {
		other := l.path
		if filepath.Base(other) != base {
			continue
		}
		if other == path {
			return "a server listens on that very path, in another view of the file system: a container, or a service with systemd's PrivateTmp",
				"give both a folder they share, by TMPDIR or a rooted path"
		}
		others = append(others, other)
	}
	if len(others) == 0 {
		for _, other := range []string{"/tmp", "/var/tmp", os.Getenv("XDG_RUNTIME_DIR")} {
			if info, err := os.Stat(filepath.Join(other, base)); other != "" && filepath.Clean(other) != dir && err == nil && info.Mode()&fs.ModeSocket != 0 {
				others = append(others, filepath.Join(other, base))
			}
		}
	}
	if len(others) == 0 {
		return "", ""
	}
	return fmt.Sprintf("TMPDIR differs: a server has this name in another folder, %s", others[0]),
		fmt.Sprintf("set TMPDIR=%s here, or the server's to %s, or name the socket: npipe:%s", filepath.Dir(others[0]), dir, others[0])
}
