// Package interoptest holds gRPC's standard interop cases, and a few of local
// IPC's own, as a library: a service that answers them and a table of cases
// that any client in the project runs against any server.
//
// The cases follow
// https://github.com/grpc/grpc/blob/master/doc/interop-test-descriptions.md.
// They return errors, and each has a limit of its own, so none can hang or end
// the program that runs it.
package interoptest
