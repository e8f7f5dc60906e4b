// Command table fills the tables of docs/interop.md with what the tests have
// just seen.
//
//	GRPCPIPE_INTEROP_RESULTS=DIR go test ./interop/...
//	go run ./interop/table DIR docs/interop.md
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/grpcpipe/grpcpipe/internal/testing/seen"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "table:", err)
		os.Exit(2)
	}
}

func run(args []string, out io.Writer) error {
	if len(args) != 2 {
		return errors.New("usage: go run ./interop/table RESULTS DOCUMENT")
	}
	results, err := seen.Read(args[0])
	if err != nil {
		return err
	}
	doc, err := os.ReadFile(args[1])
	if err != nil {
		return err
	}
	filled, err := seen.Fill(string(doc), results)
	if err != nil {
		return err
	}
	if err := os.WriteFile(args[1], []byte(filled), 0o644); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s: filled in from %d results\n", args[1], len(results))
	return err
}
