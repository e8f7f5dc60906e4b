// Package seccomp runs a test in a sandbox where options of getsockopt fail, as
// they do under gVisor, under a container's filter and on older kernels.
package seccomp

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

const env = "GRPCPIPE_TEST_WITHOUT"

// refused begins what a process says that may not install the filter.
const refused = "no seccomp filter:"

// Enter makes the options that the environment names fail from now on in this
// whole process. A test binary calls it before its first test.
func Enter() {
	text := os.Getenv(env)
	if text == "" {
		return
	}
	var opts []int
	for _, s := range strings.Split(text, ",") {
		opt, err := strconv.Atoi(s)
		if err != nil {
			panic(err)
		}
		opts = append(opts, opt)
	}
	if err := deny(opts); err != nil {
		fmt.Fprintln(os.Stderr, refused, err)
		os.Exit(2)
	}
}

// Without reports whether the test runs where the options of SOL_SOCKET fail
// with ENOPROTOOPT. If not, it runs the test again in a process where they do,
// and reports that run's result as this one's.
func Without(t *testing.T, opts ...int) bool {
	t.Helper()
	if os.Getenv(env) != "" {
		return true
	}
	var words []string
	for _, opt := range opts {
		words = append(words, strconv.Itoa(opt))
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=1m")
	cmd.Env = append(slices.Clone(os.Environ()), env+"="+strings.Join(words, ","), "GORACE=atexit_sleep_ms=0")
	out, err := cmd.CombinedOutput()
	switch {
	case strings.HasPrefix(string(out), refused):
		t.Skipf("no filter can be installed here: %s", out)
	case err != nil:
		t.Errorf("%v:\n%s", err, out)
	case strings.Contains(string(out), "--- SKIP: "+t.Name()):
		t.Skipf("%s", out)
	case !strings.Contains(string(out), "--- PASS: "+t.Name()):
		t.Errorf("the test did not run:\n%s", out)
	}
	return false
}

// Env is what a process's environment must hold for Enter to make the option
// fail.
func Env(opt int) string { return env + "=" + strconv.Itoa(opt) }

func deny(opts []int) error {
	load := func(offset uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
	}
	const nr, level, option = 0, 16 + 1*8, 16 + 2*8 // of struct seccomp_data, on a little-endian machine
	f := []unix.SockFilter{
		load(nr),
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 1, K: unix.SYS_GETSOCKOPT},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		load(level),
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 1, K: unix.SOL_SOCKET},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		load(option),
	}
	for _, opt := range opts {
		f = append(f,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: uint32(opt)},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(syscall.ENOPROTOOPT)})
	}
	f = append(f, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW})
	prog := unix.SockFprog{Len: uint16(len(f)), Filter: &f[0]}
	// A filter needs this or CAP_SYS_ADMIN; TSYNC gives both to every thread.
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl", err)
	}
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog))); errno != 0 {
		return os.NewSyscallError("seccomp", errno)
	}
	return nil
}
