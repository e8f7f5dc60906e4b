package inspect

import (
	"context"
	"fmt"
	"os/user"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// HasInstances reports whether pipes have instances on this system.
const HasInstances = true

// states returns a function that returns the state of a pipe. On Windows every
// pipe has a server.
func states() func(path string) string {
	return func(string) string { return Listening }
}

// The rights that a client needs, and the type of the entries that grant them.
const (
	readAndWrite = windows.FILE_READ_DATA | windows.FILE_WRITE_DATA
	entryAllows  = 0 // ACCESS_ALLOWED_ACE_TYPE
	entryDenies  = 1 // ACCESS_DENIED_ACE_TYPE
)

// accessOf describes who may connect to a pipe that has been opened.
func accessOf(_ string, c *namedpipe.Conn) string {
	if c == nil {
		return ""
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return ""
	}
	var words string
	err = raw.Control(func(fd uintptr) {
		sd, err := windows.GetSecurityInfo(windows.Handle(fd), windows.SE_KERNEL_OBJECT, windows.DACL_SECURITY_INFORMATION)
		if err == nil {
			words = describeDescriptor(sd)
		}
	})
	if err != nil {
		return ""
	}
	return words
}

// describeDescriptor names the accounts that a security descriptor lets in and
// those it keeps out.
func describeDescriptor(sd *windows.SECURITY_DESCRIPTOR) string {
	acl, _, err := sd.DACL()
	if err != nil || acl == nil {
		return "everyone (it has no access list)"
	}
	var in, out []string
	for i := range acl.AceCount {
		var ace *windows.ACCESS_ALLOWED_ACE
		if windows.GetAce(acl, uint32(i), &ace) != nil || ace.Header.AceFlags&windows.INHERIT_ONLY_ACE != 0 {
			continue
		}
		name := sidName((*windows.SID)(unsafe.Pointer(&ace.SidStart)))
		switch {
		case ace.Header.AceType == entryAllows && (ace.Mask&readAndWrite == readAndWrite || ace.Mask&(windows.GENERIC_ALL|windows.GENERIC_WRITE) != 0):
			in = append(in, name)
		case ace.Header.AceType == entryDenies:
			out = append(out, name)
		}
	}
	if len(in) == 0 {
		return "nobody"
	}
	words := strings.Join(in, ", ")
	if len(out) > 0 {
		words += "; not " + strings.Join(out, ", ")
	}
	return words
}

func sidName(sid *windows.SID) string {
	name, domain, _, err := sid.LookupAccount("")
	if err != nil || name == "" {
		return sid.String()
	}
	if domain == "" {
		return name
	}
	return domain + `\` + name
}

// whoAmI describes the user that this process runs as.
func whoAmI() string {
	name := "this user"
	if u, err := user.Current(); err == nil {
		name = fmt.Sprintf("user %s (%s)", u.Username, u.Uid)
	}
	if windows.GetCurrentProcessToken().IsElevated() {
		return name + ", elevated"
	}
	return name + ", not elevated"
}

// denied describes who may open a pipe that this user may not.
func denied(string) string {
	return "who is allowed can't be seen from outside: Windows shows a pipe's descriptor only to those it lets in, and to an administrator"
}

// ErrRefused is the error for a socket on which nobody listens. The syscall
// package's constant of this name is invented by Go; no call returns it.
const ErrRefused = windows.WSAECONNREFUSED

// isRefused reports whether a pipe exists without a server, which can't happen
// on Windows.
func isRefused(error) bool { return false }

// fileInTheWay returns "": pipes have a file system of their own, which holds
// nothing else.
func fileInTheWay(string) string { return "" }

// elsewhere returns nothing: on Windows all pipes are in one place.
func elsewhere(context.Context, string) (text, next string) { return "", "" }
