package cli

import (
	"os"
	"path/filepath"
)

// A draft is a file under way: it gets its name when it is whole, so that nobody
// finds half of it. What is no regular file, such as a device, is written as it
// is.
type draft struct {
	*os.File
	path string // "" if there is nothing to rename
}

// newDraft makes the file for path in the same folder.
func newDraft(path string, mode os.FileMode) (*draft, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return nil, err
		}
		return &draft{File: f}, nil
	}
	f, err := os.OpenFile(filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".part"), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return nil, err
	}
	return &draft{f, path}, nil
}

// finish gives the file its name.
func (d *draft) finish() error {
	if err := d.Close(); err != nil || d.path == "" {
		d.discard()
		return err
	}
	if err := os.Rename(d.Name(), d.path); err != nil {
		d.discard()
		return err
	}
	return nil
}

// discard removes the file, unless it is finished.
func (d *draft) discard() {
	d.Close() // it may be
	if d.path != "" {
		os.Remove(d.Name()) // it may have its name
	}
}

// writeFile writes a whole file or none.
func writeFile(path string, data []byte) error {
	d, err := newDraft(path, 0o666) // no secret: the umask decides
	if err != nil {
		return err
	}
	if _, err := d.Write(data); err != nil {
		d.discard()
		return err
	}
	return d.finish()
}
