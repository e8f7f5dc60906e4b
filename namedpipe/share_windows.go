package namedpipe

import (
	"bytes"
	"errors"
	"io/fs"
	"runtime"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/grpcpipe/grpcpipe/internal/pipename"
)

// How many instances a pipe may have is fixed by whoever makes the first. No
// limit is reached, so the number says whether other processes may join.
const (
	instancesOwn    = 0xFFFFFFFF // PIPE_UNLIMITED_INSTANCES
	instancesShared = 0xFFFFFFFE
)

// errNotShared is for a name whose server doesn't let other processes join.
var errNotShared = explainAs(errNameTaken, windows.STATUS_OBJECT_NAME_COLLISION,
	"another server is listening on this name and doesn't share it", "set ListenConfig.Share in both, or stop it")

// takeName makes the handle that keeps the name, alone or, if all say so,
// together with other processes.
func (l *listener) takeName() (windows.Handle, error) {
	anchor, err := l.claim()
	if l.maxInstances != instancesShared || err != windows.STATUS_OBJECT_NAME_COLLISION {
		return anchor, err
	}
	return l.join()
}

// claim makes the handle that keeps the name: with FILE_CREATE a name that
// exists, under whatever descriptor, is refused. Access is denied both for a
// name that is taken and for one that this user may not make; which it was shows
// only afterwards, when the name may have become free. Then it tries again.
func (l *listener) claim() (windows.Handle, error) {
	for try := 0; ; try++ {
		anchor, err := l.create(anchorRights, windows.FILE_CREATE)
		switch {
		case err == nil:
			return anchor, l.disconnect(anchor)
		case err != windows.STATUS_ACCESS_DENIED:
			return 0, err
		case nameExists(l.addr.path):
			return 0, windows.STATUS_OBJECT_NAME_COLLISION
		case try == 3:
			return 0, err
		}
	}
}

// nameExists reports whether there is a pipe of this name. What can't be found
// out counts as a pipe.
func nameExists(path string) bool { return pipename.Find(path) != windows.ERROR_FILE_NOT_FOUND }

// disconnect sees to it that the anchor takes no clients. Wine has it wait for
// one and disconnects only what is connected, so there this process connects to
// it first.
func (l *listener) disconnect(anchor windows.Handle) error {
	path, err := windows.UTF16PtrFromString(l.addr.path)
	if err != nil {
		return err
	}
	for windows.DisconnectNamedPipe(anchor) == windows.ERROR_PIPE_LISTENING {
		self, err := windows.CreateFile(path, windows.GENERIC_READ, 0, nil, windows.OPEN_EXISTING, windows.SECURITY_SQOS_PRESENT|windows.SECURITY_ANONYMOUS, 0)
		if err == windows.ERROR_PIPE_BUSY {
			continue // a client was first, and is disconnected now
		}
		if err != nil {
			return err
		}
		defer windows.CloseHandle(self)
	}
	return nil
}

// anchorRights are what the handle that keeps the name needs: without read or
// write access the instance takes no clients, as it is disconnected from the
// start.
const anchorRights = windows.SYNCHRONIZE | windows.READ_CONTROL | windows.FILE_READ_ATTRIBUTES

// join makes this process's own handle on a name that another process of the
// same user shares.
func (l *listener) join() (windows.Handle, error) {
	anchor, err := l.create(anchorRights, windows.FILE_OPEN)
	switch err {
	case nil:
	case windows.STATUS_OBJECT_NAME_NOT_FOUND:
		return 0, windows.STATUS_OBJECT_NAME_COLLISION // it was there just now: for Listen to try again
	case windows.STATUS_ACCESS_DENIED:
		return 0, explainAs(fs.ErrPermission, err, "the server that has the name doesn't let this user add instances", "only processes of the same user can share a name")
	default:
		return 0, err
	}
	info, err := infoOf(anchor)
	if err == nil && info.MaximumInstances != instancesShared {
		err = errNotShared
	}
	if err == nil {
		err = l.matches(anchor)
	}
	if err != nil {
		windows.CloseHandle(anchor)
		return 0, err
	}
	if windows.DisconnectNamedPipe(anchor) == windows.ERROR_PIPE_LISTENING {
		// Under Wine it takes clients. Then the instances alone keep the name.
		windows.CloseHandle(anchor)
		anchor = 0
	}
	return anchor, nil
}

// matches is an error unless the pipe has the owner, the label and the entries
// that this listener would give it.
func (l *listener) matches(pipe windows.Handle) error {
	const parts = windows.OWNER_SECURITY_INFORMATION | windows.DACL_SECURITY_INFORMATION | windows.LABEL_SECURITY_INFORMATION
	sd, err := windows.GetSecurityInfo(pipe, windows.SE_KERNEL_OBJECT, parts)
	if err != nil {
		return explain(err, "the system doesn't report who owns the pipe", "")
	}
	theirs, _, err := sd.Owner()
	ours, _, oerr := l.sd.Owner()
	if err := errors.Join(err, oerr); err != nil {
		return err
	}
	if theirs == nil || !theirs.Equals(ours) {
		return explainAs(fs.ErrPermission, windows.STATUS_ACCESS_DENIED, "the server that has the name is another user's", "only processes of the same user can share a name or take it over")
	}
	theirDACL, _, err := sd.DACL()
	ourDACL, _, oerr := l.sd.DACL()
	if err := errors.Join(err, oerr); err != nil {
		return err
	}
	theirLabel, err := labelOf(sd)
	ourLabel, oerr := labelOf(l.sd)
	if err := errors.Join(err, oerr); err != nil {
		return err
	}
	if theirLabel != ourLabel || !sameACL(theirDACL, ourDACL) {
		return otherAccess(sd.String(), l.sd.String())
	}
	return nil
}

// sameACL reports whether two lists have the same entries in the same order.
// Generic rights count as what they mean for a pipe, for the system stores that.
func sameACL(a, b *windows.ACL) bool {
	if a == nil || b == nil {
		return a == b
	}
	if a.AceCount != b.AceCount {
		return false
	}
	for i := range uint32(a.AceCount) {
		var x, y *windows.ACCESS_ALLOWED_ACE
		if windows.GetAce(a, i, &x) != nil || windows.GetAce(b, i, &y) != nil || !bytes.Equal(specific(x), specific(y)) {
			return false
		}
	}
	return true
}

// specific returns an entry's bytes with its generic rights replaced. Every kind
// of entry begins with a header and a mask.
func specific(ace *windows.ACCESS_ALLOWED_ACE) []byte {
	b := bytes.Clone(unsafe.Slice((*byte)(unsafe.Pointer(ace)), ace.Header.AceSize))
	mask := (*windows.ACCESS_MASK)(unsafe.Pointer(&b[4]))
	for generic, rights := range map[windows.ACCESS_MASK]windows.ACCESS_MASK{
		windows.GENERIC_READ: windows.FILE_GENERIC_READ, windows.GENERIC_WRITE: windows.FILE_GENERIC_WRITE,
		windows.GENERIC_EXECUTE: windows.FILE_GENERIC_EXECUTE, windows.GENERIC_ALL: windows.STANDARD_RIGHTS_ALL | 0x1FF,
	} {
		if *mask&generic != 0 {
			*mask = *mask&^generic | rights
		}
	}
	return b
}

// pipeInfo is FILE_PIPE_LOCAL_INFORMATION.
type pipeInfo struct {
	Type, Configuration, MaximumInstances, CurrentInstances         uint32
	InboundQuota, ReadDataAvailable, OutboundQuota, WriteQuotaAvail uint32
	State, End                                                      uint32
}

// hasClient reports whether the state is that of an instance which a client has
// connected to, even if it has left again.
func (p pipeInfo) hasClient() bool {
	const connected, closing = 3, 4 // FILE_PIPE_CONNECTED_STATE, FILE_PIPE_CLOSING_STATE
	return p.State == connected || p.State == closing
}

func infoOf(pipe windows.Handle) (info pipeInfo, err error) {
	const filePipeLocalInformation = 24
	var iosb windows.IO_STATUS_BLOCK
	err = windows.NtQueryInformationFile(pipe, &iosb, (*byte)(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info)), filePipeLocalInformation)
	runtime.KeepAlive(&iosb)
	return info, err
}
