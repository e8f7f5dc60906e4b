// Package browser tests the page in a real browser. It is a module of its own,
// so that the driver stays out of the library's go.mod.
package browser

import (
	"context"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/grpcpipe/grpcpipe/internal/inspect"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/internal/ui"
)

var browser context.Context

func TestMain(m *testing.M) {
	os.Exit(func() int {
		// The pipes of these tests alone.
		tmp, err := os.MkdirTemp("", "ui")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(tmp)
		os.Setenv("TMPDIR", tmp)
		path := ""
		for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
			if found, err := exec.LookPath(name); err == nil {
				path = found
				break
			}
		}
		if path == "" {
			if os.Getenv("GRPCPIPE_REQUIRE_CHROMIUM") == "1" {
				fmt.Fprintln(os.Stderr, "there is no Chromium here")
				return 1
			}
			fmt.Println("The page was not tested: there is no Chromium here; Debian's package is chromium")
			return 0
		}
		opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.WindowSize(1280, 900),
			chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-quic", true))
		if os.Geteuid() == 0 {
			opts = append(opts, chromedp.NoSandbox) // Chromium's own does not run as root
		}
		ctx, cancel := chromedp.NewExecAllocator(context.Background(), opts...)
		defer cancel()
		browser, cancel = chromedp.NewContext(ctx)
		defer cancel()
		if err := chromedp.Do(browser); err != nil {
			fmt.Fprintln(os.Stderr, "chromium:", err)
			return 1
		}
		return m.Run()
	}())
}

// A page is the page in a tab of its own, with cookies of its own.
type page struct {
	t       *testing.T
	life    context.Context // of the tab
	ctx     context.Context // with a time limit
	ui      *ui.UI
	addr    string
	dir     string
	foreign bool // the tab shows another page, whose errors are meant
}

// open serves the page and opens it.
func open(t *testing.T) *page {
	t.Helper()
	p := &page{t: t, dir: t.TempDir()}
	srv := httptest.NewUnstartedServer(nil)
	p.addr = srv.Listener.Addr().(*net.TCPAddr).String()
	p.ui = ui.New(ui.Config{Hosts: []string{p.addr}, Dir: p.dir, Probe: true, Base: inspect.Config{Words: ui.Words}})
	srv.Config.Handler = p.ui
	srv.Start()
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
		p.ui.Close()
	})
	p.tab()
	p.run(chromedp.Navigate("http://"+p.addr+"/#"+p.ui.Token()), chromedp.WaitVisible(`section[aria-label="pipes"]`))
	return p
}

// tab gives the page a tab. Whatever the browser reports as an error fails the
// test: an exception, or what the content security policy has stopped.
func (p *page) tab() {
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	p.t.Cleanup(cancel)
	p.life = ctx
	messages := chromedp.Console(ctx)
	if err := chromedp.Do(ctx); err != nil {
		p.t.Fatal(err)
	}
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			if p.foreign {
				continue
			}
			if m.IsException() || m.Type == "error" && !strings.Contains(m.Text, "status of 4") {
				p.t.Errorf("the browser reports: %s %s", m, m.URL)
			}
		}
	}()
	limit, cancel2 := context.WithTimeout(ctx, 60*time.Second)
	p.t.Cleanup(cancel2)
	p.ctx = limit
}

func (p *page) run(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	if err := chromedp.Do(p.ctx, actions...); err != nil {
		p.fail(err)
	}
}

// fail ends the test with what the page shows.
func (p *page) fail(err error) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.life, 5*time.Second)
	defer cancel()
	text, _ := chromedp.Run(ctx, chromedp.Evaluate[string]("document.body.innerText"))
	p.t.Fatalf("%v; the page shows:\n%s", err, text)
}

// eval runs JavaScript and returns its value.
func eval[T any](p *page, js string) T {
	p.t.Helper()
	v, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](js, chromedp.EvalAwaitPromise))
	if err != nil {
		p.fail(err)
	}
	return v
}

// until waits until the JavaScript expression is true.
func (p *page) until(js string) {
	p.t.Helper()
	if _, err := chromedp.Run(p.ctx, chromedp.Poll[chromedp.Void](js, chromedp.WithPollingInterval(20*time.Millisecond), chromedp.WithPollingTimeout(20*time.Second))); err != nil {
		p.fail(fmt.Errorf("waiting for %s: %w", js, err))
	}
}

// says waits until the page shows the text.
func (p *page) says(text string) {
	p.t.Helper()
	p.until(fmt.Sprintf("document.body.innerText.includes(%q)", text))
}

// click clicks the button with the text, or the accessible name.
func (p *page) click(name string) {
	p.t.Helper()
	js := fmt.Sprintf(`[...document.querySelectorAll('button, summary')].find(b => (b.getAttribute('aria-label') ?? b.innerText.trim()) === %q && !b.disabled)`, name)
	p.until("!!" + js)
	eval[bool](p, js+".click() ?? true")
}

// fill types into the field with the label.
func (p *page) fill(label, text string) {
	p.t.Helper()
	field := fmt.Sprintf(`(() => {
		const l = [...document.querySelectorAll('label')].find(l => l.innerText.trim() === %q);
		return (l && (l.control ?? document.getElementById(l.htmlFor))) ?? document.querySelector('[aria-label=' + CSS.escape(%q) + ']') ?? document.querySelector('[aria-label="' + %q + '"]');
	})()`, label, label, label)
	p.until("!!" + field)
	eval[bool](p, fmt.Sprintf(`(() => { const f = %s; const proto = Object.getPrototypeOf(f);
		Object.getOwnPropertyDescriptor(proto, 'value').set.call(f, %q);
		f.dispatchEvent(new Event('input', {bubbles: true})); f.dispatchEvent(new Event('change', {bubbles: true})); return true; })()`, field, text))
}

// json is what the editor holds.
func (p *page) json() string {
	p.t.Helper()
	return eval[string](p, `[...document.querySelectorAll('.cm-line')].map(l => l.innerText).join('\n')`)
}

// write replaces what the editor holds, as pasting over all of it does.
func (p *page) write(text string) {
	p.t.Helper()
	p.until(`!!document.querySelector(".cm-content")`)
	eval[bool](p, `(document.querySelector(".cm-content").focus(), true)`)
	p.run(chromedp.KeyEvent("a", chromedp.KeyModifiers(chromedp.ModifierCtrl)))
	eval[bool](p, fmt.Sprintf(`(() => { const data = new DataTransfer(); data.setData('text/plain', %q);
		return document.querySelector('.cm-content').dispatchEvent(new ClipboardEvent('paste', {clipboardData: data, bubbles: true, cancelable: true})) || true; })()`, text))
}

// openMethod opens a server's method from the first screen.
func (p *page) openMethod(pipe, method string) {
	p.t.Helper()
	p.click(pipe)
	p.click(method)
	p.until(`!!document.querySelector(".cm-content")`)
}

func pipeName(*testing.T) string { return testproc.PipeName() }
