package ui

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/grpcpipe/grpcpipe/internal/inspect"
	"github.com/grpcpipe/grpcpipe/internal/target"
)

// copyAs writes the request for other programs: for this command in three
// shells, for grpcurl, and as a program in Go and C#. It leaves secrets out.
func (u *UI) copyAs(ctx context.Context, in callRequest) ([][2]string, error) {
	s, err := u.use(ctx, in.Target, in.Options)
	if err != nil {
		return nil, err
	}
	defer s.users.Done()
	m, err := s.schema.Method(in.Method)
	if err != nil {
		return nil, err
	}
	t, err := target.Parse(in.Target)
	if err != nil {
		return nil, err
	}
	k := kept{Body: in.Body, Options: in.Options}.withoutSecrets()
	var body bytes.Buffer
	if json.Compact(&body, []byte(k.Body)) != nil {
		return nil, usage("the request is not complete JSON")
	}
	args := append([]string{"grpcpipe", "call", in.Target, in.Method[1:], "-d", body.String()}, flags(k.Options)...)
	return [][2]string{
		{"bash", line(args, quoteSh)},
		{"cmd", line(args, quoteCmd)},
		{"PowerShell", line(args, quotePowerShell)},
		{"grpcurl", grpcurl(t, k, in.Method, body.String())},
		{"Go", goProgram(in.Target, m, body.String())},
		{"C#", csProgram(t, m)},
	}, nil
}

func flags(o options) []string {
	var args []string
	for _, h := range o.Headers {
		if h[0] != "" {
			args = append(args, "-H", h[0]+": "+secretOr(h))
		}
	}
	if o.Deadline != "" {
		args = append(args, "--deadline", o.Deadline)
	}
	if o.TLS {
		args = append(args, "--tls")
	}
	if o.Insecure {
		args = append(args, "--insecure")
	}
	if o.CACert != "" {
		args = append(args, "--cacert", o.CACert)
	}
	if o.Authority != "" {
		args = append(args, "--authority", o.Authority)
	}
	return args
}

// secretOr returns a header's value, or for a secret the name of where it may
// be found.
func secretOr(h [2]string) string {
	if inspect.IsSecret(h[0]) {
		return "SECRET"
	}
	return h[1]
}

func line(args []string, quote func(string) string) string {
	quoted := make([]string, len(args))
	for i, a := range args {
		quoted[i] = quote(a)
	}
	return strings.Join(quoted, " ")
}

// plain reports whether no shell treats a character of s specially.
func plain(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:") == ""
}

func quoteSh(s string) string {
	if plain(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// quoteCmd quotes for cmd.exe and for the rules by which Windows programs split
// their command line: ^ before each character that cmd treats specially, \" for
// a quote.
func quoteCmd(s string) string {
	if plain(s) {
		return s
	}
	var b strings.Builder
	b.WriteString(`^"`)
	slashes := 0
	for _, r := range s {
		switch {
		case r == '\\':
			slashes++
		case r == '"':
			b.WriteString(strings.Repeat(`\`, slashes) + `\^"`)
			slashes = 0
			continue
		default:
			slashes = 0
		}
		if strings.ContainsRune("^&|<>()%!", r) {
			b.WriteByte('^')
		}
		b.WriteRune(r)
	}
	b.WriteString(strings.Repeat(`\`, slashes) + `^"`)
	return b.String()
}

// quotePowerShell quotes for PowerShell 7.3 and later, which passes quotes on
// to programs.
func quotePowerShell(s string) string {
	if plain(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}

func grpcurl(t target.Target, k kept, method, body string) string {
	address := t.Text
	if t.Kind == target.Pipes {
		if len(t.Paths) != 1 || !strings.HasPrefix(t.Paths[0], "/") {
			return "# grpcurl can't open named pipes of Windows, or several: relay one with\n" +
				line([]string{"grpcpipe", "proxy", t.Text, "127.0.0.1:5000"}, quoteSh) + "\n" +
				line([]string{"grpcurl", "-plaintext", "-d", body, "127.0.0.1:5000", method[1:]}, quoteSh)
		}
		address = "unix:" + t.Paths[0]
	}
	args := []string{"grpcurl"}
	switch {
	case !k.Options.TLS:
		args = append(args, "-plaintext", "-authority", "localhost")
	case k.Options.Insecure:
		args = append(args, "-insecure")
	case k.Options.CACert != "":
		args = append(args, "-cacert", k.Options.CACert)
	}
	for _, h := range k.Options.Headers {
		if h[0] != "" {
			args = append(args, "-H", h[0]+": "+secretOr(h))
		}
	}
	return line(append(args, "-d", body, address, method[1:]), quoteSh)
}

// goName returns a name as protoc-gen-go writes it, with nested names joined by
// _.
func goName(d protoreflect.Descriptor) string {
	name := strings.TrimPrefix(string(d.FullName()), string(d.ParentFile().Package())+".")
	return strings.ReplaceAll(name, ".", "_")
}

func goProgram(target string, m protoreflect.MethodDescriptor, body string) string {
	service, name := goName(m.Parent()), string(m.Name())
	call := fmt.Sprintf("reply, err := client.%s(ctx, request)", name)
	switch {
	case m.IsStreamingClient():
		call = fmt.Sprintf("stream, err := client.%s(ctx) // then stream.Send(request)", name)
	case m.IsStreamingServer():
		call = fmt.Sprintf("stream, err := client.%s(ctx, request) // then stream.Recv()", name)
	}
	return fmt.Sprintf(`conn, err := grpcpipe.NewClient(%s)
if err != nil {
	return err
}
defer conn.Close()
client := pb.New%sClient(conn)
request := &pb.%s{}
if err := protojson.Unmarshal([]byte(%s), request); err != nil {
	return err
}
%s
`, strconv.Quote(target), service, goName(m.Input()), strconv.Quote(body), call)
}

func csProgram(t target.Target, m protoreflect.MethodDescriptor) string {
	service, name := string(m.Parent().Name()), string(m.Name())
	if t.Kind != target.Pipes {
		return fmt.Sprintf("using var channel = GrpcChannel.ForAddress(\"http://%s\");\nvar client = new %s.%sClient(channel);\n", t.Text, service, service)
	}
	call := fmt.Sprintf("var reply = await client.%sAsync(request);", name)
	if m.IsStreamingClient() || m.IsStreamingServer() {
		call = fmt.Sprintf("using var call = client.%s(%s);", name, map[bool]string{true: "", false: "request"}[m.IsStreamingClient()])
	}
	pipe := strings.TrimPrefix(strings.Join(t.Paths, ","), `\\.\pipe\`)
	if i := strings.LastIndex(pipe, "CoreFxPipe_"); i >= 0 {
		pipe = pipe[i+len("CoreFxPipe_"):] // .NET adds this by itself
	}
	return fmt.Sprintf(`using var channel = GrpcChannel.ForAddress("http://localhost", new GrpcChannelOptions {
    HttpHandler = new SocketsHttpHandler {
        ConnectCallback = async (_, ct) => {
            var pipe = new NamedPipeClientStream(".", %s, PipeDirection.InOut,
                PipeOptions.WriteThrough | PipeOptions.Asynchronous, TokenImpersonationLevel.Anonymous);
            await pipe.ConnectAsync(ct);
            return pipe;
        }
    }
});
var client = new %s.%sClient(channel);
var request = new %s();
%s
`, strconv.Quote(pipe), service, service, m.Input().Name(), call)
}
