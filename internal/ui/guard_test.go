package ui

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// visitor is somebody who can reach the page's port: another user's process, or a
// page in the browser of this user.
type visitor struct {
	t            *testing.T
	u            *UI
	host, origin string
	site, kind   string // Sec-Fetch-Site and Content-Type
	cookie, key  string
}

func newVisitor(t *testing.T, u *UI) visitor {
	return visitor{t: t, u: u, host: "127.0.0.1:7000", origin: "http://127.0.0.1:7000", site: "same-origin", kind: "application/json"}
}

func (v visitor) do(method, path, body string) *http.Response {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Host = v.host
	for name, value := range map[string]string{"Origin": v.origin, "Sec-Fetch-Site": v.site, "Content-Type": v.kind, "Grpcpipe-Key": v.key} {
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	if v.cookie != "" {
		r.AddCookie(&http.Cookie{Name: cookieName, Value: v.cookie})
	}
	w := httptest.NewRecorder()
	v.u.ServeHTTP(w, r)
	return w.Result()
}

// login spends a token.
func (v *visitor) login(token string) int {
	res := v.do("POST", "/api/login", `{"token": "`+token+`"}`)
	for _, c := range res.Cookies() {
		v.cookie = c.Value
		if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode {
			v.t.Errorf("the cookie is %v", c)
		}
	}
	var answer struct{ Key string }
	body, _ := io.ReadAll(res.Body)
	json.Unmarshal(body, &answer)
	v.key = answer.Key
	return res.StatusCode
}

func newUI(t *testing.T) *UI {
	u := New(Config{Hosts: []string{"127.0.0.1:7000"}, Dir: t.TempDir()})
	t.Cleanup(u.Close)
	return u
}

func TestGuard(t *testing.T) {
	t.Parallel()
	u := newUI(t)
	page := newVisitor(t, u)
	token := u.Token()
	if code := page.login(token); code != http.StatusOK {
		t.Fatalf("login: %d", code)
	}
	if code := page.do("POST", "/api/hello", "{}").StatusCode; code != http.StatusNoContent {
		t.Fatalf("the page itself gets %d", code)
	}
	for name, change := range map[string]func(*visitor){
		"another user's process":                 func(v *visitor) { v.cookie, v.key = "", "" },
		"a process that guesses":                 func(v *visitor) { v.cookie, v.key = "x", "x" },
		"the cookie alone, as another port gets": func(v *visitor) { v.key = "" },
		"the key alone":                          func(v *visitor) { v.cookie = "" },
		"a rebound name":                         func(v *visitor) { v.host = "evil.example:7000"; v.origin = "http://evil.example:7000" },
		"localhost, which is not the address":    func(v *visitor) { v.host = "localhost:7000"; v.origin = "http://localhost:7000" },
		"a foreign page":                         func(v *visitor) { v.origin = "http://evil.example" },
		"a page of another port":                 func(v *visitor) { v.origin = "http://127.0.0.1:7001"; v.site = "same-site" },
		"a page without an origin":               func(v *visitor) { v.origin = "null" },
		"no origin at all":                       func(v *visitor) { v.origin = "" },
		"another site, says the browser":         func(v *visitor) { v.site = "cross-site" },
		"a form":                                 func(v *visitor) { v.kind = "application/x-www-form-urlencoded" },
		"a form of text":                         func(v *visitor) { v.kind = "text/plain" },
	} {
		t.Run(name, func(t *testing.T) {
			v := page
			change(&v)
			for _, path := range []string{"hello", "pipes", "open", "schema", "call", "send", "half-close", "cancel", "copy-as", "saved", "save", "remove", "bench"} {
				if code := v.do("POST", "/api/"+path, "{}").StatusCode; code != http.StatusForbidden && code != http.StatusMisdirectedRequest && code != http.StatusUnsupportedMediaType {
					t.Errorf("/api/%s answers with %d", path, code)
				}
			}
		})
	}
}

// A token is good once, whoever comes second, and a wrong one never.
func TestTokenOnce(t *testing.T) {
	t.Parallel()
	u := newUI(t)
	token := u.Token()
	first, second, guesser := newVisitor(t, u), newVisitor(t, u), newVisitor(t, u)
	if code := first.login(token); code != http.StatusOK {
		t.Errorf("the first login: %d", code)
	}
	if code := second.login(token); code != http.StatusForbidden || second.cookie != "" || second.key != "" {
		t.Errorf("the second login: %d, cookie %q, key %q", code, second.cookie, second.key)
	}
	for _, wrong := range []string{"", "x", strings.ToLower(u.Token())} {
		if code := guesser.login(wrong); code != http.StatusForbidden {
			t.Errorf("the token %q: %d", wrong, code)
		}
	}
}

// Nothing is done by a GET, and its answers let no other page in.
func TestGet(t *testing.T) {
	t.Parallel()
	u := newUI(t)
	v := newVisitor(t, u)
	v.login(u.Token())
	for _, method := range []string{"GET", "HEAD", "OPTIONS", "PUT", "DELETE"} {
		for _, path := range []string{"call", "open", "save", "login"} {
			if res := v.do(method, "/api/"+path, "{}"); res.StatusCode < 400 || res.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s /api/%s: %d, %v", method, path, res.StatusCode, res.Header)
			}
		}
	}
	v.origin = ""
	res := v.do("GET", "/", "")
	policy := res.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "trusted-types 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy has no %s: %s", want, policy)
		}
	}
	if strings.Contains(policy, "unsafe") {
		t.Errorf("the policy is %s", policy)
	}
	other := v.do("GET", "/", "").Header.Get("Content-Security-Policy")
	if other == policy {
		t.Error("two pages have the same nonce")
	}
	v.host = "evil.example:7000"
	if code := v.do("GET", "/", "").StatusCode; code != http.StatusMisdirectedRequest {
		t.Errorf("a rebound name gets the page: %d", code)
	}
}

// Names of saved requests stay in the directory.
func TestSavedNames(t *testing.T) {
	t.Parallel()
	s := store{dir: t.TempDir()}
	for _, name := range []string{"", "../x", "a/b", `a\b`, ".hidden", "CON", "nul.x", "a.", "a ", "x\x00", strings.Repeat("a", 200), "ä"} {
		if path, err := s.path(name); err == nil {
			t.Errorf("%q is taken: %s", name, path)
		}
	}
	if _, err := s.path("my soup 2.1"); err != nil {
		t.Error(err)
	}
}

func TestWithoutSecrets(t *testing.T) {
	t.Parallel()
	k := kept{
		Body:    `{"name": "a", "apiKey" : "s3\"cret", "n": {"password":"s3cret", "secretNumber": 5}}`,
		Options: options{Trust: true, Headers: [][2]string{{"Authorization", "Bearer s3cret"}, {"x-id", "7"}}},
	}
	got := k.withoutSecrets()
	if want := `{"name": "a", "apiKey" : "", "n": {"password":"", "secretNumber": 5}}`; got.Body != want {
		t.Errorf("the body is %s, want %s", got.Body, want)
	}
	if got.Options.Headers[0][1] != "" || got.Options.Headers[1][1] != "7" || got.Options.Trust {
		t.Errorf("the options are %v", got.Options)
	}
	if k.Options.Headers[0][1] != "Bearer s3cret" {
		t.Error("the request itself has changed")
	}
}

func TestQuote(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ in, sh, cmd, ps string }{
		{"plain-1.2/x:y", "plain-1.2/x:y", "plain-1.2/x:y", "plain-1.2/x:y"},
		{"", "''", `^"^"`, "''"},
		{"it's", `'it'\''s'`, `^"it's^"`, "'it''s'"},
		{`{"a":"b c"}`, `'{"a":"b c"}'`, `^"{\^"a\^":\^"b c\^"}^"`, `'{"a":"b c"}'`},
		{`%PATH% & "`, `'%PATH% & "'`, `^"^%PATH^% ^& \^"^"`, `'%PATH% & "'`},
		{`C:\dir\`, `'C:\dir\'`, `^"C:\dir\\^"`, `'C:\dir\'`},
	} {
		if got := quoteSh(tt.in); got != tt.sh {
			t.Errorf("sh: %q: %s, want %s", tt.in, got, tt.sh)
		}
		if got := quoteCmd(tt.in); got != tt.cmd {
			t.Errorf("cmd: %q: %s, want %s", tt.in, got, tt.cmd)
		}
		if got := quotePowerShell(tt.in); got != tt.ps {
			t.Errorf("PowerShell: %q: %s, want %s", tt.in, got, tt.ps)
		}
	}
}
