package h2

// beginData begins a DATA frame whose payload begins at p, and reports whether
// there is enough of it.
func (c *Conn) beginData(f frame, p []byte) (bool, error) {
	rd := &c.rd
	if f.id == 0 {
		return false, connError(ProtocolError, "DATA on stream 0")
	}
	head, pad := frameHead, 0
	payload := f.length
	if f.has(flagPadded) {
		if payload == 0 {
			return false, connError(FrameSizeError, "padded DATA of no bytes")
		}
		if len(p) == 0 {
			return false, nil
		}
		pad = int(p[0])
		head++
		payload--
		if pad > payload {
			return false, connError(ProtocolError, "DATA with more padding than bytes")
		}
		payload -= pad
	}
	rd.r += head
	rd.dataID, rd.dataLeft, rd.padLeft, rd.dataEnd = f.id, payload, pad, f.has(flagEndStream)
	if payload == 0 && !rd.dataEnd {
		if err := c.glitch(); err != nil {
			return false, err
		}
	}
	st, err := c.countData(f)
	if err != nil {
		return false, err
	}
	rd.data = st
	if payload == 0 && pad == 0 {
		return true, c.endData()
	}
	return true, nil
}

// moreData handles what is buffered of a DATA frame.
func (c *Conn) moreData() error {
	rd := &c.rd
	if rd.dataLeft > 0 {
		n := min(rd.dataLeft, rd.w-rd.r)
		p := rd.buf[rd.r : rd.r+n]
		rd.r += n
		rd.dataLeft -= n
		if rd.data != nil {
			if err := c.received(rd.data, rd.dataID, p, rd.dataEnd && rd.dataLeft == 0); err != nil {
				return err
			}
		}
	}
	if rd.dataLeft == 0 && rd.padLeft > 0 {
		n := min(rd.padLeft, rd.w-rd.r)
		rd.r += n
		rd.padLeft -= n
	}
	if rd.dataLeft == 0 && rd.padLeft == 0 {
		return c.endData()
	}
	return nil
}

// endData ends a DATA frame: the stream may be complete by it.
func (c *Conn) endData() error {
	rd := &c.rd
	st, id, end := rd.data, rd.dataID, rd.dataEnd
	rd.data, rd.dataEnd = nil, false
	if st == nil {
		return nil
	}
	if end {
		rd.over.add(id)
		return c.endOfStream(st, id)
	}
	return c.startIfDue(st, id)
}
