// The test with tableflip: a module of its own, so that tableflip doesn't become
// a dependency of the library. It is never published.
module github.com/grpcpipe/grpcpipe/interop/tableflip

go 1.26.0

replace github.com/grpcpipe/grpcpipe => ../../

require (
	github.com/cloudflare/tableflip v1.2.3
	github.com/grpcpipe/grpcpipe v0.0.0-00010101000000-000000000000
)

require (
	go.uber.org/goleak v1.3.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
)
