package namedpipe

import (
	"strings"
	"testing"

	"golang.org/x/sys/windows"
)

const (
	sidUser    = "S-1-5-21-1-2-3-1001"
	sidOther   = "S-1-5-21-1-2-3-1002"
	sidGroup   = "S-1-5-21-1-2-3-1100"
	sidAdmins  = "S-1-5-32-544"
	sidService = "S-1-5-80-1-2-3-4-5"
	sidPackage = "S-1-15-2-1-2-3-4-5-6-7"
)

// groupsOf lists groups as a token does: each SID, after a space its attributes
// if they are not just enabled.
func groupsOf(t *testing.T, list ...string) (groups []windows.SIDAndAttributes) {
	t.Helper()
	for _, text := range list {
		g := windows.SIDAndAttributes{Attributes: windows.SE_GROUP_ENABLED}
		sid, rest, _ := strings.Cut(text, " ")
		g.Sid = mustSID(t, sid)
		switch rest {
		case "owner":
			g.Attributes |= windows.SE_GROUP_OWNER
		case "deny only":
			g.Attributes = windows.SE_GROUP_USE_FOR_DENY_ONLY
		case "disabled":
			g.Attributes = 0
		}
		groups = append(groups, g)
	}
	return groups
}

// someTokens are the tokens of different kinds of servers.
func someTokens(t *testing.T) map[string]tokenFacts {
	sid := func(s string) *windows.SID { return mustSID(t, s) }
	everybody := []string{"S-1-1-0", "S-1-5-11", sidGroup}
	with := func(more ...string) []windows.SIDAndAttributes { return groupsOf(t, append(everybody, more...)...) }
	restricting := groupsOf(t, sidService, "S-1-1-0", "S-1-5-5-0-1", "S-1-5-33")
	return map[string]tokenFacts{
		"user":               {user: sid(sidUser), defaultOwner: sid(sidUser), groups: with(sidAdmins + " deny only")},
		"elevated":           {user: sid(sidUser), defaultOwner: sid(sidAdmins), groups: with(sidAdmins + " owner"), elevated: true},
		"elevated, own":      {user: sid(sidUser), defaultOwner: sid(sidUser), groups: with(sidAdmins + " owner"), elevated: true},
		"system":             {user: sid("S-1-5-18"), defaultOwner: sid(sidAdmins), groups: with(sidAdmins+" owner", sidService+" owner"), elevated: true},
		"restricted system":  {user: sid("S-1-5-18"), defaultOwner: sid(sidAdmins), groups: with(sidAdmins+" owner", sidService+" owner"), restricted: restricting, elevated: true},
		"service":            {user: sid("S-1-5-19"), defaultOwner: sid("S-1-5-19"), groups: with("S-1-5-80-0 owner", sidService+" owner")},
		"restricted service": {user: sid("S-1-5-20"), defaultOwner: sid("S-1-5-20"), groups: with("S-1-5-80-0 owner", sidService+" owner"), restricted: restricting},
		"old service":        {user: sid("S-1-5-19"), defaultOwner: sid("S-1-5-19"), groups: with("S-1-5-80-0 owner", sidService+" disabled")},
		"service, no owner":  {user: sid("S-1-5-19"), defaultOwner: sid("S-1-5-19"), groups: with(sidService)},
		"user's service":     {user: sid(sidUser), defaultOwner: sid(sidUser), groups: with(sidService + " owner")},
		"restricted user":    {user: sid(sidUser), defaultOwner: sid(sidUser), groups: with(sidService + " owner"), restricted: restricting},
		"virtual account":    {user: sid(sidService), defaultOwner: sid(sidService), groups: with(sidService + " owner")},
		"container":          {user: sid(sidUser), defaultOwner: sid(sidUser), pkg: sid(sidPackage), groups: with()},
	}
}

// The parts of the descriptors below. The rights 0x12019b are those of a client,
// FA those of the server. An entry for OW takes from the pipe's owner the right
// to change the descriptor.
const (
	ofSelf, toClient, labelledHigh, labelledLow = "(A;;FA;;;" + sidUser + ")", "(A;;0x12019b;;;", "S:(ML;;NRNW;;;HI)", "S:(ML;;NW;;;LW)"

	ownUser         = "O:" + sidUser + "D:P"
	ownAdmins       = "O:BAD:P(A;;FA;;;BA)"
	ownUserElevated = "O:" + sidUser + "D:P(A;;RC;;;OW)(A;;FA;;;BA)"
	ownSystem       = "O:BAD:P(A;;RC;;;OW)(A;;FA;;;SY)"
	toService       = "(A;;FA;;;" + sidService + ")"
	ownService      = "O:" + sidService + "D:P" + toService
	toUser          = toClient + sidUser + ")"
	toOther         = toClient + sidOther + ")"
)

var descriptorTests = []struct {
	access Access
	want   map[string]string
}{
	{Access{}, map[string]string{
		"user":               ownUser + ofSelf,
		"elevated":           ownAdmins + toUser + labelledHigh,
		"elevated, own":      ownUserElevated + toUser + labelledHigh,
		"system":             ownSystem + labelledHigh,
		"restricted system":  "O:BAD:P(A;;RC;;;OW)" + toService + toClient + "SY)" + labelledHigh,
		"service":            ownService + toClient + "LS)",
		"restricted service": ownService + toClient + "NS)",
		"old service":        "O:LSD:P(A;;FA;;;LS)",
		"service, no owner":  "O:LSD:P(A;;RC;;;OW)" + toService + toClient + "LS)",
		"user's service":     ownUser + ofSelf,
		"restricted user":    ownUser + "(A;;RC;;;OW)" + toService + toUser,
		"virtual account":    ownService,
		"container":          ownUser + ofSelf + "(A;;FA;;;" + sidPackage + ")",
	}},
	{Access{alone: true}, map[string]string{
		"user":     ownUser + ofSelf,
		"elevated": ownAdmins + labelledHigh,
		"service":  ownService,
	}},
	{Access{Who: CurrentUserAnyElevation}, map[string]string{
		"user":     ownUser + ofSelf,
		"elevated": ownAdmins + toUser,
		"system":   ownSystem,
		"service":  ownService + toClient + "LS)",
	}},
	{Access{Who: Administrators}, map[string]string{
		"user":     ownUser + ofSelf + toClient + "BA)",
		"elevated": ownAdmins + labelledHigh,
		"system":   ownSystem + toClient + "BA)" + labelledHigh,
		"service":  ownService + toClient + "BA)",
	}},
	{Access{Who: CurrentUser | Administrators}, map[string]string{
		"user":     ownUser + ofSelf + toClient + "BA)",
		"elevated": ownAdmins + toUser + labelledHigh,
	}},
	{Access{Who: LocalUsers}, map[string]string{
		"user":     ownUser + ofSelf + toClient + "BU)",
		"elevated": ownAdmins + toClient + "BU)",
		"system":   ownSystem + toClient + "BU)",
		"service":  ownService + toClient + "BU)",
	}},
	{Access{Who: Everyone}, map[string]string{"user": ownUser + ofSelf + toClient + "WD)", "system": ownSystem + toClient + "WD)"}},
	{Access{Who: CurrentUser | AppContainers}, map[string]string{
		"user":      ownUser + ofSelf + toClient + "AC)",
		"elevated":  ownAdmins + toUser + toClient + "AC)",
		"container": ownUser + ofSelf + "(A;;FA;;;" + sidPackage + ")" + toClient + "AC)",
	}},
	{Access{Who: CurrentUser, Packages: []string{sidPackage}}, map[string]string{
		"user":      ownUser + ofSelf + toClient + sidPackage + ")",
		"container": ownUser + ofSelf + "(A;;FA;;;" + sidPackage + ")",
	}},
	{Access{Who: CurrentUser | LowIntegrity}, map[string]string{"user": ownUser + ofSelf + labelledLow, "elevated": ownAdmins + toUser + labelledLow}},
	{Access{Users: []string{sidOther}}, map[string]string{"user": ownUser + ofSelf + toOther, "elevated": ownAdmins + toOther}},
	{Access{Users: []string{sidUser}, Groups: []string{"S-1-5-32-545"}}, map[string]string{"user": ownUser + ofSelf + toClient + "BU)"}},

	// Denials first; what covers the server's own token after its entry.
	{Access{Who: Everyone, Deny: []string{sidOther}}, map[string]string{
		"user":     ownUser + "(D;;FA;;;" + sidOther + ")" + ofSelf + toClient + "WD)",
		"elevated": "O:BAD:P(D;;FA;;;" + sidOther + ")(A;;FA;;;BA)" + toClient + "WD)",
	}},
	{Access{Users: []string{sidOther}, Deny: []string{sidOther}}, map[string]string{"user": ownUser + "(D;;FA;;;" + sidOther + ")" + ofSelf + toOther}},
	{Access{Who: Everyone, Deny: []string{"S-1-1-0"}}, map[string]string{"user": ownUser + ofSelf + "(D;;FA;;;WD)" + toClient + "WD)"}},
	{Access{Who: Everyone, Deny: []string{sidGroup, sidOther}}, map[string]string{
		"user":    ownUser + "(D;;FA;;;" + sidOther + ")" + ofSelf + "(D;;FA;;;" + sidGroup + ")" + toClient + "WD)",
		"service": "O:" + sidService + "D:P(D;;FA;;;" + sidOther + ")" + toService + "(D;;FA;;;" + sidGroup + ")" + toClient + "WD)",
	}},
	{Access{Who: Everyone, Deny: []string{sidUser}}, map[string]string{"elevated": ownAdmins + "(D;;FA;;;" + sidUser + ")" + toClient + "WD)"}},
	{Access{Who: Everyone, Deny: []string{"S-1-5-33"}}, map[string]string{
		"user":               ownUser + "(D;;FA;;;WR)" + ofSelf + toClient + "WD)",
		"restricted service": ownService + "(D;;FA;;;WR)" + toClient + "WD)",
	}},

	{Access{SDDL: "D:(A;;GA;;;WD)"}, map[string]string{"user": "O:" + sidUser + "D:(A;;GA;;;WD)", "service": "O:" + sidService + "D:(A;;GA;;;WD)"}},
	{Access{SDDL: "O:SYD:(A;;FA;;;BA)"}, map[string]string{"user": "O:SYD:(A;;FA;;;BA)"}},
}

// TestDescriptors fixes the descriptor of each access for each kind of server.
func TestDescriptors(t *testing.T) {
	t.Parallel()
	for _, test := range descriptorTests {
		for who, want := range test.want {
			sd, err := test.access.descriptor(someTokens(t)[who].identity())
			if err != nil {
				t.Errorf("%s, %+v: %v", who, test.access, err)
				continue
			}
			if got := wineSDDL(sd.String()); got != wineSDDL(want) {
				t.Errorf("%s, %+v:\n got %s\nwant %s", who, test.access, got, want)
			}
		}
	}
}

// wineSDDL levels what Wine 10 writes otherwise in the same descriptor: the
// label entry has no type there and spells its rights as a directory's, some
// aliases are SIDs, and the DACL's protection is written at the SACL too.
func wineSDDL(s string) string {
	return strings.NewReplacer(
		"S:P(;;", "S:(;;", "(ML;;NRNW;", "(;;CCDC;", "(ML;;NW;", "(;;CC;",
		"S-1-5-32-544", "BA", "S-1-5-32-545", "BU", "S-1-15-2-1)", "AC)", "S-1-5-19", "LS", "S-1-5-33", "WR",
		"0x12019B", "0x12019b",
	).Replace(s)
}
