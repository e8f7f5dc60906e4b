package browser

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"
)

// full is a request with every kind of field, and a member that the schema does
// not have.
const full = `{
  "name": "Pho \"tái\"",
  "calories": "9007199254740993",
  "hot": true,
  "course": "COURSE_MAIN",
  "tags": ["a", "b"],
  "prices": {"small": 8, "large": 11},
  "address": {"street": "Main", "number": 4294967295},
  "served": "2026-01-31T12:00:00.123456789Z",
  "cooking": "5400.500s",
  "rating": "-5",
  "picture": "AAH/",
  "extra": {"@type": "type.googleapis.com/kitchen.Address", "street": "Any"},
  "sides": [{"name": "rice", "sides": [{"hot": true}]}],
  "weight": 1.10
}`

func sameJSON(t *testing.T, got, want string) {
	t.Helper()
	var g, w any
	for text, v := range map[string]*any{got: &g, want: &w} {
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		if err := d.Decode(v); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
	}
	if !reflect.DeepEqual(g, w) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// The form changes what it is told to, and nothing else is lost: not the text of
// a number, not the order, not a member that the schema does not have.
func TestFormKeepsAll(t *testing.T) {
	k, pipe := newKitchen(t), pipeName(t)
	k.serve(t, pipe)
	p := open(t)
	p.openMethod(pipe, "Echo")
	p.write(strings.Replace(full, `"weight"`, `"unheardOf": [1.0, 1e400], "weight"`, 1))
	p.says("Kept from the JSON, not in the schema: unheardOf")
	p.fill("name", "Bun cha")
	p.until(`document.querySelector('.cm-content').innerText.includes('Bun cha')`)
	got := p.json()
	for _, want := range []string{`"Bun cha"`, "9007199254740993", "1.10", "1e400", "1.0", "4294967295", "123456789Z"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is lost:\n%s", want, got)
		}
	}
	if strings.Index(got, "unheardOf") > strings.Index(got, "weight") {
		t.Error("the order has changed")
	}
}

// What the form builds from nothing is what the server gets and answers.
func TestFormBuilds(t *testing.T) {
	k, pipe := newKitchen(t), pipeName(t)
	k.serve(t, pipe)
	p := open(t)
	p.openMethod(pipe, "Echo")
	p.write(`{}`)
	p.until(`document.querySelector('.form input')`)
	p.fill("name", "Pho")
	p.fill("calories", "9007199254740993")
	p.fill("hot", "true")
	p.fill("course", "COURSE_MAIN")
	p.click("add to tags")
	p.fill("tags 1", "spicy")
	p.click("add to prices")
	p.fill("value for key1", "8")
	p.fill("key 1 of prices", "small")
	p.fill("one of place", "address")
	p.fill("street", "Main")
	p.fill("served", "2026-01-31T12:00:00Z")
	p.fill("cooking", "90s")
	p.fill("rating", "0")
	p.fill("picture", "AAH/")
	p.fill("weight", "1.5")
	p.click("Call")
	p.says("OK")
	sameJSON(t, eval[string](p, `document.querySelector('.shown').innerText`), `{
		"name": "Pho", "calories": "9007199254740993", "hot": true, "course": "COURSE_MAIN", "tags": ["spicy"], "prices": {"small": 8},
		"address": {"street": "Main"}, "served": "2026-01-31T12:00:00Z", "cooking": "90s", "rating": "0", "picture": "AAH/", "weight": 1.5}`)
	// Another choice takes the place of the first.
	p.fill("one of place", "table")
	p.until(`!document.querySelector('.cm-content').innerText.includes('street')`)
}

func TestEverythingTravels(t *testing.T) {
	k, pipe := newKitchen(t), pipeName(t)
	k.serve(t, pipe)
	p := open(t)
	p.openMethod(pipe, "Echo")
	p.write(full)
	p.click("Call")
	p.says("OK")
	sameJSON(t, eval[string](p, `document.querySelector('.shown').innerText`),
		strings.Replace(full, "1.10", "1.1", 1))
}

func TestBadRequest(t *testing.T) {
	k, pipe := newKitchen(t), pipeName(t)
	k.serve(t, pipe)
	p := open(t)
	p.openMethod(pipe, "Echo")
	p.write(`{"nam": "x"}`)
	p.click("Call")
	p.says(`unknown field "nam"`)
	p.write(`{"name": `)
	p.says("The JSON is not complete")
	if !eval[bool](p, `document.querySelector('button.primary').disabled`) {
		t.Error("what is not complete can be sent")
	}
	if len(k.header) > 0 {
		t.Error("a bad request was sent")
	}
}

// accept takes what the editor offers. The editor does not take a key for that
// in the first 75 ms, so that nobody accepts what they have not seen.
func (p *page) accept() {
	p.t.Helper()
	eval[bool](p, `new Promise(done => setTimeout(done, 100, true))`)
	p.key("\r")
}

// The editor offers what the schema has, by the keyboard alone, and Ctrl+Enter
// calls.
func TestKeyboard(t *testing.T) {
	k, pipe := newKitchen(t), pipeName(t)
	k.serve(t, pipe)
	p := open(t)
	p.key("/")
	p.until(`document.activeElement.type === 'search'`)
	// The driver sends the character even where the page has taken the key.
	p.key(kb.Backspace)
	p.typed(pipe)
	p.key("\r")
	p.click("Echo")
	p.write(`{}`)
	p.key(kb.ArrowLeft) // into the braces
	p.typed(`"cou`)
	p.until(`[...document.querySelectorAll('.cm-completionLabel')].some(l => l.innerText === '"course"')`)
	p.accept()
	p.until(`document.querySelector('.cm-content').innerText.includes('"course": ')`)
	p.typed(`"COURSE_M`)
	p.until(`[...document.querySelectorAll('.cm-completionLabel')].some(l => l.innerText === '"COURSE_MAIN"')`)
	p.accept()
	p.until(`document.querySelector('.cm-content').innerText.includes('"COURSE_MAIN"')`)
	p.ctrlEnter()
	p.says("OK")
	p.says("COURSE_MAIN")
}
