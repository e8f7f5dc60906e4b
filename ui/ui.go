// Package ui is the page of `grpcpipe ui` as an http.Handler, for programs that
// want to show it in a window of their own.
//
//	lis, err := net.Listen("tcp", "127.0.0.1:0")
//	if err != nil {
//		return err
//	}
//	page := ui.New(ui.Config{Hosts: []string{lis.Addr().String()}})
//	defer page.Close()
//	go http.Serve(lis, page)
//	show("http://" + lis.Addr().String() + "/#" + page.Token())
//
// Loopback is open to every user of the machine and to every page in a browser.
// So the page answers to its own Host and Origin only, and to nobody who has not
// spent a token: a secret that is good once and opens one tab. Whoever opens it
// can call every server that this process can.
package ui

import (
	"net/http"

	"github.com/grpcpipe/grpcpipe/internal/inspect"
	"github.com/grpcpipe/grpcpipe/internal/ui"
)

// A Config holds options for a page. Hosts is required.
type Config struct {
	// Hosts are the values of the Host header that the page answers, such as
	// 127.0.0.1:7000.
	Hosts []string

	// Dir is the directory for saved requests and the history, made when there
	// is something to write. If it is empty nothing is kept.
	Dir string

	// Probe lets the list of pipes query each of this user's servers for its
	// services. Otherwise only servers that the user opens are sent anything.
	// On Windows, where the pipes of the whole system are listed, leave it off.
	Probe bool
}

// A Page is an http.Handler that serves the page at /. Its methods are safe for
// concurrent use. The caller must call Close.
type Page struct{ page *ui.UI }

// New makes a page.
func New(cfg Config) *Page {
	return &Page{ui.New(ui.Config{Hosts: cfg.Hosts, Dir: cfg.Dir, Probe: cfg.Probe, Base: inspect.Config{Words: ui.Words}})}
}

// ServeHTTP serves the page and the requests that it makes.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.page.ServeHTTP(w, r) }

// Token returns a new token, which belongs behind the # of the page's address.
func (p *Page) Token() string { return p.page.Token() }

// Close ends all calls and connections of the page.
func (p *Page) Close() { p.page.Close() }
