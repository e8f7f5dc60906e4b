package ui_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/grpcpipe/grpcpipe/ui"
)

func Example() {
	srv := httptest.NewUnstartedServer(nil)
	page := ui.New(ui.Config{Hosts: []string{srv.Listener.Addr().(*net.TCPAddr).String()}})
	defer page.Close()
	srv.Config.Handler = page
	srv.Start()
	defer srv.Close()

	// What a browser opens.
	res, err := http.Get(srv.URL + "/#" + page.Token())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	fmt.Println(res.StatusCode, strings.Contains(string(body), "<title>grpcpipe</title>"), err)

	// What anybody else gets.
	res, err = http.Post(srv.URL+"/api/pipes", "application/json", strings.NewReader("{}"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer res.Body.Close()
	fmt.Println(res.StatusCode)
	// Output:
	// 200 true <nil>
	// 403
}
