package main

import (
	"slices"
	"time"
)

// A line is one kind of work, a line of the table.
type line struct {
	Name  string // also the name in -lines and in the baseline
	About string
	Kind  string // unary, receive, send, chat, dial
	Size  int
	// InFlight is how many calls or streams run at a time.
	InFlight int
	Deadline bool
	Metadata bool
	// Flood is a stream of 64 KiB messages at full speed on the same connection,
	// "receive" or "send", that runs during the measurement.
	Flood string
	// Apart gives the flood its own connection, so that the two compete only for
	// processors.
	Apart bool
	// Blocks has one handler in a thousand sleep for 10 ms.
	Blocks bool
	// Sessions is the number of connections that the calls are spread over.
	Sessions int
	// Transport marks a line without RPC: package namedpipe's connections against
	// their alternative.
	Transport bool
	// Long is how many times the usual time the line takes.
	Long int
}

// count is the number of messages of one stream.
func (l line) count() int { return max(min(1000, 16<<20/max(l.Size, 1)), 8) }

// streams reports whether the line moves messages and not calls.
func (l line) streams() bool { return l.Kind == "receive" || l.Kind == "send" || l.Kind == "chat" }

// byTail reports whether the line's figure is the 99th percentile of its calls'
// times, which shows how much other work delays them.
func (l line) byTail() bool { return l.Flood != "" || l.Blocks }

// bySpeed reports whether the line's figure is a rate; otherwise it is the median
// time of a call, which other programs on the machine disturb less.
func (l line) bySpeed() bool { return l.streams() || l.InFlight > 1 }

var allLines = []line{
	{Name: "unary-0/1", About: "empty call, 1 in flight", Kind: "unary", InFlight: 1},
	{Name: "unary-64/1", About: "64 B echo, 1 in flight", Kind: "unary", Size: 64, InFlight: 1},
	{Name: "unary-64/8", About: "64 B echo, 8 in flight", Kind: "unary", Size: 64, InFlight: 8},
	{Name: "unary-64/64", About: "64 B echo, 64 in flight", Kind: "unary", Size: 64, InFlight: 64},
	{Name: "unary-64/512", About: "64 B echo, 512 in flight", Kind: "unary", Size: 64, InFlight: 512},
	{Name: "unary-64/1/rich", About: "64 B echo with deadline and metadata, 1 in flight", Kind: "unary", Size: 64, InFlight: 1, Deadline: true, Metadata: true},
	{Name: "unary-64/64/rich", About: "64 B echo with deadline and metadata, 64 in flight", Kind: "unary", Size: 64, InFlight: 64, Deadline: true, Metadata: true},
	{Name: "unary-1K/1", About: "1 KiB echo, 1 in flight", Kind: "unary", Size: 1 << 10, InFlight: 1},
	{Name: "unary-1K/64", About: "1 KiB echo, 64 in flight", Kind: "unary", Size: 1 << 10, InFlight: 64},
	{Name: "unary-64K/1", About: "64 KiB echo, 1 in flight", Kind: "unary", Size: 64 << 10, InFlight: 1},
	{Name: "unary-64K/8", About: "64 KiB echo, 8 in flight", Kind: "unary", Size: 64 << 10, InFlight: 8},
	{Name: "unary-1M/1", About: "1 MiB echo, 1 in flight", Kind: "unary", Size: 1 << 20, InFlight: 1},
	{Name: "receive-64", About: "server stream of 64 B messages", Kind: "receive", Size: 64, InFlight: 1},
	{Name: "send-64", About: "client stream of 64 B messages", Kind: "send", Size: 64, InFlight: 1},
	{Name: "chat-64", About: "64 B to and fro on a stream", Kind: "chat", Size: 64, InFlight: 1},
	{Name: "receive-64K", About: "server stream of 64 KiB messages", Kind: "receive", Size: 64 << 10, InFlight: 1},
	{Name: "receive-1M", About: "server stream of 1 MiB messages", Kind: "receive", Size: 1 << 20, InFlight: 1},
	{Name: "send-64K", About: "client stream of 64 KiB messages", Kind: "send", Size: 64 << 10, InFlight: 1},
	{Name: "send-1M", About: "client stream of 1 MiB messages", Kind: "send", Size: 1 << 20, InFlight: 1},
	{Name: "unary-64/receive", About: "64 B echo beside a server stream of 64 KiB messages, 99th percentile", Kind: "unary", Size: 64, InFlight: 1, Flood: "receive"},
	{Name: "unary-64/send", About: "64 B echo beside a client stream of 64 KiB messages, 99th percentile", Kind: "unary", Size: 64, InFlight: 1, Flood: "send"},
	{Name: "unary-64/receive/apart", About: "64 B echo, a server stream of 64 KiB messages on another connection, 99th percentile", Kind: "unary", Size: 64, InFlight: 1, Flood: "receive", Apart: true},
	{Name: "unary-64/8/blocks", About: "64 B echo, 8 in flight, one handler in 1000 blocks for 10 ms, 99th percentile", Kind: "unary", Size: 64, InFlight: 8, Blocks: true},
	{Name: "dial", About: "new connection and its first call", Kind: "dial", Size: 64, InFlight: 1},
	{Name: "transport-64", About: "transport alone: 64 B to and fro", Kind: "unary", Size: 64, InFlight: 1, Transport: true, Long: 2},
	{Name: "transport-64K", About: "transport alone: 64 KiB writes one way", Kind: "send", Size: 64 << 10, InFlight: 1, Transport: true, Long: 2},
}

// quickLines are those of -quick.
var quickLines = []string{"unary-64/1", "unary-64/64", "unary-64K/1", "receive-64", "send-64K", "send-1M", "dial", "transport-64", "transport-64K"}

// connectionCounts are the numbers of connections at which memory and speed are
// measured.
var connectionCounts = []int{1, 10, 100, 1000}

const (
	deadline = 30 * time.Second
	// transportName is the contender that is package namedpipe alone.
	transportName = "namedpipe"
)

// rival is the contender that package namedpipe is measured against: what it is
// built on, or on Windows go-winio.
func rival(goos string) string {
	if goos == "windows" {
		return "go-winio"
	}
	return "raw"
}

// limit returns the contender without RPC that takes part in the RPC lines.
func limit(goos string) string {
	if goos == "windows" {
		return transportName
	}
	return "raw"
}

// takes reports whether the contender takes part in the line.
func (l line) takes(goos, name string) bool {
	if isMixed(name) {
		return slices.Contains(mixedLines, l.Name)
	}
	isTransport := name == transportName || name == rival(goos)
	if l.Transport {
		return isTransport
	}
	return !isTransport || name == limit(goos)
}

// base returns the contender that the line's others are compared with.
func (l line) base(goos string) string {
	if l.Transport {
		return rival(goos)
	}
	return stock
}
