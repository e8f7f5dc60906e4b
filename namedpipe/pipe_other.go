//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly || windows)

package namedpipe

import (
	"context"
	"errors"
	"net"
	"os"
	"runtime"
	"syscall"
	"time"
)

// Systems without named pipes or Unix sockets: everything compiles and says so.

type conn struct{ net.Conn }

func (conn) SyscallConn() (syscall.RawConn, error) { return nil, errSystem }

type listener struct{}

var errSystem error = &problem{
	text:   "there are no named pipes on " + runtime.GOOS,
	causes: []error{errors.ErrUnsupported},
}

var errNameTaken, errBroken = errSystem, errSystem

func (l *Listener) start(ListenConfig) error                { return errSystem }
func (l *Listener) adopt(ListenConfig, *os.File) error      { return errSystem }
func (l *listener) share() (*os.File, error)                { return nil, errSystem }
func (l *Listener) join(ListenConfig, *Conn, offer) error   { return errSystem }
func (l *listener) begin(*Conn) error                       { return errSystem }
func (l *listener) retire(*Conn)                            {}
func (l *listener) leave()                                  {}
func (l *listener) send(*Conn) error                        { return errSystem }
func (c *Conn) receive([]byte) (*os.File, error)            { return nil, errSystem }
func (l *listener) accept() (conn, error)                   { return conn{}, errSystem }
func (l *listener) close() error                            { return errSystem }
func (l *listener) setDeadline(time.Time) error             { return errSystem }
func (l *listener) depth() (waiting, queued int)            { return 0, 0 }
func (d *Dialer) open(context.Context, *Addr) (conn, error) { return conn{}, errSystem }
func isBusy(error) bool                                     { return false }
func isMissing(error) bool                                  { return false }
func isPeerGone(error) bool                                 { return false }

func (a Access) describe() (string, error)                  { return "", errSystem }
func (t *Trust) verify(context.Context, conn, string) error { return errSystem }
func (c *Conn) identify() (*Peer, error)                    { return nil, errSystem }
func (c *Conn) impersonate(func() error) error              { return errSystem }
func lookupUser(string) (Account, error)                    { return Account{}, errSystem }
func lookupGroup(string) (Account, error)                   { return Account{}, errSystem }
func birthOf(int) (uint64, error)                           { return 0, errSystem }
func (c *Conn) processOf() (*Peer, error)                   { return nil, errSystem }
func holds(*os.Process) bool                                { return false }
func unknowable(error) bool                                 { return false }
func whoListens(string) *Peer                               { return nil }
func (p *Peer) runs(string) bool                            { return false }

type clientToken struct{}

func (clientToken) close() {}

type peekedByte struct{}

func (peekedByte) take([]byte) int { return 0 }
