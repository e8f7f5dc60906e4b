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

func TestDependencies(t *testing.T) {
	t.Parallel()
	library := []string{module, module + "/namedpipe", module + "/internal/pipelist", module + "/internal/firstbytes"}
	allowed := []string{
		module, "google.golang.org/grpc", "google.golang.org/protobuf", "google.golang.org/genproto/googleapis/rpc",
		"golang.org/x/sys", "golang.org/x/net", "golang.org/x/text",
	}
	args := append([]string{"-deps", "-f", "{{with .Module}}{{.Path}}{{end}}"}, library...)
	for _, path := range goList(t, args...) {
		if !slices.Contains(allowed, path) {
			t.Errorf("the library depends on the module %s", path)
		}
	}
	for _, path := range goList(t, append([]string{"-deps"}, library...)...) {
		if rest, ours := strings.CutPrefix(path, module); ours && !slices.Contains(library, module+rest) {
			t.Errorf("the library imports %s", path)
		}
	}
	for _, path := range goList(t, "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", module+"/namedpipe") {
		if path != module && path != "golang.org/x/sys" {
			t.Errorf("namedpipe depends on the module %s", path)
		}
	}
	for _, path := range goList(t, "-f", `{{join .Imports "\n"}}`, module+"/namedpipe") {
		if strings.Contains(path, ".") && !strings.HasPrefix(path, "golang.org/x/sys/") {
			t.Errorf("namedpipe imports %s", path)
		}
	}
}
