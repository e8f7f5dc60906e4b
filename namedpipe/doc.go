// Package namedpipe connects processes of one machine over named pipes: Win32
// pipes on Windows and, elsewhere, the Unix sockets to which .NET maps pipe
// names. Its API follows package net:
//
//	l, err := namedpipe.Listen(ctx, "MyPipe")
//	c, err := namedpipe.Dial(ctx, "MyPipe")
//
// A [Listener] is a net.Listener and a [Conn] a net.Conn, so whatever runs on
// those (gRPC, net/http, TLS) runs on a pipe. The zero [ListenConfig] and
// [Dialer] are secure: only the current user can connect, clients on other
// machines are refused, and a server can identify its client but not act as it.
//
// # Names
//
// A bare name such as MyPipe works on every system. On Windows it is the pipe
// \\.\pipe\MyPipe. Elsewhere it is the socket where .NET's NamedPipeClientStream
// looks for it, CoreFxPipe_MyPipe in $TMPDIR or /tmp. [ResolveAddr] lists the
// other spellings and what is refused.
//
// # Differences from package net
//
// A pipe can't be closed in one direction only. The other end can still read what
// was written before Close and then reads io.EOF. A Conn has no File method, and
// on Windows its SyscallConn supports Control only.
package namedpipe
