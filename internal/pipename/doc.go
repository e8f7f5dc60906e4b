// Package pipename holds the rules of pipe names: the prefixes, the socket that
// a name means off Windows, the names of folders in which sockets are made, and
// whether there is a pipe of a name.
package pipename
