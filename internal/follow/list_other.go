//go:build !windows

package follow

import (
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/grpcpipe/grpcpipe/internal/pipename"
)

// settled is the age at which a folder's modification time is sure to differ from
// that of a later change: most file systems count it in steps of 10 ms, the worst
// in steps of 2 s.
const settled = 2500 * time.Millisecond

// system lists a folder, and does not read it again while it has not changed: a
// pattern is looked up four times a second, and a temporary folder can be large.
type system struct {
	mu      sync.Mutex
	dir     string
	changed time.Time // of the folder, when entries were read; zero if that can't be trusted
	entries []Entry
	n       int // number of times that a folder was read
}

func newSystem() Lister { return &system{} }

func (s *system) List(pattern string) ([]Entry, error) {
	all, err := s.all()
	if err != nil {
		return nil, err
	}
	var matching []Entry
	for _, e := range all {
		if Match(pattern, e.Name) {
			matching = append(matching, e)
		}
	}
	return matching, nil
}

// all returns every pipe. The caller must not change the result.
func (s *system) all() ([]Entry, error) {
	dir, err := pipename.Folder()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("can't look at the folder of pipes (set TMPDIR to the one that the servers use): %w", err)
	}
	if dir == s.dir && !s.changed.IsZero() && info.ModTime().Equal(s.changed) {
		return s.entries, nil
	}
	s.n++
	start := time.Now()
	entries, err := read(dir)
	if err != nil {
		return nil, err
	}
	s.dir, s.entries, s.changed = dir, entries, time.Time{}
	if start.Sub(info.ModTime()) > settled {
		s.changed = info.ModTime()
	}
	return entries, nil
}

// reads returns the number of times that a folder was read.
func (s *system) reads() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n
}

// read returns the pipes in a folder.
func read(dir string) ([]Entry, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("can't read the folder of pipes: %w", err)
	}
	defer f.Close()
	files, err := f.ReadDir(-1)
	if err != nil {
		return nil, fmt.Errorf("can't read the folder of pipes: %w", err)
	}
	var entries []Entry
	for _, file := range files {
		name, ok := strings.CutPrefix(file.Name(), pipename.DotNetPrefix)
		if !ok || name == "" || file.Type()&fs.ModeType != fs.ModeSocket {
			continue
		}
		entries = append(entries, Entry{Name: name, Path: strings.TrimSuffix(dir, "/") + "/" + file.Name()})
	}
	return entries, nil
}
