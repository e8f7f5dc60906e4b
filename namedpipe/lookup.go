package namedpipe

// LookupUser looks up a user by account name or SID; off Windows by name or
// number. On Windows the name may be DOMAIN\name or NT SERVICE\name.
func LookupUser(name string) (Account, error) { return lookupUser(name) }

// LookupGroup is like LookupUser but looks up a group.
func LookupGroup(name string) (Account, error) { return lookupGroup(name) }
