// Package interop holds no code of its own: its tests run the project against
// programs in other languages, with the cases of internal/testing/interoptest and with
// theirs.
package interop
