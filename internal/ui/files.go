package ui

import (
	"bytes"
	"crypto/rand"
	"embed"
	"net/http"
)

// dist is made by web/build.mjs.
//
//go:embed dist
var dist embed.FS

// files serves the page's own files, which hold nobody's data.
func (u *UI) files() {
	index := file("index.html")
	u.mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		// The editor adds style elements, which the nonce allows and nothing
		// else can use.
		nonce := rand.Text()
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-"+nonce+
			"'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'")
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write(bytes.ReplaceAll(index, []byte("{{nonce}}"), []byte(nonce)))
	})
	for name, kind := range map[string]string{"app.js": "text/javascript; charset=utf-8", "style.css": "text/css; charset=utf-8"} {
		body := file(name)
		u.mux.HandleFunc("GET /"+name, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.Write(body)
		})
	}
}

func file(name string) []byte {
	b, err := dist.ReadFile("dist/" + name)
	if err != nil {
		panic(err) // the build contains no page
	}
	return b
}
