package fastgrpc

import (
	"errors"
	"math"
	"strconv"
	"time"
)

const maxTimeoutValue = 1e8 - 1 // eight digits

var timeoutUnits = [...]struct {
	name byte
	d    time.Duration
}{
	{'n', time.Nanosecond}, {'u', time.Microsecond}, {'m', time.Millisecond},
	{'S', time.Second}, {'M', time.Minute}, {'H', time.Hour},
}

// appendTimeout appends the value of a grpc-timeout: rounded up, so that a
// server's deadline is never before the client's.
func appendTimeout(dst []byte, d time.Duration) []byte {
	if d <= 0 {
		return append(dst, "0n"...)
	}
	for _, u := range timeoutUnits {
		v := int64(d / u.d)
		if d%u.d > 0 {
			v++
		}
		if v <= maxTimeoutValue {
			return append(strconv.AppendInt(dst, v, 10), u.name)
		}
	}
	return append(strconv.AppendInt(dst, maxTimeoutValue, 10), 'H')
}

var errTimeout = errors.New("want one to eight digits and a unit of HMSmun")

// parseTimeout reads the value of a grpc-timeout.
func parseTimeout(s string) (time.Duration, error) {
	if len(s) < 2 || len(s) > 9 {
		return 0, errTimeout
	}
	var v int64
	for _, c := range []byte(s[:len(s)-1]) {
		if c < '0' || c > '9' {
			return 0, errTimeout
		}
		v = v*10 + int64(c-'0')
	}
	for _, u := range timeoutUnits {
		if u.name == s[len(s)-1] {
			if v > int64(math.MaxInt64/u.d) {
				return math.MaxInt64, nil
			}
			return time.Duration(v) * u.d, nil
		}
	}
	return 0, errTimeout
}
