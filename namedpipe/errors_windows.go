package namedpipe

import (
	"errors"
	"io/fs"
	"strings"

	"golang.org/x/sys/windows"

	"github.com/grpcpipe/grpcpipe/internal/pipename"
)

// explainOpen explains an error from the opening of a pipe.
func explainOpen(path string, err error) error {
	if err == windows.ERROR_ACCESS_DENIED && insideAppContainer(path) {
		return explain(err, "access denied: this process is in an AppContainer", `use a name of the form LOCAL\NAME`)
	}
	switch err {
	case windows.ERROR_FILE_NOT_FOUND, windows.ERROR_PATH_NOT_FOUND:
		return explain(err, "there is no such pipe", "start the server, or check the name")
	case windows.ERROR_PIPE_BUSY:
		return explain(err, "all instances of the pipe are taken", "its server accepts too slowly, or has exited while clients still hold the pipe")
	case windows.ERROR_ACCESS_DENIED:
		return explain(err, "access denied: the pipe doesn't admit this user", "ask whoever runs the server, or run as the same user and with the same elevation")
	case windows.ERROR_INVALID_NAME, windows.ERROR_BAD_PATHNAME:
		return explainAs(fs.ErrInvalid, err, "Windows doesn't allow this name", "choose another name")
	}
	return explain(err, "can't open the pipe", "")
}

// explainCreate explains an error from the making of an instance.
func explainCreate(path string, err error) error {
	if _, explained := err.(*problem); explained {
		return err
	}
	if err == windows.STATUS_ACCESS_DENIED && insideAppContainer(path) {
		return explainAs(fs.ErrPermission, err, "access denied: this process is in an AppContainer", `use a name of the form LOCAL\NAME`)
	}
	switch err {
	case windows.STATUS_OBJECT_NAME_COLLISION, windows.STATUS_INSTANCE_NOT_AVAILABLE, windows.STATUS_PIPE_NOT_AVAILABLE:
		return explainAs(errNameTaken, err, "another server is listening on this name, or clients of one that has exited still hold it", "stop it, or choose another name")
	case windows.STATUS_ACCESS_DENIED:
		return explainAs(fs.ErrPermission, err, "access denied: this user may not make a pipe of this name", `names under ProtectedPrefix\Administrators\ are for administrators only`)
	case windows.STATUS_OBJECT_NAME_INVALID, windows.STATUS_OBJECT_PATH_INVALID:
		return explainAs(fs.ErrInvalid, err, "Windows doesn't allow this name", "choose another name")
	case windows.STATUS_OBJECT_NAME_NOT_FOUND, windows.STATUS_OBJECT_PATH_NOT_FOUND:
		return explainAs(fs.ErrNotExist, err, "the part of the name before its last \\ doesn't exist", "choose another name")
	}
	return explain(err, "can't make the pipe", "")
}

// isBusy reports whether there is a server with no free instance.
func isBusy(err error) bool { return errors.Is(err, windows.ERROR_PIPE_BUSY) }

// isMissing reports whether there is no server.
func isMissing(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// isPeerGone reports whether the other end has closed the connection: Kestrel, which
// disconnects before it closes, causes ERROR_PIPE_NOT_CONNECTED.
func isPeerGone(err error) bool {
	return errors.Is(err, windows.ERROR_BROKEN_PIPE) || errors.Is(err, windows.ERROR_PIPE_NOT_CONNECTED) || errors.Is(err, windows.ERROR_NO_DATA)
}

// insideAppContainer reports whether this process may only use names of the form
// LOCAL\NAME and the path is none.
func insideAppContainer(path string) bool {
	const local = pipename.Prefix + `LOCAL\`
	pkg, err := packageOf(windows.GetCurrentProcessToken())
	return err == nil && pkg != nil && (len(path) < len(local) || !strings.EqualFold(path[:len(local)], local))
}
