package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/grpcpipe/grpcpipe/internal/inspect"
	"github.com/grpcpipe/grpcpipe/internal/ui"
)

type uiFlags struct {
	listen string
	dir    string
	forget bool
	noOpen bool
}

func (a *app) uiCommand() *cobra.Command {
	var flags uiFlags
	cmd := &cobra.Command{
		Use:   "ui",
		Short: "Open a page to see, call and measure servers",
		Long: `Serve a page on loopback, until Ctrl-C, and open it in the browser: the pipes of
this machine, their services, forms and JSON for requests, streams both ways, and
load with a chart. The page needs no network.

The address that is printed holds a token, opens the page once and in one tab,
and is worth what your account is: don't pass it on. Requests that you save, and
the history, are files in --dir, by default grpcpipe/requests in your
configuration directory; headers and members whose names speak of secrets are left
out of them.`,
		Example: `  grpcpipe ui
  grpcpipe ui --dir ./requests --no-open`,
		Args: args(),
		RunE: a.run(func(cmd *cobra.Command, _ []string) error { return a.ui(cmd.Context(), flags) }),
	}
	f := cmd.Flags()
	f.StringVar(&flags.listen, "listen", "127.0.0.1:0", "loopback address to serve on; port 0 takes a free one")
	f.StringVar(&flags.dir, "dir", "", "directory for saved requests and the history")
	f.BoolVar(&flags.forget, "forget", false, "save no requests and keep no history")
	f.BoolVar(&flags.noOpen, "no-open", false, "print the address and open no browser")
	cmd.MarkFlagDirname("dir")
	return cmd
}

// defaultRequests returns the user's own directory for requests, "" if there is
// none.
func defaultRequests() string {
	dir, err := os.UserConfigDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "grpcpipe", "requests")
}

func (a *app) ui(ctx context.Context, flags uiFlags) error {
	switch {
	case flags.forget && flags.dir != "":
		return usage("--forget and --dir: give one of them")
	case !flags.forget && flags.dir == "":
		flags.dir = defaultRequests()
	}
	host, _, err := net.SplitHostPort(flags.listen)
	if ip := net.ParseIP(host); err != nil || host != "localhost" && !ip.IsLoopback() {
		return usage("--listen %q: write a loopback address such as 127.0.0.1:0: the page is for this machine alone", flags.listen)
	}
	lis, err := net.Listen("tcp", flags.listen)
	if err != nil {
		return usage("--listen: %w", err)
	}
	port := strconv.Itoa(lis.Addr().(*net.TCPAddr).Port)
	address := net.JoinHostPort(host, port)
	// Windows lists the pipes of the whole system, which must not all be sent
	// something.
	page := ui.New(ui.Config{Hosts: []string{address}, Dir: flags.dir, Probe: runtime.GOOS != "windows", Base: inspect.Config{Words: ui.Words}})
	defer page.Close()
	srv := &http.Server{Handler: page, ReadHeaderTimeout: 10 * time.Second, BaseContext: func(net.Listener) context.Context { return ctx }}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(lis) }()
	link := "http://" + address + "/#" + page.Token()
	if err := a.announceUI(link); err != nil {
		srv.Close()
		return err
	}
	if !flags.noOpen {
		path, err := openBrowser(ctx, link)
		defer os.Remove(path) // "" if there is none
		if err != nil {
			fmt.Fprintf(a.stderr, "no browser could be opened (%v): open the address yourself\n", err)
		}
	}
	select {
	case err = <-served:
		return internal(err)
	case <-ctx.Done():
	}
	srv.Close()
	<-served
	return nil
}

// announceUI prints where the page is.
func (a *app) announceUI(link string) error {
	if a.json() {
		return a.printJSON(struct {
			Address string `json:"address"`
		}{link})
	}
	_, err := fmt.Fprintf(a.stdout, "The page is at\n\n  %s\n\nIt is good for one tab. Ctrl-C ends it.\n", link)
	if err != nil {
		return internal(err)
	}
	return nil
}

// openBrowser opens the address. Other users can see the arguments of a command,
// so they name a file that only this user can read and that leads on to the
// address. The caller removes the file.
func openBrowser(ctx context.Context, link string) (path string, err error) {
	if runtime.GOOS != "windows" && runtime.GOOS != "darwin" && os.Getenv("DISPLAY")+os.Getenv("WAYLAND_DISPLAY") == "" {
		return "", errors.New("there is no display")
	}
	file, err := os.CreateTemp("", "grpcpipe-ui-*.html") // of mode 0600
	if err != nil {
		return "", err
	}
	_, err = fmt.Fprintf(file, "<!doctype html><meta http-equiv=\"refresh\" content=\"0;url=%s\"><a href=\"%s\">grpcpipe</a>\n", link, link)
	if err = errors.Join(err, file.Close()); err != nil {
		return file.Name(), err
	}
	var cmd *exec.Cmd
	switch runtime.GOOS {
	case "windows":
		cmd = exec.CommandContext(ctx, "rundll32", "url.dll,FileProtocolHandler", file.Name())
	case "darwin":
		cmd = exec.CommandContext(ctx, "open", file.Name())
	default:
		cmd = exec.CommandContext(ctx, "xdg-open", file.Name())
	}
	if err := cmd.Start(); err != nil {
		return file.Name(), err
	}
	go cmd.Wait()
	return file.Name(), nil
}
