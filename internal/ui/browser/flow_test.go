package browser

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

func (p *page) key(keys string) { p.t.Helper(); p.run(chromedp.KeyEvent(keys)) }

func (p *page) typed(text string) {
	p.t.Helper()
	for _, r := range text {
		p.run(chromedp.KeyEvent(string(r)))
	}
}

func (p *page) ctrlEnter() {
	p.t.Helper()
	p.run(chromedp.KeyEvent(kb.Enter, chromedp.KeyModifiers(chromedp.ModifierCtrl)))
}

// A pipe that can't be used shows what was checked and what to do.
func TestUnreachable(t *testing.T) {
	p := open(t)
	p.fill("filter the pipes, or an address to open", "NoSuchPipe")
	p.key("\r")
	eval[bool](p, `document.querySelector('form').requestSubmit() ?? true`)
	p.says("NoSuchPipe can't be used yet")
	p.says("What was checked")
	p.says("Try again")
}

// A server that goes away and comes back with another schema is followed.
func TestRestart(t *testing.T) {
	pipe := pipeName(t)
	k := newKitchen(t)
	stop := k.serve(t, pipe)
	p := open(t)
	p.openMethod(pipe, "Echo")
	p.click("Call")
	p.says("OK")
	stop()
	p.says("gone; waiting for it")
	source, err := os.ReadFile("testdata/kitchen.proto")
	if err != nil {
		t.Fatal(err)
	}
	compileKitchen(t, strings.Replace(string(source), "// Echo returns what it gets.", "// Echo is new.", 1)).serve(t, pipe)
	p.says("Echo is new.")
	p.click("Call")
	p.says("OK")
}

func TestSaveAndHistory(t *testing.T) {
	k, pipe := newKitchen(t), pipeName(t)
	k.serve(t, pipe)
	p := open(t)
	p.openMethod(pipe, "Echo")
	p.write(`{"name": "soup", "tags": ["x"]}`)
	p.click("Headers and deadline")
	p.click("Add header")
	p.fill("name of header 1", "authorization")
	p.fill("value of header 1", "Bearer s3cret")
	p.click("Call")
	p.says("OK")
	if md := <-k.header; md.Get("authorization")[0] != "Bearer s3cret" {
		t.Errorf("the server got %v", md)
	}
	p.click("Save")
	p.fill("name of the request", "my soup")
	eval[bool](p, `document.querySelector('form.save').requestSubmit() ?? true`)
	file := filepath.Join(p.dir, "my soup.json")
	p.until(`!document.querySelector('form.save')`)
	for _, path := range []string{file, filepath.Join(p.dir, "history.jsonl")} {
		data, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(data), "soup") || strings.Contains(string(data), "s3cret") {
			t.Errorf("%s holds %s, %v", path, data, err)
		}
	}
	p.click("grpcpipe")
	p.says("History")
	p.click("my soup")
	p.until(`document.querySelector('.cm-content')?.innerText.includes('soup')`)
	p.click("grpcpipe")
	p.click("remove my soup")
	p.until(`!document.body.innerText.includes('my soup')`)
	if _, err := os.Stat(file); err == nil {
		t.Error("the file is still there")
	}
}

func TestCopyAs(t *testing.T) {
	k, pipe := newKitchen(t), pipeName(t)
	k.serve(t, pipe)
	p := open(t)
	p.openMethod(pipe, "Echo")
	p.write(`{"name": "it's"}`)
	p.click("Copy as")
	for name, want := range map[string]string{
		"bash":       `grpcpipe call ` + pipe + ` kitchen.Kitchen/Echo -d '{"name":"it'\''s"}'`,
		"PowerShell": `'{"name":"it''s"}'`,
		"cmd":        `^"{\^"name\^":\^"it's\^"}^"`,
		"grpcurl":    "grpcurl -plaintext -authority localhost -d",
		"Go":         `grpcpipe.NewClient("` + pipe + `")`,
		"C#":         `new NamedPipeClientStream(".", "` + pipe + `"`,
	} {
		p.click(name)
		p.says(want)
	}
}

func TestBench(t *testing.T) {
	k, pipe := newKitchen(t), pipeName(t)
	k.serve(t, pipe)
	p := open(t)
	p.openMethod(pipe, "Echo")
	p.click("Bench")
	p.fill("For", "1.5s")
	p.click("Run")
	p.until(`document.querySelector('svg.chart polyline')`)
	p.says("per second")
	p.says("p99")
}

// The page is there quickly: the first paint of a page whose files the browser
// has not seen.
func TestFirstPaint(t *testing.T) {
	p := open(t)
	var paint float64
	for range 3 {
		p.run(chromedp.Reload())
		p.until(`performance.getEntriesByName('first-contentful-paint').length > 0`)
		paint = eval[float64](p, `performance.getEntriesByName('first-contentful-paint')[0].startTime`)
	}
	t.Logf("first contentful paint after %.0f ms", paint)
	if paint > time.Second.Seconds()*1000 {
		t.Errorf("the first paint took %.0f ms", paint)
	}
}

// Every control has a name for a screen reader.
func TestAccessible(t *testing.T) {
	k, pipe := newKitchen(t), pipeName(t)
	k.serve(t, pipe)
	p := open(t)
	p.openMethod(pipe, "Echo")
	p.click("Headers and deadline")
	p.click("Add header")
	p.write(full)
	p.says("Main")
	unnamed := eval[string](p, `[...document.querySelectorAll('button, input, select, textarea, [role=textbox]')].filter(e =>
		!(e.getAttribute('aria-label') || e.innerText?.trim() || e.labels?.length)).map(e => e.outerHTML).join('\n')`)
	if unnamed != "" {
		t.Errorf("controls without a name:\n%s", unnamed)
	}
}
