package browser

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

// A page of another port of this host, such as another user may serve, gets
// nothing done and sees nothing, even in the tab that is logged in.
func TestForeignPage(t *testing.T) {
	k, pipe := newKitchen(t), pipeName(t)
	k.serve(t, pipe)
	p := open(t)
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<!doctype html><title>evil</title><link rel=icon href='data:,'>")
	}))
	defer evil.Close()
	p.foreign = true
	p.run(chromedp.Navigate(evil.URL))
	call := fmt.Sprintf(`{"target": %q, "method": "/kitchen.Kitchen/Echo", "body": "{}"}`, pipe)
	for name, js := range map[string]string{
		"fetch with JSON":     `fetch('http://%s/api/call', {method: 'POST', credentials: 'include', headers: {'Content-Type': 'application/json'}, body: %q})`,
		"fetch without a key": `fetch('http://%s/api/call', {method: 'POST', credentials: 'include', mode: 'no-cors', body: %q})`,
	} {
		got := eval[string](p, fmt.Sprintf(js, p.addr, call)+`.then(r => r.type + ' ' + r.ok + ' ' + r.status, e => 'refused')`)
		if got != "refused" && got != "opaque false 0" {
			t.Errorf("%s: %s", name, got)
		}
	}
	if framed := eval[string](p, fmt.Sprintf(`new Promise(done => { const f = document.createElement('iframe'); f.src = 'http://%s/';
		f.onload = () => { try { done(f.contentDocument ? 'readable' : 'closed'); } catch { done('closed'); } }; document.body.append(f); })`, p.addr)); framed != "closed" {
		t.Errorf("the page in a frame is %s", framed)
	}
	if len(k.header) > 0 {
		t.Error("the foreign page has called the server")
	}
}

// What is kept in dist is what the sources give.
func TestBuilt(t *testing.T) {
	npm, err := exec.LookPath("npm")
	if err != nil {
		t.Skip("there is no npm here to build the page with; CI has one")
	}
	web, out := t.TempDir(), t.TempDir()
	if err := os.CopyFS(web, os.DirFS("../web")); err != nil {
		t.Fatal(err)
	}
	os.RemoveAll(filepath.Join(web, "node_modules"))
	for _, args := range [][]string{{npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"}, {npm, "run", "check"}, {"node", "build.mjs", out}} {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir = web
		if said, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, said)
		}
	}
	for _, name := range []string{"app.js", "style.css", "index.html"} {
		want, err := os.ReadFile(filepath.Join(out, name))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join("../dist", name)); err != nil || string(got) != string(want) {
			t.Errorf("dist/%s is not what web gives (%v): run npm run build in internal/ui/web", name, err)
		}
	}
}
