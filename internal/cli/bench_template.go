package cli

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	mathrand "math/rand/v2"
	"strings"
	"text/template"
	"time"
)

// maxRandom bounds what one call of a template's function makes, in bytes.
const maxRandom = 64 << 20

// An expander expands -d for each call.
type expander struct{ t *template.Template }

func parseTemplate(name, text string) (*expander, error) {
	t, err := template.New("-d").Option("missingkey=error").Funcs(templateFuncs).Parse(text)
	if err != nil {
		return nil, usage("%s: %s", name, strings.TrimPrefix(err.Error(), "template: "))
	}
	return &expander{t}, nil
}

func (e *expander) expand(n int64, row map[string]any) ([]byte, error) {
	var out bytes.Buffer
	err := e.t.Execute(&out, struct {
		N   int
		Row map[string]any
	}{int(n), row})
	if err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "template: "))
	}
	return out.Bytes(), nil
}

var templateFuncs = template.FuncMap{
	"random": func(from, to int) (int, error) {
		if to < from || to-from < 0 || to-from == math.MaxInt {
			return 0, fmt.Errorf("random %d %d: write the lesser number first", from, to)
		}
		return from + mathrand.IntN(to-from+1), nil
	},
	"randomText": func(n int) (string, error) {
		const letters = "abcdefghijklmnopqrstuvwxyz0123456789"
		b, err := someBytes(n)
		for i := range b {
			b[i] = letters[int(b[i])%len(letters)]
		}
		return string(b), err
	},
	"randomBytes": func(n int) (string, error) {
		b, err := someBytes(n)
		return base64.StdEncoding.EncodeToString(b), err
	},
	"pick": func(first string, more ...string) string {
		if i := mathrand.IntN(len(more) + 1); i > 0 {
			return more[i-1]
		}
		return first
	},
	"uuid": func() string {
		var b [16]byte
		rand.Read(b[:]) // never fails
		b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
		return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
	},
	"now": func() string { return time.Now().UTC().Format(time.RFC3339Nano) },
	"json": func(v any) (string, error) {
		b, err := json.Marshal(v)
		return string(b), err
	},
}

func someBytes(n int) ([]byte, error) {
	if n < 0 || n > maxRandom {
		return nil, fmt.Errorf("a length of %d: write one up to %d", n, maxRandom)
	}
	b := make([]byte, n)
	rand.Read(b) // never fails
	return b, nil
}

// all is the whole of what -d names, as text.
func (r *requests) all() (string, error) {
	b, err := io.ReadAll(io.LimitReader(r.in, maxText))
	if err != nil {
		return "", r.badJSON(err)
	}
	return string(b), nil
}
