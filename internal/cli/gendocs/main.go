// Command gendocs writes the manual pages and the Markdown reference of the
// grpcpipe command from the command itself.
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

//go:generate go run . ../../../docs

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: gendocs FOLDER")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "gendocs:", err)
		os.Exit(1)
	}
}

// write replaces what is in the folder's man and reference.
func write(dir string) error {
	files, err := generate()
	if err != nil {
		return err
	}
	for _, sub := range []string{"man", "reference"} {
		if err := os.RemoveAll(filepath.Join(dir, sub)); err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return err
		}
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// generate returns the files by name. They depend on the commands alone, not on
// the day.
func generate() (map[string][]byte, error) {
	root := cli.Root()
	root.InitDefaultCompletionCmd()
	root.DisableAutoGenTag = true
	files := map[string][]byte{}
	var visit func(*cobra.Command) error
	visit = func(cmd *cobra.Command) error {
		cmd.InitDefaultHelpCmd()
		cmd.InitDefaultHelpFlag()
		cmd.DisableAutoGenTag = true
		base := strings.ReplaceAll(cmd.CommandPath(), " ", "-")
		var man, md bytes.Buffer
		day := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
		if err := doc.GenMan(cmd, &doc.GenManHeader{Section: "1", Date: &day, Source: "grpcpipe", Manual: "grpcpipe"}, &man); err != nil {
			return err
		}
		files["man/"+base+".1"] = tidy(bytes.Replace(man.Bytes(), []byte(`"Jan 2000"`), []byte(`""`), 1))
		link := func(name string) string { return strings.ReplaceAll(name, "_", "-") }
		if err := doc.GenMarkdownCustom(cmd, &md, link); err != nil {
			return err
		}
		files["reference/"+base+".md"] = tidy(md.Bytes())
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
