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
		Short: "Connect, and print whether the server is healthy and how long each stage takes",
		Long: `Connect, wait for the server's HTTP/2 settings, check its health, and print the
time of each stage. Each ping is a connection of its own. A server without a
health service counts as healthy if it answers.

Several pings end with a summary.

The exit status is 0 if the last ping went well, 3 if there was no connection,
78 if the server says that it isn't serving, 69 if it doesn't know --service.`,
		Example: `  grpcpipe ping MyPipe
  grpcpipe ping MyPipe -n 5 -i 200ms
  grpcpipe ping MyPipe --wait --connect-timeout 30s && run-the-client`,
		Args:              args("TARGET"),
		ValidArgsFunction: completePipe,
		RunE: a.run(func(cmd *cobra.Command, args []string) error {
			return a.pings(cmd.Context(), &conn, flags, args[0])
		}),
	}
	f := cmd.Flags()
	f.IntVarP(&flags.count, "count", "n", 1, "number of pings; 0 goes on until Ctrl-C")
	durationVar(f, &flags.interval, "interval", "i", time.Second, "time from one ping to the next")
	f.BoolVar(&flags.wait, "wait", false, "wait for the server to start, for as long as --connect-timeout")
	f.StringVar(&flags.service, "service", "", "service whose health to check (default the whole server)")
	durationVar(f, &flags.deadline, "deadline", "", 5*time.Second, "timeout of the health check")
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
		return usage("-n %d: write the number of pings, or 0 to go on until Ctrl-C", flags.count)
	}
	if err := errors.Join(positive("--interval", flags.interval), positive("--deadline", flags.deadline)); err != nil {
		return err
	}
	sum := &pingSummary{}
	last := a.pingAll(ctx, conn, flags, target, sum)
	if flags.count != 1 && sum.Sent > 1 {
		if err := a.printPingSummary(sum); err != nil {
			return err
		}
	}
	if ctx.Err() != nil && flags.count == 0 {
		return nil // Ctrl-C is how this ends
	}
	return last
}

// pingAll pings until there were enough and returns the last one's error.
func (a *app) pingAll(ctx context.Context, conn *connFlags, flags pingFlags, target string, sum *pingSummary) (last error) {
	for seq := 1; flags.count == 0 || seq <= flags.count; seq++ {
		next := time.After(flags.interval)
		var total time.Duration
		total, last = a.ping(ctx, conn, flags, target, seq)
		if f := asFailure(last); f != nil && f.exit == exitUsage || ctx.Err() != nil {
			return last
		}
		sum.add(total, last)
		if seq == flags.count {
			return last
		}
		if last != nil {
			report(a.stderr, a.json(), last)
		}
		select {
		case <-next:
		case <-ctx.Done():
			return last
		}
	}
	return last
}

// pingSummary is the outcome of several pings. The times are those of pings that
// were answered, connecting included.
type pingSummary struct {
	Sent     int     `json:"sent"`
	Answered int     `json:"answered"`
	Failed   int     `json:"failed"`
	Min      float64 `json:"min_ms"`
	Mean     float64 `json:"mean_ms"`
	Max      float64 `json:"max_ms"`

	total time.Duration
}

func (s *pingSummary) add(took time.Duration, err error) {
	s.Sent++
	if err != nil {
		s.Failed++
		return
	}
	s.Answered++
	s.total += took
	if t := ms(took); s.Answered == 1 {
		s.Min, s.Max = t, t
	} else {
		s.Min, s.Max = min(s.Min, t), max(s.Max, t)
	}
	s.Mean = ms(s.total) / float64(s.Answered)
}

func (a *app) printPingSummary(s *pingSummary) error {
	if a.json() {
		return a.printJSON(map[string]any{"summary": s})
	}
	text := fmt.Sprintf("%d sent, %d answered, %d failed", s.Sent, s.Answered, s.Failed)
	if s.Answered > 0 {
		at := func(v float64) string { return span(time.Duration(v * 1e6)) }
		text += fmt.Sprintf(": min %s, mean %s, max %s", at(s.Min), at(s.Mean), at(s.Max))
	}
	_, err := fmt.Fprintln(a.stdout, text)
	return err
}

// ping pings once and returns how long it took, connecting included.
func (a *app) ping(ctx context.Context, conn *connFlags, flags pingFlags, target string, seq int) (time.Duration, error) {
	began := time.Now()
	s, err := conn.connect(ctx, target, flags.wait)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	ctx, cancel := context.WithTimeout(ctx, flags.deadline)
	defer cancel()
	asked := time.Now()
	answer, err := s.Health(ctx, flags.service)
	took, total := time.Since(asked), time.Since(began)
	health := answer.String()
	switch {
	case status.Code(err) == codes.Unimplemented:
		health, err = "NO_HEALTH_SERVICE", nil
	case err != nil:
		return total, s.StatusError("health", false, err)
	case answer != healthpb.HealthCheckResponse_SERVING:
		err = &failure{exit: exitStatus + int(codes.Unavailable), err: fmt.Errorf("the server says that it is %s", health), hint: "see its log"}
	}
	st := s.Stages()
	p := pong{
		Seq: seq, Path: s.Addr(), Timing: timingJSON{ms(st.Open), ms(st.Wait), ms(st.TLS), ms(st.Settings), ms(took)},
		Health: health, Peer: peerAsJSON(s.Addr(), s.Peer()), Settings: map[string]uint32{}, Total: ms(total),
	}
	for _, setting := range s.Settings() {
		p.Settings[setting.ID.String()] = setting.Val
	}
	if a.json() {
		return total, errors.Join(err, a.printJSON(p))
	}
	a.printPong(s, st, p, took, flags.verbose)
	return total, err
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
