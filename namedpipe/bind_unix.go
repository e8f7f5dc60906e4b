//go:build unix && !linux

package namedpipe

const bindsPrivately = true
