// Package tableflip tests a pipe in a server that cloudflare/tableflip replaces,
// which it can do on Unix only.
package tableflip
