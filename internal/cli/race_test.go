//go:build race && !windows

package cli

const raceDetector = true
