package endure

import "golang.org/x/sys/unix"

// mountSmall mounts a file system at dir that holds a few files.
func mountSmall(dir string) (unmount func() error, err error) {
	if err := unix.Mount("endure", dir, "tmpfs", 0, "size=64k,nr_inodes=24"); err != nil {
		return nil, err
	}
	return func() error { return unix.Unmount(dir, unix.MNT_DETACH) }, nil
}

// limitHandles lets a process open no more descriptors until restore is called.
func limitHandles(pid int) (restore func() error, err error) {
	var old unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &old); err != nil {
		return nil, err
	}
	low := unix.Rlimit{Cur: 3, Max: old.Max} // those that are open stay open
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &low, &old); err != nil {
		return nil, err
	}
	return func() error { return unix.Prlimit(pid, unix.RLIMIT_NOFILE, &old, nil) }, nil
}
