package inspect

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/grpcpipe/grpcpipe/internal/follow"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

const (
	// detailTimeout is the time limit for opening one pipe, and detailsAtOnce
	// is how many are opened at the same time.
	detailTimeout = time.Second
	detailsAtOnce = 8
)

// The states of a pipe.
const (
	Listening = "listening"
	Stale     = "stale"   // a socket that a killed server left behind
	Unknown   = "unknown" // the system doesn't say
)

// A Pipe is a pipe of this machine.
type Pipe struct {
	Name  string `json:"name"`
	Path  string `json:"path"`
	State string `json:"state"`
	// Instances and MaxInstances are 0 where pipes have no instances;
	// MaxInstances is negative if there is no limit.
	Instances    int      `json:"instances,omitempty"`
	MaxInstances int      `json:"max_instances,omitempty"`
	Details      *Details `json:"details,omitempty"`
}

// Details are what can be learned only by opening a pipe.
type Details struct {
	Owner      string `json:"owner,omitempty"`
	Access     string `json:"access,omitempty"`
	PID        int    `json:"pid,omitempty"`
	Executable string `json:"executable,omitempty"`
	Error      string `json:"error,omitempty"`
}

// Pipes lists the pipes whose names match a pattern, in order, without opening
// any.
func Pipes(pattern string) ([]Pipe, error) {
	entries, err := follow.System.List(pattern)
	if err != nil {
		return nil, err
	}
	state := states()
	pipes := make([]Pipe, 0, len(entries))
	for _, e := range entries {
		pipes = append(pipes, Pipe{Name: e.Name, Path: e.Path, State: state(e.Path), Instances: e.Instances, MaxInstances: e.MaxInstances})
	}
	slices.SortFunc(pipes, func(a, b Pipe) int { return strings.Compare(a.Name, b.Name) })
	return pipes, nil
}

// AddDetails sets the details of each pipe. It opens each pipe, which takes an
// instance of it for a moment, and sends nothing. Stale pipes are not opened.
func AddDetails(ctx context.Context, pipes []Pipe) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, detailsAtOnce)
	for i := range pipes {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if pipes[i].State == Stale {
				pipes[i].Details = &Details{Access: accessOf(pipes[i].Path, nil)}
				return
			}
			pipes[i].Details = lookInto(ctx, pipes[i].Path)
		})
	}
	wg.Wait()
}

func lookInto(ctx context.Context, path string) *Details {
	ctx, cancel := context.WithTimeout(ctx, detailTimeout)
	defer cancel()
	d := &Details{}
	c, err := anyServer.Dial(ctx, path)
	d.Access = accessOf(path, c)
	if err != nil {
		d.Error = BareText(err)
		return d
	}
	defer c.Close()
	p, err := c.Peer()
	if err != nil {
		d.Error = BareText(err)
		return d
	}
	d.Owner, d.PID, d.Executable = p.User.String(), p.PID, p.Executable
	return d
}

// anyServer trusts every server: the pipe is opened only to see who is behind
// it.
var anyServer = namedpipe.Dialer{Server: namedpipe.Trust{Anyone: true}, ImpersonationLevel: namedpipe.Anonymous}

// BareText returns an error's text without the operation and the path, for
// places that show the path anyway.
func BareText(err error) string {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return err.Error()
}
