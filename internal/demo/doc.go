// Package demo is `grpcpipe demo`: a server and a client in two processes,
// connected by a named pipe, and every kind of call between them. Everything that
// it shows has been checked.
package demo
