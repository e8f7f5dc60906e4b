package browser

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
)

func TestUnary(t *testing.T) {
	k, pipe := newKitchen(t), pipeName(t)
	k.serve(t, pipe)
	p := open(t)
	p.openMethod(pipe, "Echo")
	p.says("Echo returns what it gets.")
	p.says("Its name on the menu.")
	p.write(`{"name": "soup", "calories": "9007199254740993"}`)
	p.click("Call")
	p.says("OK")
	p.says("served-by")
	p.says("9007199254740993")
	p.says("first message")
}

func TestStream(t *testing.T) {
	k, pipe := newKitchen(t), pipeName(t)
	k.serve(t, pipe)
	p := open(t)
	p.openMethod(pipe, "Chat")
	p.click("Start")
	for i := range 3 {
		p.write(fmt.Sprintf(`{"name": "dish %d"}`, i))
		p.click("Send message")
		p.says(fmt.Sprintf("%d sent, %d received", i+1, i+1))
	}
	p.click("Half-close")
	p.says("OK")
	p.click("Start")
	p.says("running")
	p.click("Cancel")
	p.says("CANCELLED")
}

func TestManyMessages(t *testing.T) {
	k, pipe := newKitchen(t), pipeName(t)
	k.serve(t, pipe)
	p := open(t)
	p.openMethod(pipe, "Count")
	p.write(`{"calories": "100000"}`)
	p.click("Call")
	p.says("100000 received")
	p.says("OK")
	if rows := eval[int](p, `document.querySelectorAll('.row').length`); rows == 0 || rows > 100 {
		t.Errorf("%d rows are in the page", rows)
	}
	took := eval[float64](p, `(async () => { const b = document.querySelector('.messages'); const t = performance.now();
		for (let i = 0; i < 20; i++) { b.scrollTop = b.scrollHeight * i / 20; await new Promise(requestAnimationFrame); }
		return performance.now() - t; })()`)
	t.Logf("20 jumps through 100000 messages took %.0f ms", took)
	p.run(chromedp.KeyEvent("x"))
}

func TestDetails(t *testing.T) {
	k, pipe := newKitchen(t), pipeName(t)
	k.serve(t, pipe)
	p := open(t)
	p.openMethod(pipe, "Spill")
	p.click("Call")
	p.says("FAILED_PRECONDITION")
	p.says("the soup is on the floor")
	p.says("SLIPPERY")
}
