package ui

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/grpcpipe/grpcpipe/internal/inspect"
)

// historyLines is the number of calls that the history keeps.
const historyLines = 200

// A store keeps requests as files that people can read and put under version
// control: NAME.json for each saved one, and history.jsonl. Values whose names
// mark them as secrets are left out of both.
type store struct {
	dir string
	mu  sync.Mutex
}

type kept struct {
	Name    string  `json:"name,omitempty"`
	Target  string  `json:"target"`
	Method  string  `json:"method"`
	Body    string  `json:"body"`
	Options options `json:"options"`
	At      string  `json:"at,omitempty"`
	Code    string  `json:"code,omitempty"`
}

// savedName matches names that are valid file names on every system.
var savedName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9 ._-]{0,79}$`)

// reserved matches names that Windows reserves for devices.
var reserved = regexp.MustCompile(`(?i)^(con|prn|aux|nul|com\d|lpt\d)(\..*)?$`)

func (s *store) path(name string) (string, error) {
	if s.dir == "" {
		return "", usage("nothing is saved here: start grpcpipe ui with --dir DIR")
	}
	if !savedName.MatchString(name) || reserved.MatchString(name) || strings.HasSuffix(name, ".") || strings.HasSuffix(name, " ") {
		return "", usage("%q can't be the name of a file: use letters, digits, spaces and . _ -", name)
	}
	return filepath.Join(s.dir, name+".json"), nil
}

// withoutSecrets returns k without the values whose names mark them as secrets.
func (k kept) withoutSecrets() kept {
	k.Options.Headers = slices.Clone(k.Options.Headers)
	for i, h := range k.Options.Headers {
		if inspect.IsSecret(h[0]) {
			k.Options.Headers[i][1] = ""
		}
	}
	// Trust in a server is for this session only.
	k.Options.Trust = false
	k.Body = member.ReplaceAllStringFunc(k.Body, func(m string) string {
		parts := member.FindStringSubmatch(m)
		if !inspect.IsSecret(parts[1]) {
			return m
		}
		return strings.TrimSuffix(m, parts[2]) + `""`
	})
	return k
}

// member matches a member of a JSON object whose value is a string.
var member = regexp.MustCompile(`"([^"\\]*)"\s*:\s*("(?:[^"\\]|\\.)*")`)

// write replaces a file atomically.
func (s *store) write(path string, data []byte) error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(s.dir, ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // fails once it was renamed
	_, err = tmp.Write(data)
	if err = errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

// save keeps a request under its name.
func (u *UI) save(_ context.Context, in kept) (struct{}, error) {
	path, err := u.store.path(in.Name)
	if err != nil {
		return struct{}{}, err
	}
	in.At, in.Code = "", ""
	data, err := json.MarshalIndent(in.withoutSecrets(), "", "  ")
	if err != nil {
		return struct{}{}, err
	}
	u.store.mu.Lock()
	defer u.store.mu.Unlock()
	return struct{}{}, u.store.write(path, append(data, '\n'))
}

func (u *UI) remove(_ context.Context, in kept) (struct{}, error) {
	path, err := u.store.path(in.Name)
	if err != nil {
		return struct{}{}, err
	}
	return struct{}{}, os.Remove(path)
}

type savedList struct {
	Saved   []kept `json:"saved"`
	History []kept `json:"history"`
}

// saved reads the saved requests and the history. It skips files that are not
// requests: the directory is the user's.
func (u *UI) saved(context.Context, struct{}) (savedList, error) {
	out := savedList{Saved: []kept{}, History: []kept{}}
	if u.store.dir == "" {
		return out, nil
	}
	files, err := filepath.Glob(filepath.Join(u.store.dir, "*.json"))
	if err != nil {
		return out, err
	}
	for _, path := range files {
		data, err := os.ReadFile(path)
		var k kept
		if err != nil || json.Unmarshal(data, &k) != nil || k.Method == "" {
			continue
		}
		k.Name = strings.TrimSuffix(filepath.Base(path), ".json")
		out.Saved = append(out.Saved, k)
	}
	u.store.mu.Lock()
	defer u.store.mu.Unlock()
	lines, err := u.store.history()
	for _, line := range slices.Backward(lines) {
		var k kept
		if json.Unmarshal(line, &k) == nil {
			out.History = append(out.History, k)
		}
	}
	return out, err
}

// history returns the lines of the history, the oldest first.
func (s *store) history() ([][]byte, error) {
	data, err := os.ReadFile(s.historyPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var lines [][]byte
	scanner := bufio.NewScanner(bytes.NewReader(data))
	scanner.Buffer(nil, maxBody)
	for scanner.Scan() {
		lines = append(lines, bytes.Clone(scanner.Bytes()))
	}
	return lines, errors.Join(err, scanner.Err())
}

func (s *store) historyPath() string { return filepath.Join(s.dir, "history.jsonl") }

// maxKept is the size, in bytes, of the largest request that the history keeps.
const maxKept = 64 << 10

// remember adds a call to the history. A failure to write it must not fail the
// call.
func (u *UI) remember(in callRequest, code string) {
	if u.store.dir == "" || len(in.Body) > maxKept {
		return
	}
	k := kept{Target: in.Target, Method: in.Method, Body: in.Body, Options: in.Options, Code: code, At: time.Now().UTC().Format(time.RFC3339)}
	line, err := json.Marshal(k.withoutSecrets())
	if err != nil {
		return
	}
	u.store.mu.Lock()
	defer u.store.mu.Unlock()
	lines, err := u.store.history()
	if err != nil {
		return
	}
	lines = append(lines, line)
	lines = lines[max(0, len(lines)-historyLines):]
	u.store.write(u.store.historyPath(), append(bytes.Join(lines, []byte("\n")), '\n'))
}
