package cli

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/grpc/metadata"

	"github.com/grpcpipe/grpcpipe/internal/inspect"
)

// parseHeaders reads the values of a flag for headers: 'name: value', or @FILE
// with one a line, where empty lines and those that begin with # don't count.
func (f *connFlags) parseHeaders(flag string, headers []string) (metadata.MD, error) {
	md := metadata.MD{}
	for _, h := range headers {
		name, isFile := strings.CutPrefix(h, "@")
		if !isFile {
			if err := f.addHeader(md, fmt.Sprintf("%s %q", flag, h), h); err != nil {
				return nil, err
			}
			continue
		}
		if err := f.headersFrom(md, flag, name); err != nil {
			return nil, err
		}
	}
	return md, nil
}

// headersFrom reads headers from a file. Errors name the line and don't show it:
// it may hold a secret.
func (f *connFlags) headersFrom(md metadata.MD, flag, name string) error {
	file, err := os.Open(name)
	if err != nil {
		return usage("%s: %w", flag, err)
	}
	defer file.Close()
	lines := bufio.NewScanner(inspect.Text(file))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		if err := f.addHeader(md, fmt.Sprintf("%s @%s: line %d", flag, name, n), line); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return usage("%s @%s: %w", flag, name, err)
	}
	return nil
}

var variable = regexp.MustCompile(`\$\{([^}]*)\}`)

// addHeader reads one header. where is what errors call it.
func (f *connFlags) addHeader(md metadata.MD, where, h string) error {
	name, value, found := strings.Cut(h, ":")
	if !found {
		return usage("%s: write 'name: value'", where)
	}
	if strings.EqualFold(strings.TrimSpace(name), "user-agent") {
		return usage("%s: gRPC sends it itself: write --user-agent", where)
	}
	if f.expandEnv {
		var missing string
		value = variable.ReplaceAllStringFunc(value, func(v string) string {
			env, ok := os.LookupEnv(v[2 : len(v)-1])
			if !ok {
				missing = v
			}
			return env
		})
		if missing != "" {
			return usage("%s: the environment variable %s is not set: set it", where, missing)
		}
	}
	if err := inspect.AddHeader(md, name, value); err != nil {
		return usage("%s: %w", where, err)
	}
	return nil
}

// withoutSecrets is a copy of headers that shows of each secret no more than its
// length.
func withoutSecrets(md metadata.MD) metadata.MD {
	out := maps.Clone(md)
	for name, values := range out {
		if !inspect.IsSecret(name) {
			continue
		}
		out[name] = slices.Clone(values)
		for i, v := range values {
			out[name][i] = fmt.Sprintf("(%d bytes, not shown)", len(v))
		}
	}
	return out
}

// headerLines are headers as lines, in order of their names.
func headerLines(md metadata.MD) []string {
	var lines []string
	for name, values := range headersJSON(md) {
		for _, v := range values {
			lines = append(lines, oneLine(name+": "+v))
		}
	}
	slices.Sort(lines)
	return lines
}

// headersJSON are headers as text: binary ones in base64.
func headersJSON(md metadata.MD) map[string][]string {
	out := map[string][]string{}
	for name, values := range md {
		for _, v := range values {
			if strings.HasSuffix(name, "-bin") {
				v = base64.StdEncoding.EncodeToString([]byte(v))
			}
			out[name] = append(out[name], v)
		}
	}
	return out
}
