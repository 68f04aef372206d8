package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// keepEnviron writes down what a program reads of the suite's settings, so that its
// subcommands can be called beside it.
func keepEnviron(path string, environ []string) error {
	var own []string
	for _, pair := range environ {
		if strings.HasPrefix(pair, "KEFU_") {
			own = append(own, pair)
		}
	}
	slices.Sort(own)
	if err := writeFile(path, []byte(strings.Join(own, "\n")+"\n")); err != nil {
		return fmt.Errorf("settings of a program: %w", err)
	}
	return nil
}

// Services are the names of the suite's services.
func Services() []string {
	var out []string
	for _, s := range services() {
		out = append(out, s.name)
	}
	return out
}

// Subcommand calls a service's program with arguments, with the settings it was last started
// with, and copies what it prints. The stack need not run, but its database must.
func Subcommand(ctx context.Context, dir, bin, service string, out io.Writer, args ...string) error {
	d := Dir(dir)
	content, err := os.ReadFile(d.environFile(service))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("no %s was started in %s; run `kefuctl up` first, or name its folder with --dir", service, dir)
	}
	if err != nil {
		return fmt.Errorf("settings of %s: %w", service, err)
	}
	program, err := filepath.Abs(filepath.Join(bin, service))
	if err != nil {
		return fmt.Errorf("program of %s: %w", service, err)
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env, cmd.Dir = strings.Split(strings.TrimSpace(string(content)), "\n"), dir
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w", service, strings.Join(args, " "), err)
	}
	return nil
}
