package cli

import (
	"encoding/json"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/grpcpipe/grpcpipe/internal/inspect"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// envelope is what `call --full` prints.
type envelope struct {
	Target         string              `json:"target"`
	Method         string              `json:"method"`
	Peer           *peerJSON           `json:"peer,omitempty"`
	RequestHeaders map[string][]string `json:"request_headers"`
	Headers        map[string][]string `json:"headers"`
	Messages       []json.RawMessage   `json:"messages"`
	Trailers       map[string][]string `json:"trailers"`
	Status         map[string]any      `json:"status"`
	Timing         timingJSON          `json:"timing_ms"`
}

// peerJSON is who the server is. Proven parts and hints are as in
// namedpipe.Peer.
type peerJSON struct {
	Path       string `json:"path"`
	User       string `json:"user,omitempty"`
	UserID     string `json:"user_id,omitempty"`
	SameUser   bool   `json:"same_user"`
	PID        int    `json:"pid,omitempty"`
	Executable string `json:"executable,omitempty"`
	UserProven bool   `json:"user_proven"`
	PIDProven  bool   `json:"pid_proven"`
}

type timingJSON struct {
	Open     float64 `json:"open"`
	Wait     float64 `json:"wait"`
	TLS      float64 `json:"tls,omitempty"`
	Settings float64 `json:"settings"`
	Call     float64 `json:"call"`
}

func peerAsJSON(path string, p *namedpipe.Peer) *peerJSON {
	if p == nil {
		return &peerJSON{Path: path}
	}
	return &peerJSON{
		Path: path, User: p.User.Name, UserID: p.User.ID, SameUser: p.SameUser, PID: p.PID,
		Executable: p.Executable, UserProven: p.UserProven, PIDProven: p.PIDProven,
	}
}

// printFull prints the envelope of a call that the server has ended, with
// whatever status. err is the call's.
func (r *callRun) printFull(err error) error {
	if !r.flags.full {
		return nil
	}
	st := status.New(codes.OK, "")
	if f := asFailure(err); f != nil {
		if f.rpc == nil {
			return nil // it is the user's data that was wrong
		}
		st = f.rpc
	}
	t := r.session.Stages()
	e := envelope{
		Target: r.session.Target(), Method: inspect.MethodPath(r.method)[1:], Peer: peerAsJSON(r.session.Addr(), r.session.Peer()),
		RequestHeaders: headersJSON(withoutSecrets(r.sent)), Headers: headersJSON(r.headers), Messages: r.out.kept, Trailers: headersJSON(r.trailer),
		Status: statusJSON(st), Timing: timingJSON{ms(t.Open), ms(t.Wait), ms(t.TLS), ms(t.Settings), ms(r.took)},
	}
	if e.Messages == nil {
		e.Messages = []json.RawMessage{}
	}
	if r.app.json() {
		return r.app.printJSON(e)
	}
	b, jerr := json.Marshal(e)
	if jerr != nil {
		return internal(jerr)
	}
	_, werr := r.app.stdout.Write(append(indented(b), '\n'))
	return werr
}
