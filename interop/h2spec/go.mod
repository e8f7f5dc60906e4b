// h2spec's cases against package fastgrpc: a module of its own, so that h2spec
// becomes no dependency of the library. It is never published.
module github.com/grpcpipe/grpcpipe/interop/h2spec

go 1.26.0

replace github.com/grpcpipe/grpcpipe => ../../

require (
	github.com/grpcpipe/grpcpipe v0.0.0-00010101000000-000000000000
	github.com/summerwind/h2spec v2.2.1+incompatible
	google.golang.org/grpc v1.85.0
)

require (
	github.com/fatih/color v1.19.0 // indirect
	github.com/mattn/go-colorable v0.1.14 // indirect
	github.com/mattn/go-isatty v0.0.20 // indirect
	golang.org/x/net v0.62.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/text v0.43.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20261026165753-2ffab32bce7e // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)
