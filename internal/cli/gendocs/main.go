// Command gendocs writes the manual pages or the Markdown reference of the
// grpcpipe command from the command itself. The reference is kept in docs, the
// manual pages are made for each release.
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/grpcpipe/grpcpipe/internal/cli"
)

//go:generate go run . reference ../../../docs/reference

// kinds are what can be written: each kind's page of a command.
var kinds = map[string]func(*cobra.Command) (name string, text []byte, err error){
	"man":       manPage,
	"reference": referencePage,
}

func main() {
	if len(os.Args) != 3 || kinds[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: gendocs man|reference FOLDER")
		os.Exit(2)
	}
	if err := write(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "gendocs:", err)
		os.Exit(1)
	}
}

// write replaces what is in the folder.
func write(kind, dir string) error {
	files, err := generate(kind)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func manPage(cmd *cobra.Command) (string, []byte, error) {
	var b bytes.Buffer
	day := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	if err := doc.GenMan(cmd, &doc.GenManHeader{Section: "1", Date: &day, Source: "grpcpipe", Manual: "grpcpipe"}, &b); err != nil {
		return "", nil, err
	}
	return base(cmd) + ".1", bytes.Replace(b.Bytes(), []byte(`"Jan 2000"`), []byte(`""`), 1), nil
}

func referencePage(cmd *cobra.Command) (string, []byte, error) {
	var b bytes.Buffer
	link := func(name string) string { return strings.ReplaceAll(name, "_", "-") }
	err := doc.GenMarkdownCustom(cmd, &b, link)
	return base(cmd) + ".md", b.Bytes(), err
}

func base(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// generate returns the files of a kind by name. They depend on the commands
// alone, not on the day.
func generate(kind string) (map[string][]byte, error) {
	root := cli.Root()
	root.InitDefaultCompletionCmd()
	root.DisableAutoGenTag = true
	files := map[string][]byte{}
	var visit func(*cobra.Command) error
	visit = func(cmd *cobra.Command) error {
		cmd.InitDefaultHelpCmd()
		cmd.InitDefaultHelpFlag()
		cmd.DisableAutoGenTag = true
		name, text, err := kinds[kind](cmd)
		if err != nil {
			return err
		}
		files[name] = tidy(text)
		for _, sub := range cmd.Commands() {
			if sub.IsAvailableCommand() && !sub.IsAdditionalHelpTopicCommand() {
				if err := visit(sub); err != nil {
					return err
				}
			}
		}
		return nil
	}
	if err := visit(root); err != nil {
		return nil, err
	}
	return files, nil
}

// tidy leaves no white space at the ends of lines and one newline at the end.
func tidy(b []byte) []byte {
	var out []string
	for line := range strings.Lines(string(b)) {
		out = append(out, strings.TrimRight(line, " \t\r\n"))
	}
	return []byte(strings.TrimRight(strings.Join(out, "\n"), "\n") + "\n")
}
