package fastgrpc

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/grpcpipe/grpcpipe/internal/h2"
)

func FuzzTimeout(f *testing.F) {
	for _, s := range []string{"1H", "99999999n", "0S", "1", "", "-1S", "123456789m", "99999999H"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := parseTimeout(s)
		if err != nil {
			return
		}
		if d < 0 {
			t.Fatalf("%q is %v", s, d)
		}
		again, err := parseTimeout(string(appendTimeout(nil, d)))
		if err != nil || again < d || float64(again-d) > float64(d)/1000 && again-d > time.Microsecond {
			t.Fatalf("%q is %v, and %v (%v) when sent on", s, d, again, err)
		}
	})
}

func FuzzMessage(f *testing.F) {
	for _, s := range []string{"", "plain", "50 %", "%41%zz%", "\t\x00\x7f", "žluťoučký", "\xff\xfe", "%F0%9F%98%80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		sent := encodeMessage(s)
		if i := strings.IndexFunc(sent, func(r rune) bool { return r < ' ' || r > '~' }); i >= 0 {
			t.Fatalf("%q is sent as %q", s, sent)
		}
		if got, want := decodeMessage(sent), string([]rune(s)); got != want {
			t.Fatalf("%q arrives as %q, want %q", s, got, want)
		}
		decodeMessage(s) // whatever it is
	})
}

func FuzzBinary(f *testing.F) {
	for _, s := range []string{"", "AQI", "AQI=", "AQI, AwQ=", ",", "A", "!", "AQI=="} {
		f.Add(s, []byte(s))
	}
	f.Fuzz(func(t *testing.T, s string, b []byte) {
		md := map[string][]string{}
		addReceived(md, h2.Field{Name: "x-bin", Value: s}) // whatever it is
		raw, padded := base64.RawStdEncoding.EncodeToString(b), base64.StdEncoding.EncodeToString(b)
		md = map[string][]string{}
		if err := addReceived(md, h2.Field{Name: "x-bin", Value: raw + " ," + padded}); err != nil {
			t.Fatal(err)
		}
		if got := md["x-bin"]; len(got) != 2 || got[0] != string(b) || got[1] != string(b) {
			t.Fatalf("%x arrives as %q", b, got)
		}
	})
}
