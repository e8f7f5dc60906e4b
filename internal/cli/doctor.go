package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/internal/follow"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// busyTimeout is how long doctor waits for a free instance.
const busyTimeout = 2 * time.Second

// A finding is the outcome of one of doctor's checks.
type finding struct {
	Check  string `json:"check"`
	Result string `json:"result"` // ok, warning or trouble
	Text   string `json:"text"`
	Next   string `json:"next,omitempty"`
}

// A doctor examines one target.
type doctor struct {
	app    *app
	conn   *connFlags
	target string
	path   string // "" over a network

	findings []finding
	exit     int
}

func (a *app) doctorCommand() *cobra.Command {
	var conn connFlags
	cmd := &cobra.Command{
		Use:   "doctor TARGET",
		Short: "Find out why a server can't be reached, and what to do about it",
		Long: `Find out why a server can't be reached. doctor looks at the name, whether the
pipe is there, whether it is busy, whom it admits, who its owner is, whether it
speaks HTTP/2 or TLS, which :authority it takes, its health and its reflection.
Every trouble comes with the next step.

It connects several times, and so takes instances of the pipe for a moment. The
exit status is 0 if there is no trouble (warnings don't count), 3 if the server
can't be reached, or 64 plus the status of the call that failed.`,
		Example: `  grpcpipe doctor MyPipe
  grpcpipe doctor MyPipe -o json`,
		Args:              args("TARGET"),
		ValidArgsFunction: completePipe,
		RunE: a.run(func(cmd *cobra.Command, args []string) error {
			d := &doctor{app: a, conn: &conn, target: args[0]}
			if _, err := conn.trust(); err != nil {
				return err
			}
			if err := positive("--connect-timeout", conn.connectTimeout); err != nil {
				return err
			}
			d.examine(cmd.Context())
			return d.conclude()
		}),
	}
	conn.add(cmd)
	return cmd
}

func (d *doctor) ok(check, format string, args ...any) {
	d.add(finding{Check: check, Result: "ok", Text: fmt.Sprintf(format, args...)})
}

func (d *doctor) warn(check, text, next string) {
	d.add(finding{Check: check, Result: "warning", Text: text, Next: next})
}

func (d *doctor) trouble(exit int, check, text, next string) {
	if d.exit == exitOK {
		d.exit = exit
	}
	d.add(finding{Check: check, Result: "trouble", Text: text, Next: next})
}

// add keeps a finding and shows it to a person at once.
func (d *doctor) add(f finding) {
	f.Text, f.Next = oneLine(f.Text), oneLine(f.Next)
	d.findings = append(d.findings, f)
	if d.app.json() {
		return
	}
	p := painter(d.app.wantsColour(d.app.stdout))
	mark := map[string]string{"ok": p.green("ok     "), "warning": p.yellow("warning"), "trouble": p.red("trouble")}[f.Result]
	room := math.MaxInt
	if isTerminal(d.app.stdout) {
		room = max(width(d.app.stdout)-margin, 20)
	}
	indent := "\n" + strings.Repeat(" ", margin)
	fmt.Fprintf(d.app.stdout, "%s  %-10s  %s\n", mark, f.Check, strings.Join(wrap(f.Text, room), indent))
	if f.Next != "" {
		next := strings.Join(wrap("next: "+f.Next, room), indent)
		fmt.Fprintf(d.app.stdout, "%s%s\n", indent[1:], strings.Replace(next, "next:", p.bold("next:"), 1))
	}
}

// margin is where the text of a finding begins.
const margin = 21

// wrap breaks a text into lines of at most room letters, at spaces.
func wrap(text string, room int) (lines []string) {
	for utf8.RuneCountInString(text) > room {
		head := string([]rune(text)[:room+1])
		at := strings.LastIndexByte(head, ' ')
		if at <= 0 {
			if at = strings.IndexByte(text, ' '); at < 0 {
				break
			}
		}
		lines, text = append(lines, text[:at]), text[at+1:]
	}
	return append(lines, text)
}

func (d *doctor) conclude() error {
	if d.app.json() {
		err := d.app.printJSON(map[string]any{"target": d.target, "path": d.path, "ok": d.exit == exitOK, "checks": d.findings})
		if err != nil {
			return err
		}
	}
	if d.exit != exitOK {
		return alreadyTold(d.exit)
	}
	return nil
}

// examine goes from the name to the calls and stops where it can't go on.
func (d *doctor) examine(ctx context.Context) {
	addr, err := addressOf(ctx, d.target)
	if err != nil {
		text := strings.TrimPrefix(err.Error(), "grpcpipe: ")
		d.trouble(exitUsage, "name", text, "write the name as the text says; `grpcpipe help` lists the spellings")
		return
	}
	pipe, _ := isPipe(d.target) // it has just been parsed
	if !pipe {
		d.ok("name", "%s is not a pipe but the network address %s", d.target, addr)
	} else {
		if addr == "npipe:" {
			d.trouble(exitConnect, "there", nothingFits(d.target).Error(), "start the server")
			return
		}
		d.path = addr
		d.ok("name", "%s is %s", d.target, addr)
		if !d.examinePipe(ctx) {
			return
		}
	}
	d.examineServer(ctx)
}

// addressOf is the first address that a target stands for. It is the library
// that knows; nothing is connected to.
func addressOf(ctx context.Context, target string) (string, error) {
	found := make(chan string, 1)
	catch := func(_ context.Context, addr string) (net.Conn, error) {
		select {
		case found <- addr:
		default:
		}
		return nil, errors.New("only looking")
	}
	cc, err := grpcpipe.NewClient(target, grpc.WithContextDialer(catch), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return "", err
	}
	defer cc.Close()
	cc.Connect()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	select {
	case addr := <-found:
		return addr, nil
	case <-ctx.Done():
		return "", fmt.Errorf("%s: no address found for it: check the name", target)
	}
}

// examinePipe opens the pipe and looks who is behind it.
func (d *doctor) examinePipe(ctx context.Context) bool {
	limit, cancel := context.WithTimeout(ctx, min(busyTimeout, d.conn.connectTimeout))
	defer cancel()
	anyone := namedpipe.Dialer{Server: namedpipe.Trust{Anyone: true}, ImpersonationLevel: namedpipe.Anonymous}
	c, err := anyone.Dial(limit, d.path)
	if err != nil {
		d.notOpened(ctx, err)
		return false
	}
	defer c.Close()
	d.ok("there", "it could be opened")
	if who := accessOf(d.path, c); who != "" {
		d.ok("access", "it admits %s; you are %s", who, whoAmI())
	}
	return d.examineOwner(ctx, c)
}

// examineOwner holds the server against the rule that the client would use.
func (d *doctor) examineOwner(ctx context.Context, c *namedpipe.Conn) bool {
	limit, cancel := context.WithTimeout(ctx, min(busyTimeout, d.conn.connectTimeout))
	defer cancel()
	trust, err := d.conn.trust()
	if err != nil {
		return false // it was checked
	}
	trusting := namedpipe.Dialer{Server: trust, ImpersonationLevel: namedpipe.Anonymous}
	second, err := trusting.Dial(limit, d.path)
	switch {
	case errors.Is(err, fs.ErrPermission):
		d.trouble(exitConnect, "owner", trustWords.Replace(bareText(err))+fmt.Sprintf("; you are %s", whoAmI()),
			"if that server is the right one, say --server user=NAME, or --server any, and in a program namedpipe.Trust")
		return false
	case errors.Is(err, context.DeadlineExceeded):
		d.warn("owner", "the pipe could be opened once and not a second time: it has few instances", "raise ListenConfig.Instances, or accept faster")
	case err != nil:
		d.notOpened(ctx, err)
		return false
	default:
		second.Close()
	}
	if p, err := c.Peer(); err == nil {
		d.ok("owner", "the server is %s", p)
	}
	return true
}

// notOpened explains why a pipe could not be opened.
func (d *doctor) notOpened(ctx context.Context, err error) {
	text := bareText(err)
	switch {
	case isStale(err):
		d.trouble(exitConnect, "there", "a socket is there and nobody listens on it: its server was killed, as a .NET service is that has crashed or was stopped hard, and has left it behind",
			"start the server again: it takes the name over; then look at why it ended, in its log")
	case errors.Is(err, fs.ErrNotExist):
		d.missing(ctx, text)
	case errors.Is(err, context.DeadlineExceeded):
		d.trouble(exitConnect, "busy", text, "see whether the server hangs (its log, a debugger), is gone while old clients hold the pipe (end them), or needs more instances")
	case errors.Is(err, fs.ErrPermission):
		d.trouble(exitConnect, "access", fmt.Sprintf("access denied: you are %s, and %s", whoAmI(), denied(d.path)),
			"run as a user it admits, or let the server admit you: in Go ListenConfig.Access, in Kestrel NamedPipeTransportOptions.PipeSecurity or CurrentUserOnly = false")
	default:
		d.trouble(exitConnect, "there", text, "mend what the text says and try again")
	}
}

// missing looks where a pipe that isn't there might be instead.
func (d *doctor) missing(ctx context.Context, text string) {
	if found, next := elsewhere(ctx, d.path); found != "" {
		d.trouble(exitConnect, "there", text+"; "+found, next)
		return
	}
	entries, err := follow.System.List("*")
	if err != nil {
		d.trouble(exitConnect, "there", text+"; similar names can't be looked for: "+err.Error(), "start the server, or check the name")
		return
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name)
	}
	own := d.path[strings.LastIndexAny(d.path, `/\`)+1:]
	if near := nearest(strings.TrimPrefix(own, "CoreFxPipe_"), names, 3); len(near) > 0 {
		d.trouble(exitConnect, "there", text+"; there is "+strings.Join(near, ", "), "write the right name, or start the server")
		return
	}
	d.trouble(exitConnect, "there", text, "start the server; `grpcpipe ls` lists the pipes there are, `grpcpipe ping TARGET --wait` waits for one")
}
