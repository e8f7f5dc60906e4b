//go:build unix

package main

import "net"

func init() {
	register(&contender{
		name: "raw", about: "net.UnixConn, no encoding: the limit", network: "unix",
		serve: serveRaw,
		dial: func(addr string) (session, error) {
			c, err := net.Dial("unix", addr)
			return newRaw(c, err)
		},
	})
}
