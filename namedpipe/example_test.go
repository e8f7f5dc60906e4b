package namedpipe_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"

	"github.com/grpcpipe/grpcpipe/namedpipe"
)

func Example() {
	ctx := context.Background()
	l, err := namedpipe.Listen(ctx, "namedpipe-example")
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		fmt.Fprint(c, "hello over a pipe")
	}()

	c, err := namedpipe.Dial(ctx, "namedpipe-example")
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	text, err := io.ReadAll(c)
	fmt.Printf("%s, %v\n", text, err)
	// Output: hello over a pipe, <nil>
}

func ExampleResolveAddr() {
	for _, name := range []string{`//./pipe/MyPipe`, `\\server\pipe\MyPipe`} {
		if _, err := namedpipe.ResolveAddr(name); err != nil {
			fmt.Println(errors.Unwrap(err))
		} else {
			fmt.Println("good")
		}
	}
	// Output:
	// good
	// bad pipe name: it is on another machine or not a pipe; pipes are for one machine: write the bare name or \\.\pipe\NAME
}
