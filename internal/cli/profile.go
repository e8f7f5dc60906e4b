package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/grpcpipe/grpcpipe/internal/inspect"
)

const profileFlag = "profile"

// hasPaths are the flags whose values are paths, in a profile from its folder.
var hasPaths = []string{"cacert", "cert", "key", "proto", "import-path", "protoset", "rows", "compare"}

// A profile holds the settings for a server: flags by name, the target and the
// method.
type profile struct {
	where  string // for errors
	dir    string
	values map[string]json.RawMessage
}

// readProfile reads FILE, or FILE#NAME for one of several in it.
func readProfile(text string) (*profile, error) {
	path, name, named := strings.Cut(text, "#")
	f, err := os.Open(path)
	if err != nil {
		return nil, usage("--profile: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(inspect.Text(f))
	if err != nil {
		return nil, usage("--profile %s: %w", path, err)
	}
	p := &profile{where: text, dir: filepath.Dir(path)}
	if !named {
		return p, p.decode(b)
	}
	all := map[string]json.RawMessage{}
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, badProfile(path, b, err)
	}
	raw, ok := all[name]
	if !ok {
		names := slices.Sorted(maps.Keys(all))
		if near := inspect.Nearest(name, names, 1); len(near) > 0 {
			return nil, usage("--profile %s: there is no %q in it: did you mean %q?", path, name, near[0])
		}
		return nil, usage("--profile %s: there is no %q in it: it has %s", path, name, strings.Join(names, ", "))
	}
	return p, p.decode(raw)
}

func (p *profile) decode(b []byte) error {
	if err := json.Unmarshal(b, &p.values); err != nil {
		return badProfile(p.where, b, err)
	}
	return nil
}

// badProfile is the error for a file that isn't JSON of the right form. It says
// where and shows nothing of it.
func badProfile(where string, b []byte, err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		line := 1 + bytes.Count(b[:min(int(syntax.Offset), len(b))], []byte("\n"))
		return usage("--profile %s: line %d: %w", where, line, err)
	}
	return usage("--profile %s: write a JSON object of flags, or of profiles and FILE#NAME", where)
}

// apply sets the flags that the command line has not set, adds to those that may
// be repeated, and returns the arguments with the target and the method.
func (p *profile) apply(cmd *cobra.Command, args []string) ([]string, error) {
	for _, name := range slices.Sorted(maps.Keys(p.values)) {
		if name == "target" || name == "method" {
			continue
		}
		values, err := p.strings(name)
		if err != nil {
			return nil, err
		}
		flag := cmd.Flags().Lookup(name)
		if flag == nil || name == profileFlag {
			if err := p.known(cmd, name); err != nil {
				return nil, err
			}
			continue // it is for another command
		}
		_, many := flag.Value.(pflag.SliceValue)
		switch {
		case flag.Changed && !many:
			continue
		case len(values) != 1 && !many:
			return nil, usage("--profile %s: %q takes one value", p.where, name)
		}
		for _, v := range values {
			if err := cmd.Flags().Set(name, p.path(name, v)); err != nil {
				return nil, usage("--profile %s: %q: %w", p.where, name, err)
			}
		}
	}
	return p.arguments(cmd, args)
}

// known is the error for a key that is a flag of no command.
func (p *profile) known(cmd *cobra.Command, name string) error {
	var names []string
	for _, c := range cmd.Root().Commands() {
		if c.Flags().Lookup(name) != nil && name != profileFlag {
			return nil
		}
		c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	}
	slices.Sort(names)
	if near := inspect.Nearest(name, slices.Compact(names), 1); len(near) > 0 {
		return usage("--profile %s: there is no flag %q: did you mean %q?", p.where, name, near[0])
	}
	return usage("--profile %s: there is no flag %q", p.where, name)
}

// strings is a value as it would be on the command line.
func (p *profile) strings(name string) ([]string, error) {
	bad := usage("--profile %s: %q: write a string, a number, true, false, or a list of these", p.where, name)
	one := func(raw json.RawMessage) (string, error) {
		var v any
		d := json.NewDecoder(bytes.NewReader(raw))
		d.UseNumber()
		if err := d.Decode(&v); err != nil {
			return "", bad
		}
		switch v := v.(type) {
		case string:
			return v, nil
		case json.Number, bool:
			return fmt.Sprint(v), nil
		}
		return "", bad
	}
	var list []json.RawMessage
	if json.Unmarshal(p.values[name], &list) != nil || list == nil {
		list = []json.RawMessage{p.values[name]}
	}
	var all []string
	for _, raw := range list {
		v, err := one(raw)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

// path makes a relative path count from the profile's folder.
func (p *profile) path(name, v string) string {
	file, at := strings.CutPrefix(v, "@")
	switch {
	case slices.Contains(hasPaths, name) && v != "" && !filepath.IsAbs(v):
		return filepath.Join(p.dir, v)
	case at && file != "-" && file != "" && (name == "data" || name == "header" || name == "reflect-header") && !filepath.IsAbs(file):
		return "@" + filepath.Join(p.dir, file)
	}
	return v
}

// arguments puts the target, and the method if a command has none, before and
// behind what the command line has.
func (p *profile) arguments(cmd *cobra.Command, args []string) ([]string, error) {
	if p.values["target"] != nil {
		target, err := p.strings("target")
		if err != nil || len(target) != 1 {
			return nil, usage("--profile %s: \"target\" takes one string", p.where)
		}
		args = append(target, args...)
	}
	if p.values["method"] != nil && len(args) == 1 && strings.Contains(cmd.Use, " METHOD") {
		method, err := p.strings("method")
		if err != nil || len(method) != 1 {
			return nil, usage("--profile %s: \"method\" takes one string", p.where)
		}
		args = append(args, method...)
	}
	if err := cmd.ValidateArgs(args); err != nil {
		if f := asFailure(err); f != nil && p.values["target"] != nil {
			return nil, usageThen("the profile names the target: leave it out of the command line", "--profile %s: %w", p.where, f.err)
		}
		return nil, err
	}
	return args, nil
}

// profiled applies the profile that the command line names, if any.
func profiled(cmd *cobra.Command, args []string) ([]string, error) {
	flag := cmd.Flags().Lookup(profileFlag)
	if flag == nil || !flag.Changed {
		return args, nil
	}
	p, err := readProfile(flag.Value.String())
	if err != nil {
		return nil, err
	}
	if cmd.Annotations == nil {
		cmd.Annotations = map[string]string{}
	}
	cmd.Annotations[profileFlag] = p.where // from now on the arguments are whole
	return p.apply(cmd, args)
}
