// Package endure is the long run: servers and clients of both engines and of other
// languages under troubles in a random order, for as long as one likes. `make
// endure` runs it for an hour, `go test` for a short while.
package endure
