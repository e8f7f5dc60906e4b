package grpcpipe_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/grpcpipe/grpcpipe"

// goList runs go list and returns its lines.
func goList(t *testing.T, args ...string) []string {
	t.Helper()
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go command here (under Wine there is none): the native run has checked it")
	}
	out, err := exec.Command(tool, append([]string{"list"}, args...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(out))
}

// arrows are the packages with what each may import besides the standard library:
// packages of this module, and modules. A package imports none that comes before
// it here. The library itself depends on no other modules than its rows name;
// anyModule stands for packages that only the command needs.
var arrows = []struct {
	pkg  string
	may  []string // of this module
	mods []string
}{
	{"ui", []string{"internal/ui", "internal/inspect"}, anyModule},
	{"internal/ui", []string{"internal/inspect", "internal/load", "internal/target", "namedpipe"}, anyModule},
	{"internal/record", []string{"internal/inspect"}, anyModule},
	{"internal/inspect", []string{"", "internal/follow", "internal/target", "internal/firstbytes", "internal/pipename", "namedpipe"}, anyModule},
	{"internal/load", nil, anyModule},
	{"internal/chart", nil, anyModule},
	{"child", []string{"", "namedpipe"}, append([]string{"golang.org/x/sys"}, grpcModules...)},
	{"", []string{"internal/follow", "internal/target", "internal/creds", "internal/bufpool", "namedpipe"}, grpcModules},
	{"policy", []string{"internal/creds", "namedpipe", "internal/loglimit"}, grpcModules},
	{"fastgrpc", []string{"internal/target", "internal/follow", "internal/firstbytes", "internal/creds", "internal/h2", "internal/bufpool", "namedpipe"}, grpcModules},
	{"internal/follow", []string{"internal/target", "namedpipe", "internal/pipename"}, []string{"golang.org/x/sys"}},
	{"internal/target", []string{"internal/pipename"}, []string{"golang.org/x/sys"}},
	{"internal/creds", []string{"internal/firstbytes", "namedpipe"}, grpcModules},
	{"internal/h2", []string{"internal/bufpool", "namedpipe"}, []string{"golang.org/x/net", "golang.org/x/sys"}},
	{"internal/bufpool", nil, nil},
	{"internal/firstbytes", nil, []string{"golang.org/x/net", "golang.org/x/text"}},
	{"namedpipe", []string{"internal/pipename", "internal/loglimit"}, []string{"golang.org/x/sys"}},
	{"internal/loglimit", nil, nil},
	{"internal/pipename", nil, []string{"golang.org/x/sys"}},
}

// anyModule allows every module.
var anyModule = []string{"*"}

// grpcModules are grpc and what it needs.
var grpcModules = []string{
	"google.golang.org/grpc", "google.golang.org/protobuf", "google.golang.org/genproto/googleapis/rpc",
	"golang.org/x/sys", "golang.org/x/net", "golang.org/x/text",
}

func TestDependencies(t *testing.T) {
	t.Parallel()
	for i, a := range arrows {
		path := strings.TrimSuffix(module+"/"+a.pkg, "/")
		allowed := []string{path}
		for _, later := range arrows[i+1:] {
			if slices.Contains(a.may, later.pkg) {
				allowed = append(allowed, strings.TrimSuffix(module+"/"+later.pkg, "/"))
			}
		}
		for _, imported := range goList(t, "-f", `{{join .Imports "\n"}}`, path) {
			if strings.HasPrefix(imported, module) && !slices.Contains(allowed, imported) {
				t.Errorf("%s imports %s", path, imported)
			}
		}
		if slices.Equal(a.mods, anyModule) {
			continue
		}
		mods := append(a.mods, module)
		for _, later := range arrows[i+1:] {
			if slices.Contains(a.may, later.pkg) {
				mods = append(mods, later.mods...)
			}
		}
		for _, mod := range goList(t, "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", path) {
			if !slices.Contains(mods, mod) {
				t.Errorf("%s depends on the module %s", path, mod)
			}
		}
	}
}

// TestCommandWithoutTestModules: goleak is for test binaries only.
func TestCommandWithoutTestModules(t *testing.T) {
	t.Parallel()
	mods := goList(t, "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", module+"/cmd/grpcpipe")
	for _, mod := range []string{"go.uber.org/goleak", "github.com/rogpeppe/go-internal"} {
		if slices.Contains(mods, mod) {
			t.Errorf("the command depends on the module %s", mod)
		}
	}
}
