package cli

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestWrap(t *testing.T) {
	for _, tt := range []struct {
		text string
		room int
		want []string
	}{
		{"one two three", 7, []string{"one two", "three"}},
		{"one two three", 100, []string{"one two three"}},
		{"unbreakable word", 5, []string{"unbreakable", "word"}},
		{"unbreakable", 5, []string{"unbreakable"}},
		{"äöü äöü", 4, []string{"äöü", "äöü"}},
		{"", 5, []string{""}},
	} {
		if got := wrap(tt.text, tt.room); !slices.Equal(got, tt.want) {
			t.Errorf("wrap(%q, %d) = %q", tt.text, tt.room, got)
		}
	}
}

func TestNearest(t *testing.T) {
	names := []string{"SayHello", "SayGoodbye", "MyPipe", "mypipe-2", "other"}
	for _, tt := range []struct {
		name string
		want []string
	}{
		{"SayHelo", []string{"SayHello"}},
		{"SayHlelo", []string{"SayHello"}},
		{"mypipe", []string{"MyPipe", "mypipe-2"}},
		{"xyz", nil},
		{"", nil},
	} {
		if got := nearest(tt.name, names, 3); !slices.Equal(got, tt.want) {
			t.Errorf("nearest(%q) = %q", tt.name, got)
		}
	}
}

// What comes from a server can't move the cursor or feign another line.
func TestOneLine(t *testing.T) {
	if got := oneLine("a\r\nb\x1b[31mc\u009bd"); got != "a b\ufffd[31mc\ufffdd" {
		t.Errorf("%q", got)
	}
}

func TestCodeNames(t *testing.T) {
	for code, want := range map[codes.Code]string{codes.OK: "OK", codes.Canceled: "CANCELLED", codes.NotFound: "NOT_FOUND", codes.Unauthenticated: "UNAUTHENTICATED", 99: "Code(99)"} {
		if got := codeName(code); got != want {
			t.Errorf("%d: %q, want %q", code, got, want)
		}
	}
}

func TestReport(t *testing.T) {
	for _, tt := range []struct {
		err  error
		exit int
	}{
		{errors.New("unknown flag"), exitUsage},
		{internal(errors.New("x")), exitInternal},
		{cannotConnect(errors.New("x\ny")), exitConnect},
		{rpcFailed("a/b", status.Error(codes.NotFound, "x\ny")), 69},
		{errors.Join(nil, rpcFailed("a/b", status.Error(codes.Internal, ""))), 77},
	} {
		for _, asJSON := range []bool{false, true} {
			var b bytes.Buffer
			if exit := report(&b, asJSON, tt.err); exit != tt.exit || strings.Count(b.String(), "\n") != 1 {
				t.Errorf("%v: %d %q", tt.err, exit, &b)
			}
		}
	}
}

// A panic is one line and status 1.
func TestPanic(t *testing.T) {
	var stdout, stderr bytes.Buffer
	exit := execute(t.Context(), []string{"version"}, nil, nil, &stderr) // no standard output: a nil dereference
	if exit != exitInternal || strings.Count(stderr.String(), "\n") != 1 || !strings.Contains(stderr.String(), "please report it") {
		t.Errorf("%d %q %q", exit, &stdout, &stderr)
	}
}

// The marks of an axis are round, few, and reach over what is shown.
func TestTicks(t *testing.T) {
	for _, v := range []float64{0, 1e-3, 0.4, 1, 3, 7, 8.001, 48.69, 99, 100, 101, 127062, 3.6e3} {
		all := ticks(v)
		if n := len(all); n < 3 || n > 6 || all[0] != 0 || all[n-1] < v || v > 0 && all[n-2] >= v {
			t.Errorf("%v: %v", v, all)
		}
	}
	for v, want := range map[float64]string{0: "0", 500: "500", 5000: "5000", 25000: "25k", 150000: "150k", 1.5e6: "1.5M"} {
		if got := count(v); got != want {
			t.Errorf("%v: %s", v, got)
		}
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]int{"1": 1, "64KiB": 65536, "16MB": 16e6, "1 GiB": 1 << 30, "2k": 2048} {
		if got, err := size("--x", text); got != want || err != nil {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "0", "x", "-1", "4GiB", "1TiB", "99999999999999999999"} {
		if got, err := size("--x", text); err == nil {
			t.Errorf("%q: %d", text, got)
		}
	}
}

// Whatever a server begins with, judge comes to a verdict or asks for more.
func TestJudge(t *testing.T) {
	var settings, goaway bytes.Buffer
	http2.NewFramer(&settings, nil).WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 7})
	http2.NewFramer(&goaway, nil).WriteGoAway(0, http2.ErrCodeHTTP11Required, nil)
	for _, tt := range []struct {
		speaks speech
		b      string
		done   bool
		what   trouble
	}{
		{speaksHTTP2, settings.String(), true, noTrouble},
		{speaksHTTP2, settings.String()[:10], false, noTrouble},
		{speaksHTTP2, goaway.String(), false, troubleHTTP1Only},
		{speaksHTTP2, "HTTP/1.1 400 Bad Request\r\n", false, troubleHTTP1},
		{speaksHTTP2, "\x15\x03\x01\x00\x02\x02\x46", false, troubleWantsTLS},
		{speaksHTTP2, "220 mail.example", false, troubleNotHTTP2},
		{speaksTLS, "\x16\x03\x03\x00\x10", true, noTrouble},
		{speaksTLS, settings.String(), false, troubleNoTLS},
		{speaksTLS, "HTTP/1.1 400", false, troubleNoTLS},
	} {
		done, wrong := judge(tt.speaks, []byte(tt.b))
		what := noTrouble
		if wrong != nil {
			what = wrong.what
		}
		if done != tt.done || what != tt.what {
			t.Errorf("judge(%v, %q) = %v, %v", tt.speaks, tt.b, done, wrong)
		}
	}
	if got := parseSettings(settings.Bytes()); !reflect.DeepEqual(got, []http2.Setting{{ID: http2.SettingMaxConcurrentStreams, Val: 7}}) {
		t.Error(got)
	}
}

func FuzzJudge(f *testing.F) {
	f.Add([]byte("HTTP/1.1 400"), true)
	f.Add([]byte{0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 7}, false)
	f.Fuzz(func(t *testing.T, b []byte, tls bool) {
		speaks := speaksHTTP2
		if tls {
			speaks = speaksTLS
		}
		if done, wrong := judge(speaks, b); done && wrong == nil && !tls {
			parseSettings(b)
		}
	})
}
