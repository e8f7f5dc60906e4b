// Command grpcpipe sees, calls and tries gRPC servers behind named pipes.
package main

import (
	"os"

	"github.com/grpcpipe/grpcpipe/internal/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
