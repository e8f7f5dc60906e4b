package browser

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

var screens = flag.String("screens", "", "directory to write pictures of the main screens to")

// shoot keeps a picture of what the page shows.
func (p *page) shoot(name string) {
	p.t.Helper()
	picture, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.t.Fatal(err)
	}
	if *screens == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(*screens, name+".png"), picture, 0o666); err != nil {
		p.t.Fatal(err)
	}
}

// TestScreens goes through the main screens, at the width of a desktop and of a
// telephone, light and dark, and checks that nothing needs scrolling sideways.
func TestScreens(t *testing.T) {
	k := newKitchen(t)
	k.serve(t, "Kitchen")
	p := open(t)
	p.says("kitchen.Kitchen")
	p.shoot("pipes")
	p.openMethod("Kitchen", "Chat")
	p.write(`{"name": "Pho", "calories": "350", "course": "COURSE_MAIN", "tags": ["hot"], "prices": {"small": 8}}`)
	p.click("Start")
	p.click("Send message")
	p.says("1 sent, 1 received")
	p.click("Half-close")
	p.says("OK")
	p.shoot("call")
	for _, mode := range []string{"light", "dark"} {
		p.dark(mode == "dark")
		p.run(chromedp.EmulateViewport(400, 800))
		if over := eval[int](p, `document.documentElement.scrollWidth - innerWidth`); over > 0 {
			t.Errorf("%s, 400 px wide: the page is %d px too wide", mode, over)
		}
		p.shoot("call-400-" + mode)
	}
}

// dark makes the browser ask for a dark page, or a light one.
func (p *page) dark(on bool) {
	p.t.Helper()
	scheme := "light"
	if on {
		scheme = "dark"
	}
	_, err := chromedp.Call(p.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	if err != nil {
		p.t.Fatal(err)
	}
}
