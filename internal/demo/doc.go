// Package demo is `grpcpipe demo`: a server in one process and a client in
// another, joined by a named pipe, and every kind of call between them. Nothing
// is shown that was not checked.
package demo
