package namedpipe

// LookupUser finds a user by account name or SID, off Windows by name or number.
// On Windows the name may be DOMAIN\name or NT SERVICE\name.
func LookupUser(name string) (Account, error) { return lookupUser(name) }

// LookupGroup is LookupUser for groups.
func LookupGroup(name string) (Account, error) { return lookupGroup(name) }

// SameFile tells whether two paths name one file, whatever their spelling.
func SameFile(a, b string) bool { return sameFile(a, b) }

// Alive tells whether the process still runs, as far as its number and the time
// it was started tell (on Linux from 6.9 on, the inode of its pidfd). A process that can't be looked at counts as alive: that
// its connection is open says that somebody holds the other end.
func (p *Peer) Alive() bool {
	if p.PID == 0 || p.Remote || p.birth == 0 {
		return true
	}
	birth, err := birthOf(p.PID)
	return err != nil || birth == p.birth
}
