package ui

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/grpcpipe/grpcpipe/internal/inspect"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// options are the page's settings for a server or a call.
type options struct {
	Headers   [][2]string `json:"headers,omitempty"`
	Deadline  string      `json:"deadline,omitempty"`
	TLS       bool        `json:"tls,omitempty"`
	Insecure  bool        `json:"insecure,omitempty"`
	CACert    string      `json:"caCert,omitempty"`
	Authority string      `json:"authority,omitempty"`
	Trust     bool        `json:"trust,omitempty"`
}

// Words say how remedies are carried out on the page.
var Words = inspect.Words{
	AddTLS: "switch TLS on", DropTLS: "switch TLS off", TrustServer: "trust this server, which the page then asks about",
	CACert: "name the file of the CA", ServerName: "set the :authority", MoreTime: "try again",
	Deadline: "give the call more time", Authority: "leave the :authority empty",
	ReflectHeader: "add the header that the server wants", List: "go back to the list of pipes", Wait: "start the server and try again",
	Services: "choose a method on the left",
}

func usage(format string, args ...any) error {
	return &inspect.Error{Kind: inspect.Usage, Err: fmt.Errorf(format, args...)}
}

// metadata returns the headers as gRPC sends them.
func (o options) metadata() (metadata.MD, error) {
	md := metadata.MD{}
	for _, h := range o.Headers {
		if h[0] == "" && h[1] == "" {
			continue // an empty row
		}
		if err := inspect.AddHeader(md, h[0], h[1]); err != nil {
			return nil, err
		}
	}
	return md, nil
}

// deadline returns the time limit of a call, 0 for none.
func (o options) deadline() (time.Duration, error) {
	if o.Deadline == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(o.Deadline)
	if err != nil || d <= 0 {
		return 0, usage("deadline %q: write a time such as 500ms or 5s", o.Deadline)
	}
	return d, nil
}

// config returns how to reach the target.
func (u *UI) config(target string, o options) (inspect.Config, error) {
	cfg := u.cfg.Base
	cfg.Target, cfg.Authority = target, o.Authority
	headers, err := o.metadata()
	if err != nil {
		return cfg, err
	}
	cfg.Demanded = headers
	if o.Trust {
		cfg.Trust = namedpipe.Trust{Anyone: true}
	}
	if o.TLS {
		cfg.TLS = &tls.Config{InsecureSkipVerify: o.Insecure}
		if o.CACert != "" {
			pem, err := os.ReadFile(o.CACert)
			if err != nil {
				return cfg, usage("CA file: %w", err)
			}
			cfg.TLS.RootCAs = x509.NewCertPool()
			if !cfg.TLS.RootCAs.AppendCertsFromPEM(pem) {
				return cfg, usage("CA file %s: there is no certificate in PEM form in it", o.CACert)
			}
		}
	}
	return cfg, nil
}

// A session is a connection to a server, shared by calls.
type session struct {
	*inspect.Session
	schema *inspect.Schema
	stop   context.CancelFunc // ends the schema's reflection
	users  sync.WaitGroup
}

// retire closes the session once no call uses it. The session must have been
// removed from the map.
func (s *session) retire() {
	go func() {
		s.users.Wait()
		s.schema.Close()
		s.stop()
		s.Close()
	}()
}

// key identifies a session. Headers belong to a call, but a server may want
// them for its reflection too.
func key(target string, o options) string {
	o.Deadline = ""
	b, _ := json.Marshal(o) // strings and booleans can't fail
	return target + "\n" + string(b)
}

// connect makes a session, replacing an existing one.
func (u *UI) connect(ctx context.Context, target string, o options) (*session, error) {
	cfg, err := u.config(target, o)
	if err != nil {
		return nil, err
	}
	conn, err := inspect.Dial(ctx, cfg)
	if err != nil {
		return nil, err
	}
	life, stop := context.WithCancel(context.Background())
	schema, err := conn.Schema(life, inspect.Source{})
	if err != nil {
		stop()
		conn.Close()
		return nil, err
	}
	s := &session{Session: conn, schema: schema, stop: stop}
	u.mu.Lock()
	defer u.mu.Unlock()
	if old := u.sessions[key(target, o)]; old != nil {
		old.retire()
	}
	u.sessions[key(target, o)] = s
	s.users.Add(1)
	return s, nil
}

// use returns the session for the target and connects if necessary. The caller
// calls users.Done.
func (u *UI) use(ctx context.Context, target string, o options) (*session, error) {
	u.mu.Lock()
	s := u.sessions[key(target, o)]
	if s != nil {
		s.users.Add(1)
	}
	u.mu.Unlock()
	if s != nil {
		return s, nil
	}
	return u.connect(ctx, target, o)
}

// opened is what the page shows of a server, or why there is nothing to show.
type opened struct {
	Server    *serverInfo `json:"server,omitempty"`
	Findings  []finding   `json:"findings,omitempty"`
	Error     *problem    `json:"error,omitempty"`
	Untrusted bool        `json:"untrusted,omitempty"`
}

type finding struct {
	Check string `json:"check"`
	OK    bool   `json:"ok"`
	Text  string `json:"text"`
	Next  string `json:"next,omitempty"`
}

type serverRequest struct {
	Target  string  `json:"target"`
	Options options `json:"options"`
	Method  string  `json:"method"`
}

// open makes a new connection and describes the server; if that fails it finds
// out why.
func (u *UI) open(ctx context.Context, in serverRequest) (*opened, error) {
	s, err := u.connect(ctx, in.Target, in.Options)
	if err == nil {
		defer s.users.Done()
		var info *serverInfo
		if info, err = describe(s); err == nil {
			return &opened{Server: info}, nil
		}
	}
	var untrusted *namedpipe.TrustError
	out := &opened{Error: problemOf(err), Untrusted: errors.As(err, &untrusted)}
	cfg, cerr := u.config(in.Target, in.Options)
	if cerr != nil {
		return out, nil
	}
	for _, f := range inspect.Examine(ctx, cfg, nil).Findings {
		check := f.Check
		if f.Pipe != "" {
			check = f.Pipe + " " + check
		}
		out.Findings = append(out.Findings, finding{check, f.Result == inspect.OK, f.Text, f.Next})
	}
	return out, nil
}
