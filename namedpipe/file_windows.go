package namedpipe

import (
	"errors"
	"os"
)

var errNoFile = &problem{
	text:   "a Windows pipe can't be handed to another process as a file: set ListenConfig.Share or ListenConfig.TakeOver in both",
	causes: []error{errors.ErrUnsupported},
}

func (l *Listener) adopt(ListenConfig, *os.File) error { return errNoFile }
func (l *listener) share() (*os.File, error)           { return nil, errNoFile }
