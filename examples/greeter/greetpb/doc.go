// Package greetpb is the generated code of greet.proto.
package greetpb

//go:generate protoc --go_out=paths=source_relative:. --go-grpc_out=paths=source_relative:. greet.proto
