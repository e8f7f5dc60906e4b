//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package namedpipe

const bindsPrivately = true
