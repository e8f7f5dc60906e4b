package creds

// isGone reports false: Plan 9 has no pipes of ours.
func isGone(error) bool { return false }
