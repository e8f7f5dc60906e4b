// Package namedpipe carries bytes between processes of one machine over named
// pipes: Win32 pipes on Windows, and elsewhere the Unix sockets that .NET maps
// pipe names to. It has the shape of package net:
//
//	l, err := namedpipe.Listen(ctx, "MyPipe")
//	c, err := namedpipe.Dial(ctx, "MyPipe")
//
// A [Listener] is a net.Listener and a [Conn] a net.Conn, so whatever runs on
// those (gRPC, net/http, TLS) runs on a pipe. The zero [ListenConfig] and
// [Dialer] are safe: only the current user gets in, clients on other machines
// are refused, and a server learns who its client is but can't act as it.
//
// # Names
//
// One spelling works on every system: a bare name such as MyPipe. On Windows it
// is the pipe \\.\pipe\MyPipe. Elsewhere it is the socket where .NET's
// NamedPipeClientStream looks for it, CoreFxPipe_MyPipe in $TMPDIR or /tmp.
// See [ResolveAddr] for the other spellings and what is refused.
//
// # Departures from package net
//
// A pipe can't be closed in one direction only. What was written before Close
// stays readable for the other end, then it reads io.EOF. A Conn has no File
// method, and on Windows its SyscallConn offers Control only.
package namedpipe
