package namedpipe

import (
	"context"

	"golang.org/x/sys/windows"
)

// qosLevels are CreateFile's security flags for each level. With static
// tracking the system takes the client's token when the pipe is opened, which is
// before Trust has looked at the server. With dynamic tracking there is no token
// to act with until the client's first write, so the levels that let the server
// act as the client use that.
var qosLevels = map[ImpersonationLevel]uint32{
	Identification: windows.SECURITY_IDENTIFICATION,
	Anonymous:      windows.SECURITY_ANONYMOUS,
	Impersonation:  windows.SECURITY_IMPERSONATION | windows.SECURITY_CONTEXT_TRACKING,
	Delegation:     windows.SECURITY_DELEGATION | windows.SECURITY_CONTEXT_TRACKING,
}

// open makes one attempt. CreateFile of a pipe doesn't wait, so the context is
// not used.
func (d *Dialer) open(_ context.Context, addr *Addr) (conn, error) {
	path, err := windows.UTF16PtrFromString(addr.path)
	if err != nil {
		return conn{}, err
	}
	// Without SECURITY_SQOS_PRESENT the server could impersonate this process.
	pipe, err := windows.CreateFile(path, windows.GENERIC_READ|windows.GENERIC_WRITE, 0, nil, windows.OPEN_EXISTING,
		windows.FILE_FLAG_OVERLAPPED|windows.SECURITY_SQOS_PRESENT|qosLevels[d.ImpersonationLevel], 0)
	if err != nil {
		return conn{}, explainOpen(addr.path, err)
	}
	return newConn(pipe, addr)
}
