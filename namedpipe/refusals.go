package namedpipe

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"

	"github.com/grpcpipe/grpcpipe/internal/loglimit"
)

// refusals logs the clients that a listener has refused.
type refusals struct {
	log   *slog.Logger
	pipe  string
	limit loglimit.Limiter
}

// report logs that a client, nil if nothing is known of it, was refused and why,
// unless too many were.
func (r *refusals) report(msg string, client *Peer, why error) {
	if client == nil {
		client = &Peer{}
	}
	r.limit.Warn(context.Background(), r.log, msg, func() []any {
		return []any{"pipe", r.pipe, "client", client.String(), "error", why}
	})
}

// unidentified logs that nobody can say who the client is, for which credentials
// refuse it. That it has left is no reason to warn.
func (c *Conn) unidentified(why error) {
	if c.refused == nil || errors.Is(why, io.EOF) || errors.Is(why, net.ErrClosed) {
		return
	}
	p, _ := c.processOf()
	c.refused.report("namedpipe: a client could not be identified", p, why)
}
