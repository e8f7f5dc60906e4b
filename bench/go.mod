// The benchmarks against other libraries: a module of its own, so that none of
// them becomes a dependency of the library. It is never published.
module github.com/grpcpipe/grpcpipe/bench

go 1.26.0

replace github.com/grpcpipe/grpcpipe => ../

require (
	connectrpc.com/connect v1.21.1
	github.com/Microsoft/go-winio v0.6.4
	github.com/containerd/ttrpc v1.2.10
	github.com/grpcpipe/grpcpipe v0.0.0-00010101000000-000000000000
	golang.org/x/sys v0.49.0
	google.golang.org/grpc v1.85.0
	google.golang.org/protobuf v1.36.12
	storj.io/drpc v1.0.0
)

require (
	github.com/HdrHistogram/hdrhistogram-go v1.4.0 // indirect
	github.com/containerd/log v0.1.0 // indirect
	github.com/sirupsen/logrus v1.10.2 // indirect
	github.com/zeebo/errs v1.2.2 // indirect
	golang.org/x/net v0.62.0 // indirect
	golang.org/x/text v0.43.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20261026165753-2ffab32bce7e // indirect
)
