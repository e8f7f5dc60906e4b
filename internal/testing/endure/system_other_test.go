//go:build !linux

package endure

import "errors"

func mountSmall(string) (unmount func() error, err error) { return nil, errors.ErrUnsupported }
func limitHandles(int) (restore func() error, err error)  { return nil, errors.ErrUnsupported }
