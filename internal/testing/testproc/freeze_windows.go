package testproc

import (
	"fmt"

	"golang.org/x/sys/windows"
)

var (
	ntdll            = windows.NewLazySystemDLL("ntdll.dll")
	ntSuspendProcess = ntdll.NewProc("NtSuspendProcess")
	ntResumeProcess  = ntdll.NewProc("NtResumeProcess")
)

// Freeze stops the process where it is, with all that it holds open. Kill ends
// a frozen process too.
func (p *Process) Freeze() error { return p.control(ntSuspendProcess) }

// Thaw lets a frozen process go on.
func (p *Process) Thaw() error { return p.control(ntResumeProcess) }

func (p *Process) control(f *windows.LazyProc) error {
	const suspendResume = 0x0800 // PROCESS_SUSPEND_RESUME
	h, err := windows.OpenProcess(suspendResume, false, uint32(p.Pid()))
	if err != nil {
		return err
	}
	defer windows.CloseHandle(h)
	if status, _, _ := f.Call(uintptr(h)); status != 0 {
		return fmt.Errorf("%s: %w", f.Name, windows.NTStatus(status))
	}
	return nil
}
