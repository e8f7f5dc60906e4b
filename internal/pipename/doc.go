// Package pipename holds the rules of pipe names that more than one package
// needs.
package pipename
