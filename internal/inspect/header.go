package inspect

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc/metadata"
)

// AddHeader adds a header that the caller may send: gRPC silently drops some.
// If the name ends in -bin the value is base64. Errors don't show the value,
// which may be a secret.
func AddHeader(md metadata.MD, name, value string) error {
	name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
	switch {
	case name == "":
		return errors.New("a header has a name: write 'name: value'")
	case strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_-.") != "":
		return errors.New("a header's name has letters, digits, and _ - . only")
	case name == "content-type", name == "te", name == "user-agent":
		return fmt.Errorf("gRPC sends %s itself and would drop this one: leave it out", name)
	case strings.HasPrefix(name, "grpc-"):
		return errors.New("names that begin with grpc- are gRPC's own: choose another, or for grpc-timeout set a deadline")
	}
	if strings.HasSuffix(name, "-bin") {
		b, err := decodeBase64(value)
		if err != nil {
			return fmt.Errorf("the value of a -bin header is written in base64: %w", err)
		}
		value = string(b)
	} else if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
		return errors.New("a header's value is printable ASCII: send other bytes in a header whose name ends in -bin, in base64")
	}
	md.Append(name, value)
	return nil
}

// decodeBase64 accepts every alphabet, with and without padding.
func decodeBase64(s string) ([]byte, error) {
	s = strings.TrimRight(s, "=")
	if strings.ContainsAny(s, "-_") {
		return base64.RawURLEncoding.DecodeString(s)
	}
	return base64.RawStdEncoding.DecodeString(s)
}
