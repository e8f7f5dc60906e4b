package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"

	"github.com/grpcpipe/grpcpipe/internal/inspect"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// leastKeepalive is the shortest interval of pings that grpc-go takes.
const leastKeepalive = 10 * time.Second

// connFlags are the flags of every command that connects to a server.
type connFlags struct {
	connectTimeout time.Duration
	server         []string
	authority      string
	maxMessage     string

	tls        bool
	caCert     string
	cert, key  string
	insecure   bool
	serverName string

	userAgent string
	keepalive time.Duration

	headers        []string
	reflectHeaders []string
	expandEnv      bool
}

// addTrust adds the flags for connecting to a pipe, without those for calls.
func (f *connFlags) addTrust(cmd *cobra.Command) {
	flags := cmd.Flags()
	durationVar(flags, &f.connectTimeout, "connect-timeout", "", 10*time.Second, "connection timeout: from opening the pipe to the server's HTTP/2 settings")
	flags.StringArrayVar(&f.server, "server", nil, "servers to trust besides this user's and the system's: any, user=NAME, group=NAME; or the only one: pid=N, exe=PATH (repeatable)")
	words := cobra.FixedCompletions([]string{"any", "user=", "group=", "pid=", "exe="}, cobra.ShellCompDirectiveNoFileComp|cobra.ShellCompDirectiveNoSpace)
	cmd.RegisterFlagCompletionFunc("server", words)
}

func (f *connFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	f.addTrust(cmd)
	flags.StringVar(&f.authority, "authority", "", ":authority to send (default the host; for a pipe localhost, which .NET sends)")
	flags.StringVar(&f.maxMessage, "max-message", "16MiB", "largest message to accept")
	flags.BoolVar(&f.tls, "tls", false, "use TLS; each of the flags below and an https: target imply it")
	flags.StringVar(&f.caCert, "cacert", "", "file with the certificates to trust (default the system's)")
	flags.StringVar(&f.cert, "cert", "", "file with the client's certificate")
	flags.StringVar(&f.key, "key", "", "file with the client's private key")
	flags.BoolVar(&f.insecure, "insecure", false, "don't check the server's certificate")
	flags.StringVar(&f.serverName, "servername", "", "name to expect in the server's certificate (default the host; for a pipe localhost)")
	flags.StringVar(&f.userAgent, "user-agent", "", "user agent to send before grpc-go's own (default grpcpipe/VERSION)")
	durationVar(flags, &f.keepalive, "keepalive", "", 0, "interval of HTTP/2 pings while calls are under way, from 10s on (default none)")
	flags.StringArrayVarP(&f.headers, "header", "H", nil, "header to send, as 'name: value', or @FILE with one a line (repeatable)")
	flags.StringArrayVar(&f.reflectHeaders, "reflect-header", nil, "header to send with reflection alone (repeatable)")
	flags.BoolVar(&f.expandEnv, "expand-env", false, "replace ${NAME} in headers by environment variables")
	flags.String(profileFlag, "", "JSON file with flags by their names, \"target\" and \"method\", or FILE#NAME for one of several; the command line wins")
	cmd.MarkFlagFilename(profileFlag, "json")
	cmd.MarkFlagFilename("cacert")
	cmd.MarkFlagFilename("cert")
	cmd.MarkFlagFilename("key")
}

// trust is what --server says.
func (f *connFlags) trust() (namedpipe.Trust, error) {
	var t namedpipe.Trust
	for _, word := range f.server {
		key, value, found := strings.Cut(word, "=")
		bad := func() error {
			return usage("--server %q: write any, user=NAME, group=NAME, pid=N or exe=PATH", word)
		}
		if word != "any" && (!found || value == "") {
			return t, bad()
		}
		switch key {
		case "any":
			if found {
				return t, bad()
			}
			t.Anyone = true
		case "user":
			t.Users = append(t.Users, value)
		case "group":
			t.Groups = append(t.Groups, value)
		case "pid":
			pid, err := strconv.Atoi(value)
			if err != nil || pid <= 0 {
				return t, usage("--server %q: a process id is a positive number", word)
			}
			t.PID = pid
		case "exe":
			t.Executable = value
		default:
			return t, bad()
		}
	}
	return t, nil
}

// wantsTLS reports whether a flag asks for TLS.
func (f *connFlags) wantsTLS() bool {
	return f.tls || f.insecure || f.caCert != "" || f.cert != "" || f.key != "" || f.serverName != ""
}

// config is what the flags say of the server. In a command that calls a method
// the headers are the call's, which are returned, and reflection gets them too
// but for the secret ones: those it gets only if the server demands to know who
// asks. Elsewhere reflection and the health check are all there is to send them
// with.
func (f *connFlags) config(to string, calls bool) (inspect.Config, metadata.MD, error) {
	cfg := inspect.Config{Target: to, Authority: f.authority, Timeout: f.connectTimeout, UserAgent: "grpcpipe/" + buildInfo().Version, Words: flagWords}
	if err := positive("--connect-timeout", f.connectTimeout); err != nil {
		return cfg, nil, err
	}
	var err error
	if cfg.Trust, err = f.trust(); err != nil {
		return cfg, nil, err
	}
	if f.userAgent != "" {
		cfg.UserAgent = f.userAgent
	}
	if strings.ContainsFunc(f.userAgent, func(r rune) bool { return r < ' ' || r > '~' }) {
		return cfg, nil, usage("--user-agent %q: write printable ASCII", f.userAgent)
	}
	if f.keepalive != 0 {
		if f.keepalive < leastKeepalive {
			return cfg, nil, usage("--keepalive %v: write %v or more: grpc-go sends none more often", f.keepalive, leastKeepalive)
		}
		cfg.Options = append(cfg.Options, grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: f.keepalive}))
	}
	if f.maxMessage != "" {
		if cfg.MaxMessage, err = size("--max-message", f.maxMessage); err != nil {
			return cfg, nil, err
		}
	}
	if cfg.TLS, err = f.tlsConfig(); err != nil {
		return cfg, nil, err
	}
	headers, err := f.parseHeaders("-H", f.headers)
	if err != nil {
		return cfg, nil, err
	}
	if cfg.ReflectHeaders, err = f.parseHeaders("--reflect-header", f.reflectHeaders); err != nil {
		return cfg, nil, err
	}
	if !calls {
		cfg.Headers = headers
		return cfg, headers, nil
	}
	cfg.Demanded = metadata.MD{}
	for name, values := range headers {
		if inspect.IsSecret(name) {
			cfg.Demanded[name] = values
		} else {
			cfg.ReflectHeaders.Append(name, values...)
		}
	}
	return cfg, headers, nil
}

// connect makes a session with the server. The caller closes it.
func (f *connFlags) connect(ctx context.Context, to string, wait bool) (*inspect.Session, error) {
	cfg, _, err := f.config(to, false)
	if err != nil {
		return nil, err
	}
	cfg.Wait = wait
	return inspect.Dial(ctx, cfg)
}

// flagWords are how a user of this command does what a remedy calls for.
var flagWords = inspect.Words{
	AddTLS:        "add --tls",
	DropTLS:       "leave out --tls and the flags that turn it on",
	TrustServer:   "give --server user=NAME, or --server any",
	TrustProcess:  "check --server pid=N and --server exe=PATH",
	CACert:        "give the certificate that signed the server's with --cacert FILE",
	ServerName:    "give a name in the server's certificate with --servername NAME",
	ClientCert:    "the server wants a client certificate: give --cert FILE and --key FILE",
	MoreTime:      "give a longer --connect-timeout",
	Deadline:      "give a longer --deadline",
	MaxMessage:    "give a larger --max-message, such as 64MiB",
	Authority:     "leave --authority out",
	Schema:        "give --proto FILE or --protoset FILE; in .NET write builder.Services.AddGrpcReflection() and app.MapGrpcReflectionService(), in Go reflection.Register(server)",
	ReflectHeader: "give --reflect-header 'name: value'",
	List:          "`grpcpipe ls` lists the pipes there are",
	Wait:          "`grpcpipe ping --wait` waits for one",
	Services:      "`grpcpipe services` lists what the server has",
}

// tlsConfig is what the flags say of TLS, nil if nothing.
func (f *connFlags) tlsConfig() (*tls.Config, error) {
	if !f.wantsTLS() {
		return nil, nil
	}
	cfg := &tls.Config{ServerName: f.serverName, InsecureSkipVerify: f.insecure} //nolint:gosec // --insecure says so
	if f.caCert != "" {
		pem, err := os.ReadFile(f.caCert)
		if err != nil {
			return nil, usage("--cacert: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, usage("--cacert %s: it holds no certificate: give a PEM file", f.caCert)
		}
	}
	if (f.cert == "") != (f.key == "") {
		return nil, usage("--cert and --key go together: give both, or neither")
	}
	if f.cert != "" {
		pair, err := tls.LoadX509KeyPair(f.cert, f.key)
		if err != nil {
			return nil, usage("--cert, --key: %w", err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg, nil
}

// size reads a number of bytes such as 65536, 64KiB or 16MB.
func size(flag, text string) (int, error) {
	digits := strings.TrimRight(text, "BKMGTibkmgt ")
	n, err := strconv.ParseUint(digits, 10, 40)
	unit, known := map[string]uint64{
		"": 1, "B": 1, "K": 1 << 10, "KB": 1e3, "KIB": 1 << 10, "M": 1 << 20, "MB": 1e6, "MIB": 1 << 20, "G": 1 << 30, "GB": 1e9, "GIB": 1 << 30,
	}[strings.ToUpper(strings.TrimSpace(text[len(digits):]))]
	if err != nil || !known || n == 0 || n*unit > 1<<31-1 {
		return 0, usage("%s %q: write a size of less than 2 GiB, such as 64KiB or 16MiB", flag, text)
	}
	return int(n * unit), nil
}

// positive checks a duration given in a flag.
func positive(flag string, d time.Duration) error {
	if d <= 0 {
		return usage("%s %v: write a time of more than zero, such as 500ms or 5s", flag, d)
	}
	return nil
}

// namesFile checks the name of a file to write: - would make a file of that name
// where standard output is meant, which is for results.
func namesFile(flag, path string) error {
	if path == "-" {
		return usage("%s -: it is written to a file: give its name", flag)
	}
	return nil
}

// accessWords is the help for flags of namedpipe.Access.
const accessWords = "me, me-any-elevation, administrators, local-users, everyone, app-containers, low-integrity, user=NAME, group=NAME, deny=NAME, package=SID, sddl=SDDL"

// parseAccess reads the words of --access.
func parseAccess(words []string) (namedpipe.Access, error) {
	var access namedpipe.Access
	classes := map[string]namedpipe.Who{
		"me": namedpipe.CurrentUser, "me-any-elevation": namedpipe.CurrentUserAnyElevation,
		"administrators": namedpipe.Administrators, "local-users": namedpipe.LocalUsers, "everyone": namedpipe.Everyone,
		"app-containers": namedpipe.AppContainers, "low-integrity": namedpipe.LowIntegrity,
	}
	for _, word := range words {
		key, value, found := strings.Cut(word, "=")
		if who, ok := classes[word]; ok {
			access.Who |= who
			continue
		}
		if !found || value == "" {
			return access, usage("--access %q: write one or more of %s", word, accessWords)
		}
		switch key {
		case "user":
			access.Users = append(access.Users, value)
		case "group":
			access.Groups = append(access.Groups, value)
		case "deny":
			access.Deny = append(access.Deny, value)
		case "package":
			access.Packages = append(access.Packages, value)
		case "sddl":
			access.SDDL = value
		default:
			return access, usage("--access %q: write one or more of %s", word, accessWords)
		}
	}
	if _, err := access.Describe(); err != nil {
		return access, usage("--access: %w", err)
	}
	return access, nil
}

// describeAccess is an access in words and in the system's own.
func describeAccess(words []string, access namedpipe.Access) string {
	who := "me"
	if len(words) > 0 {
		who = strings.Join(words, ", ")
	}
	said, err := access.Describe()
	if err != nil {
		return who
	}
	return fmt.Sprintf("%s (%s)", who, said)
}
