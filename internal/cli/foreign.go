package cli

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/grpcpipe/grpcpipe/internal/inspect"
)

// aliases are the names that grpcurl, ghz, grpcui and buf curl have for flags of
// ours.
var aliases = map[string]string{
	"allow-unknown": "allow-unknown-fields", "cafile": "cacert", "cname": "servername", "expand-headers": "expand-env",
	"import-paths": "import-path", "keepalive-time": "keepalive", "max-msg-sz": "max-message", "max-recv-message-size": "max-message",
	"max-time": "deadline", "metadata-file": "header", "msg-template": "template", "paths": "import-path", "rpc-header": "header",
	"rps": "rate", "schema": "proto", "skipTLS": "insecure", "total": "count", "use-reflection": "reflection", "proto-out-dir": "proto-out",
}

// advice is for flags of theirs that have no flag of ours in their place.
var advice = map[string]string{
	"plaintext":             "leave it out: without a TLS flag and without https: nothing is encrypted",
	"http2-prior-knowledge": "leave it out: gRPC always begins with HTTP/2",
	"unix":                  "leave it out and write unix:PATH as the target",
	"unix-socket":           "leave it out and write unix:PATH as the target",
	"protocol":              "leave it out: it is gRPC",
	"call":                  "write the method after the target",
	"data-file":             "write -d @FILE",
	"metadata":              "write -H 'name: value'",
	"reflect-metadata":      "write --reflect-header 'name: value'",
	"format-error":          "write -o json",
	"list-services":         "write grpcpipe services TARGET",
	"list-methods":          "write grpcpipe services TARGET --methods",
	"timeout":               "write --deadline for a call, --connect-timeout for the connection",
	"max-duration":          "write --duration",
	"load-schedule":         "write --rate FROM..TO for a ramp, or --rate FROM..TO/STEPS for steps",
	"load-start":            "write --rate FROM..TO for a ramp, or --rate FROM..TO/STEPS for steps",
	"load-end":              "write --rate FROM..TO for a ramp, or --rate FROM..TO/STEPS for steps",
	"load-step":             "write --rate FROM..TO/STEPS",
	"async":                 "write --rate",
	"open-browser":          "write grpcpipe ui",
}

// shorts are their letters.
var shorts = map[string]string{
	"z": "write --duration", "x": "write --duration", "t": "write --deadline", "D": "write -d @FILE", "m": "write -H 'name: value'",
	"M": "write -d @FILE", "O": "write -o json, or --csv", "k": "write --insecure", "A": "write --user-agent", "c": "write -n for a number, --concurrency for calls under way",
}

// ourName is the name of a flag by any of its names.
func ourName(_ *pflag.FlagSet, name string) pflag.NormalizedName {
	if ours, ok := aliases[name]; ok {
		name = ours
	}
	return pflag.NormalizedName(name)
}

// doubleDashes writes --max-time for -max-time, as Go's flag package, and so
// grpcurl, has it: as a row of letters it would be none of ours.
func doubleDashes(root *cobra.Command, args []string) []string {
	cmd, _, err := root.Find(args)
	if err != nil {
		cmd = root
	}
	args = slices.Clone(args)
	for i, arg := range args {
		if arg == "--" {
			break
		}
		rest, ok := strings.CutPrefix(arg, "-")
		name, _, _ := strings.Cut(rest, "=")
		if !ok || len(name) < 3 || name[0] == '-' {
			continue
		}
		if _, known := advice[name]; known || cmd.Flags().Lookup(name) != nil || root.PersistentFlags().Lookup(name) != nil {
			args[i] = "-" + arg
		}
	}
	return args
}

// flagError says in one line what is wrong with a flag and what to write.
func flagError(cmd *cobra.Command, err error) error {
	hint := fmt.Sprintf("see `%s --help`", cmd.CommandPath())
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		name := unknown.GetSpecifiedName()
		if text := advice[name]; text != "" {
			hint = text
		} else if text := shorts[name]; text != "" && unknown.GetSpecifiedShortnames() != "" {
			hint = text
		} else if near := nearFlag(cmd, name); near != "" {
			hint = fmt.Sprintf("did you mean --%s?", near)
		}
	}
	return &failure{exit: exitUsage, err: err, hint: hint}
}

// nearFlag is the name of the flag that looks like a misspelt one, or "".
func nearFlag(cmd *cobra.Command, name string) string {
	var names []string
	add := func(f *pflag.Flag) { names = append(names, f.Name) }
	cmd.Flags().VisitAll(add)
	cmd.InheritedFlags().VisitAll(add)
	if len(name) < 3 {
		return ""
	}
	return strings.Join(inspect.Nearest(name, names, 1), "")
}

// A duration is a flag's value: a time such as 500ms, or a number of seconds.
type duration struct{ d *time.Duration }

func (v duration) String() string {
	if v.d == nil {
		return "0s"
	}
	return v.d.String()
}

func (v duration) Type() string { return "duration" }

func (v duration) Set(text string) error {
	d, err := time.ParseDuration(text)
	if err != nil {
		seconds, serr := strconv.ParseFloat(text, 64)
		if serr != nil || !(math.Abs(seconds) < math.MaxInt64/1e9) {
			return errors.New("write a time such as 500ms or 5s")
		}
		d = time.Duration(seconds * float64(time.Second))
	}
	*v.d = d
	return nil
}

// durationVar adds a flag for a time.
func durationVar(flags *pflag.FlagSet, d *time.Duration, name, short string, value time.Duration, usage string) {
	*d = value
	flags.VarP(duration{d}, name, short, usage)
}
