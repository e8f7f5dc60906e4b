package inspect

import (
	"bytes"
	"slices"
	"testing"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
)

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
		if got := Nearest(tt.name, names, 3); !slices.Equal(got, tt.want) {
			t.Errorf("Nearest(%q) = %q", tt.name, got)
		}
	}
}

func TestCodeNames(t *testing.T) {
	for code, want := range map[codes.Code]string{codes.OK: "OK", codes.Canceled: "CANCELLED", codes.NotFound: "NOT_FOUND", codes.Unauthenticated: "UNAUTHENTICATED", 99: "Code(99)"} {
		if got := CodeName(code); got != want {
			t.Errorf("%d: %q, want %q", code, got, want)
		}
	}
}

// A server's settings are read once they are there.
func TestParseSettings(t *testing.T) {
	var frame bytes.Buffer
	want := []http2.Setting{{ID: http2.SettingMaxConcurrentStreams, Val: 7}, {ID: http2.SettingInitialWindowSize, Val: 1 << 20}}
	http2.NewFramer(&frame, nil).WriteSettings(want...)
	for n := range frame.Len() {
		if all, whole := parseSettings(frame.Bytes()[:n]); whole {
			t.Errorf("%d bytes: %v", n, all)
		}
	}
	frame.WriteString("and what follows")
	if got, whole := parseSettings(frame.Bytes()); !whole || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, whole)
	}
}

func FuzzParseSettings(f *testing.F) {
	f.Add([]byte("\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, whole := parseSettings(b[:min(len(b), maxSettings)]); !whole && len(b) >= maxSettings {
			t.Error("as much as is kept and not enough")
		}
	})
}

func TestIsSecret(t *testing.T) {
	for name, want := range map[string]bool{
		"authorization": true, "Proxy-Authorization": true, "set-cookie": true, "x-api-key": true, "user_token": true, "userToken": true, "accessKey": true,
		"password": true, "client_secret": true, "tenant": false, "author": false, ":authority": false, "key": false, "tokenizer": false, "x-request-id": false,
	} {
		if got := IsSecret(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
