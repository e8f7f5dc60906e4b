package cli

import (
	"bufio"
	"fmt"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc/status"

	"github.com/grpcpipe/grpcpipe/internal/inspect"
)

// A callLog writes each call of a bench as a row of CSV.
type callLog struct {
	mu sync.Mutex
	w  *bufio.Writer
}

func newCallLog(w io.Writer) *callLog {
	l := &callLog{w: bufio.NewWriterSize(w, 64<<10)}
	l.w.WriteString("began,latency_us,status\r\n") // end has the error
	return l
}

// add writes a call.
func (l *callLog) add(due time.Time, took time.Duration, err error) {
	code := inspect.CodeName(status.Code(err))
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(l.w, "%s,%.3f,%s\r\n", due.UTC().Format(time.RFC3339Nano), us(took), code)
}

func (l *callLog) end() error { return l.w.Flush() }
