module github.com/grpcpipe/grpcpipe/interop/connect

go 1.26.0

replace github.com/grpcpipe/grpcpipe => ../..

require (
	connectrpc.com/connect v1.21.1
	github.com/grpcpipe/grpcpipe v0.0.0
)

require (
	go.uber.org/goleak v1.3.0 // indirect
	golang.org/x/net v0.62.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/text v0.43.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20261026165753-2ffab32bce7e // indirect
	google.golang.org/grpc v1.85.0 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)
