package h2

import (
	"encoding/binary"
	"fmt"
)

// Preface is what a client's side of a connection begins with.
const Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

const (
	frameHead    = 9       // bytes of a frame's header
	minFrameSize = 1 << 14 // the least that every peer takes
	maxFrameSize = 1<<24 - 1
	maxWindow    = 1<<31 - 1
	// defaultWindow is the window before any SETTINGS.
	defaultWindow = 1<<16 - 1
	maxStreamID   = 1<<31 - 1
)

type frameType uint8

const (
	frameData frameType = iota
	frameHeaders
	framePriority
	frameReset
	frameSettings
	framePushPromise
	framePing
	frameGoAway
	frameWindowUpdate
	frameContinuation
)

const (
	flagEndStream  = 0x1
	flagAck        = 0x1
	flagEndHeaders = 0x4
	flagPadded     = 0x8
	flagPriority   = 0x20
)

// Ids of SETTINGS.
const (
	settingHeaderTable   = 1
	settingEnablePush    = 2
	settingMaxStreams    = 3
	settingInitialWindow = 4
	settingMaxFrame      = 5
	settingMaxHeaderList = 6
)

// A Code is an HTTP/2 error code (RFC 9113, section 7).
type Code uint32

// The error codes.
const (
	NoError Code = iota
	ProtocolError
	InternalError
	FlowControlError
	SettingsTimeout
	StreamClosed
	FrameSizeError
	RefusedStream
	Cancel
	CompressionError
	ConnectError
	EnhanceYourCalm
	InadequateSecurity
	HTTP11Required
)

var codeNames = [...]string{
	"NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR",
	"SETTINGS_TIMEOUT", "STREAM_CLOSED", "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL",
	"COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY",
	"HTTP_1_1_REQUIRED",
}

func (c Code) String() string {
	if int(c) < len(codeNames) {
		return codeNames[c]
	}
	return fmt.Sprintf("unknown error code 0x%x", uint32(c))
}

// A frame is a frame's header.
type frame struct {
	length int
	typ    frameType
	flags  uint8
	id     uint32
}

func (f frame) has(flag uint8) bool { return f.flags&flag != 0 }

func parseFrame(b []byte) frame {
	_ = b[frameHead-1]
	return frame{
		length: int(b[0])<<16 | int(b[1])<<8 | int(b[2]),
		typ:    frameType(b[3]),
		flags:  b[4],
		id:     binary.BigEndian.Uint32(b[5:]) & maxStreamID,
	}
}

func appendFrame(dst []byte, length int, t frameType, flags uint8, id uint32) []byte {
	return append(dst, byte(length>>16), byte(length>>8), byte(length), byte(t), flags,
		byte(id>>24), byte(id>>16), byte(id>>8), byte(id))
}

// setLength writes the length of the frame that begins at b.
func setLength(b []byte, length int) {
	b[0], b[1], b[2] = byte(length>>16), byte(length>>8), byte(length)
}

func appendReset(dst []byte, id uint32, code Code) []byte {
	dst = appendFrame(dst, 4, frameReset, 0, id)
	return binary.BigEndian.AppendUint32(dst, uint32(code))
}

func appendWindowUpdate(dst []byte, id uint32, n uint32) []byte {
	dst = appendFrame(dst, 4, frameWindowUpdate, 0, id)
	return binary.BigEndian.AppendUint32(dst, n)
}

func appendPing(dst []byte, flags uint8, data [8]byte) []byte {
	dst = appendFrame(dst, 8, framePing, flags, 0)
	return append(dst, data[:]...)
}

func appendGoAway(dst []byte, last uint32, code Code, text string) []byte {
	dst = appendFrame(dst, 8+len(text), frameGoAway, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, last)
	dst = binary.BigEndian.AppendUint32(dst, uint32(code))
	return append(dst, text...)
}

func appendSetting(dst []byte, id uint16, v uint32) []byte {
	dst = binary.BigEndian.AppendUint16(dst, id)
	return binary.BigEndian.AppendUint32(dst, v)
}
