package child

import (
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// A group is the job object of a child. It ends the child and everything the
// child has started when its only handle, held by this process, is closed: by
// close or by the end of this process.
type group struct{ job windows.Handle }

// start starts the process suspended, so that nothing it starts can escape the
// job.
func (g *group) start(cmd *exec.Cmd) error {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return fmt.Errorf("create a job object: %w", err)
	}
	limits := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{}
	var pinned runtime.Pinner // the call takes a uintptr, which doesn't keep limits in place
	pinned.Pin(&limits)
	defer pinned.Unpin()
	limits.BasicLimitInformation.LimitFlags = windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
	if _, err := windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation, uintptr(unsafe.Pointer(&limits)), uint32(unsafe.Sizeof(limits))); err != nil {
		windows.CloseHandle(job)
		return fmt.Errorf("set up a job object: %w", err)
	}
	attr := syscall.SysProcAttr{}
	if cmd.SysProcAttr != nil {
		attr = *cmd.SysProcAttr
	}
	attr.CreationFlags |= windows.CREATE_SUSPENDED | windows.CREATE_NEW_PROCESS_GROUP
	cmd.SysProcAttr = &attr
	if err := cmd.Start(); err != nil {
		windows.CloseHandle(job)
		return err
	}
	var assigned error
	err = cmd.Process.WithHandle(func(process uintptr) {
		assigned = windows.AssignProcessToJobObject(job, windows.Handle(process))
	})
	if err = errors.Join(err, assigned); err == nil {
		err = resume(uint32(cmd.Process.Pid))
	}
	if err != nil {
		windows.CloseHandle(job)
		cmd.Process.Kill()
		cmd.Wait()
		return fmt.Errorf("put the process into a job object: %w", err)
	}
	g.job = job
	return nil
}

// resume lets the only thread of a suspended process run. os/exec keeps no
// handle to it.
func resume(pid uint32) error {
	snapshot, err := windows.CreateToolhelp32Snapshot(windows.TH32CS_SNAPTHREAD, 0)
	if err != nil {
		return err
	}
	defer windows.CloseHandle(snapshot)
	entry := windows.ThreadEntry32{Size: uint32(unsafe.Sizeof(windows.ThreadEntry32{}))}
	for err = windows.Thread32First(snapshot, &entry); err == nil; err = windows.Thread32Next(snapshot, &entry) {
		if entry.OwnerProcessID != pid {
			continue
		}
		thread, err := windows.OpenThread(windows.THREAD_SUSPEND_RESUME, false, entry.ThreadID)
		if err != nil {
			return err
		}
		defer windows.CloseHandle(thread)
		_, err = windows.ResumeThread(thread)
		return err
	}
	return fmt.Errorf("find the thread of process %d: %w", pid, err)
}

// kill ends the process and everything it has started.
func (g *group) kill(*exec.Cmd) { windows.TerminateJobObject(g.job, 1) }

// close ends whatever the process has left running.
func (g *group) close() { windows.CloseHandle(g.job) }
