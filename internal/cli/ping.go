package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/grpcpipe/grpcpipe/internal/inspect"
)

type pingFlags struct {
	count    int
	interval time.Duration
	wait     bool
	service  string
	verbose  bool
	deadline time.Duration
}

func (a *app) pingCommand() *cobra.Command {
	var conn connFlags
	var flags pingFlags
	cmd := &cobra.Command{
		Use:   "ping TARGET",
		Short: "Connect, and say whether the server is healthy and how long each stage takes",
		Long: `Connect, wait for the server's HTTP/2 settings and ask for its health, and print
the time of each stage. Each ping is a connection of its own. A server without
a health service is fine if it answers at all.

The exit status is 0 if the last ping went well, 3 if there was no connection,
78 if the server says that it isn't serving, 69 if it doesn't know --service.`,
		Example: `  grpcpipe ping MyPipe
  grpcpipe ping MyPipe -c 5 -i 200ms
  grpcpipe ping MyPipe --wait --connect-timeout 30s && run-the-client`,
		Args:              args("TARGET"),
		ValidArgsFunction: completePipe,
		RunE: a.run(func(cmd *cobra.Command, args []string) error {
			return a.pings(cmd.Context(), &conn, flags, args[0])
		}),
	}
	f := cmd.Flags()
	f.IntVarP(&flags.count, "count", "c", 1, "how often to ping; 0 means until Ctrl-C")
	f.DurationVarP(&flags.interval, "interval", "i", time.Second, "the time from one ping to the next")
	f.BoolVar(&flags.wait, "wait", false, "wait for the server to come, for as long as --connect-timeout")
	f.StringVar(&flags.service, "service", "", "ask for the health of this service (default the whole server)")
	f.DurationVar(&flags.deadline, "deadline", 5*time.Second, "the most time for the health check")
	f.BoolVarP(&flags.verbose, "verbose", "v", false, "print who the server is and its HTTP/2 settings")
	conn.add(cmd)
	return cmd
}

// pong is the outcome of one ping.
type pong struct {
	Seq      int               `json:"seq"`
	Path     string            `json:"path"`
	Timing   timingJSON        `json:"timing_ms"` // Call is the health check
	Health   string            `json:"health"`
	Peer     *peerJSON         `json:"peer,omitempty"`
	Settings map[string]uint32 `json:"settings"`
	Total    float64           `json:"total_ms"`
}

func (a *app) pings(ctx context.Context, conn *connFlags, flags pingFlags, target string) error {
	if flags.count < 0 {
		return usage("-c %d: write how often to ping, or 0 for until Ctrl-C", flags.count)
	}
	if err := errors.Join(positive("--interval", flags.interval), positive("--deadline", flags.deadline)); err != nil {
		return err
	}
	var last error
	for seq := 1; flags.count == 0 || seq <= flags.count; seq++ {
		next := time.After(flags.interval)
		last = a.ping(ctx, conn, flags, target, seq)
		if f := asFailure(last); f != nil && f.exit == exitUsage || ctx.Err() != nil {
			break
		}
		if seq == flags.count {
			break
		}
		if last != nil {
			report(a.stderr, a.json(), last)
		}
		select {
		case <-next:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
	}
	if ctx.Err() != nil && flags.count == 0 {
		return nil // Ctrl-C is how this ends
	}
	return last
}

func (a *app) ping(ctx context.Context, conn *connFlags, flags pingFlags, target string, seq int) error {
	began := time.Now()
	s, err := conn.connect(ctx, target, flags.wait)
	if err != nil {
		return err
	}
	defer s.Close()
	ctx, cancel := context.WithTimeout(ctx, flags.deadline)
	defer cancel()
	asked := time.Now()
	answer, err := s.Health(ctx, flags.service)
	took := time.Since(asked)
	health := answer.String()
	switch {
	case status.Code(err) == codes.Unimplemented:
		health, err = "NO_HEALTH_SERVICE", nil
	case err != nil:
		return s.StatusError("health", false, err)
	case answer != healthpb.HealthCheckResponse_SERVING:
		err = &failure{exit: exitStatus + int(codes.Unavailable), err: fmt.Errorf("the server says that it is %s", health), hint: "see its log"}
	}
	st := s.Stages()
	p := pong{
		Seq: seq, Path: s.Addr(), Timing: timingJSON{ms(st.Open), ms(st.Wait), ms(st.TLS), ms(st.Settings), ms(took)},
		Health: health, Peer: peerAsJSON(s.Addr(), s.Peer()), Settings: map[string]uint32{}, Total: ms(time.Since(began)),
	}
	for _, setting := range s.Settings() {
		p.Settings[setting.ID.String()] = setting.Val
	}
	if a.json() {
		return errors.Join(err, a.printJSON(p))
	}
	a.printPong(s, st, p, took, flags.verbose)
	return err
}

func (a *app) printPong(s *inspect.Session, st inspect.Stages, p pong, took time.Duration, verbose bool) {
	if verbose && p.Seq == 1 {
		fmt.Fprintf(a.stdout, "path      %s\n", p.Path)
		if peer := s.Peer(); peer != nil {
			fmt.Fprintf(a.stdout, "server    %s\n", peer)
		}
		for _, setting := range s.Settings() {
			fmt.Fprintf(a.stdout, "setting   %s = %d\n", setting.ID, setting.Val)
		}
	}
	color := painter(a.wantsColor(a.stdout))
	health := p.Health
	if health == "SERVING" {
		health = color.green(health)
	} else {
		health = color.yellow(health)
	}
	var tls string
	if st.TLS > 0 {
		tls = "tls " + span(st.TLS) + ", "
	}
	fmt.Fprintf(a.stdout, "%d: %s  open %s, wait %s, %ssettings %s, health %s\n", p.Seq, health, span(st.Open), span(st.Wait), tls, span(st.Settings), span(took))
}
