package namedpipe

// LookupUser finds a user by account name or SID, off Windows by name or number.
// On Windows the name may be DOMAIN\name or NT SERVICE\name.
func LookupUser(name string) (Account, error) { return lookupUser(name) }

// LookupGroup is LookupUser for groups.
func LookupGroup(name string) (Account, error) { return lookupGroup(name) }
