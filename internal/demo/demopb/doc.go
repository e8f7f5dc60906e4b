// Package demopb is the generated code of demo.proto.
package demopb

//go:generate protoc --go_out=paths=source_relative:. --go-grpc_out=paths=source_relative:. demo.proto
