// Package h2 is HTTP/2 as gRPC uses it, for both ends of a connection: frames,
// HPACK, streams, flow control, and length-prefixed messages on top. It knows
// nothing of grpc's types.
//
// A [Conn] is a state machine over a [Carrier]. Three rules hold everywhere:
//
//   - One goroutine reads at a time. At a server it is the connection's own; at
//     a client it is whichever caller holds the connection's token while it waits
//     for its own stream.
//   - One goroutine writes at a time: whoever finds no writer. What others queue
//     meanwhile goes along. Nobody who reads waits for a write.
//   - A connection ends in one place, Conn.fail, with one error.
//
// Locks: Conn.mu comes before Stream.mu. Neither is held during I/O or while
// code of the user runs.
package h2
