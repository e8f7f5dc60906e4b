package ui

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"slices"
	"sync"
)

// The page listens on loopback, which every user of the machine and every page
// in a browser can reach. So each request must be
//
//   - for a Host that is the page's own: a name that was rebound to this machine
//     is not;
//   - if it is more than a file of the page, from the page's own Origin, as JSON,
//     and with two secrets: a cookie that scripts can't read and other sites
//     can't send, and a key in the page's own session storage. The key is there
//     because a browser sends a cookie to every port of a host, and another
//     user may listen on one.

const (
	cookieName = "grpcpipe-ui"
	keyHeader  = "Grpcpipe-Key"
	// maxTokens is the greatest number of tokens, and of pages, that are
	// remembered; the oldest are dropped first.
	maxTokens = 16
)

// A guard decides who may use the page.
type guard struct {
	hosts []string

	mu     sync.Mutex
	tokens []string
	pages  []page
}

// A page is an open page.
type page struct{ cookie, key string }

func (g *guard) newToken() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tokens = keep(append(g.tokens, rand.Text()))
	return g.tokens[len(g.tokens)-1]
}

func keep[T any](s []T) []T { return s[max(0, len(s)-maxTokens):] }

// admits checks a request against the rules that apply to all requests, and
// answers one that breaks them.
func (g *guard) admits(w http.ResponseWriter, r *http.Request) bool {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	site := r.Header.Get("Sec-Fetch-Site")
	switch {
	case !slices.Contains(g.hosts, r.Host):
		refuse(w, http.StatusMisdirectedRequest, "this is not the address of the page", "open the address that grpcpipe ui has printed")
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		return true
	case r.Method != http.MethodPost, r.Header.Get("Origin") != "http://"+r.Host, site != "" && site != "same-origin":
		refuse(w, http.StatusForbidden, "only the page itself may ask for this", "")
	case r.Header.Get("Content-Type") != "application/json":
		refuse(w, http.StatusUnsupportedMediaType, "requests are JSON", "")
	default:
		return true
	}
	return false
}

// login opens a page for a token, which can't be used again.
func (g *guard) login(w http.ResponseWriter, r *http.Request) {
	in, err := decode[struct{ Token string }](w, r)
	if err != nil {
		fail(w, err)
		return
	}
	g.mu.Lock()
	i := slices.IndexFunc(g.tokens, func(t string) bool { return same(t, in.Token) })
	var p page
	if i >= 0 {
		g.tokens = slices.Delete(g.tokens, i, i+1)
		p = page{rand.Text(), rand.Text()}
		g.pages = keep(append(g.pages, p))
	}
	g.mu.Unlock()
	if i < 0 {
		refuse(w, http.StatusForbidden, "this address was used before or is not valid", "start grpcpipe ui again and open the address that it prints")
		return
	}
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: p.cookie, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]string{"key": p.key})
}

// loggedIn serves only open pages.
func (g *guard) loggedIn(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cookies := r.CookiesNamed(cookieName)
		g.mu.Lock()
		ok := slices.ContainsFunc(g.pages, func(p page) bool {
			return same(p.key, r.Header.Get(keyHeader)) &&
				slices.ContainsFunc(cookies, func(c *http.Cookie) bool { return same(p.cookie, c.Value) })
		})
		g.mu.Unlock()
		if !ok {
			refuse(w, http.StatusForbidden, "this page is not logged in", "open the address that grpcpipe ui has printed; it is good for one tab")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

func refuse(w http.ResponseWriter, code int, message, next string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(problem{message, next})
}
