// Command generate writes everything that is generated from the contracts and
// the queries: Go and gateway code, the OpenAPI document and the sqlc packages.
// With -check it writes nothing and fails where the committed files differ. Run
// it at the repository's root with .bin in PATH.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
)

const (
	codeFolder       = "proto/gen/go"
	documentFile     = "proto/openapi/openapi.json"
	documentTemplate = "tools/openapi.gen.yaml"
)

func main() {
	log.SetFlags(0)
	check := flag.Bool("check", false, "write nothing, fail where a committed file is not current")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *check, flag.Args()); err != nil {
		stop()
		log.Fatalf("generate: %v", err)
	}
}

// run does the parts named (code, openapi, sqlc), or all of them.
func run(ctx context.Context, check bool, parts []string) error {
	if len(parts) == 0 {
		parts = []string{"code", "openapi", "sqlc"}
	}
	scratch, err := os.MkdirTemp("", "kefu-generate-")
	if err != nil {
		return fmt.Errorf("make scratch folder: %w", err)
	}
	defer os.RemoveAll(scratch)
	apply := write
	if check {
		apply = compare
	}
	// All parts run even if one differs, so that one check names every file.
	var failures []error
	for _, part := range parts {
		switch part {
		case "code":
			err = code(ctx, scratch, apply)
		case "openapi":
			err = openapi(ctx, scratch, apply)
		case "sqlc":
			err = sqlc(ctx, check)
		default:
			err = fmt.Errorf("unknown part %q: want code, openapi or sqlc", part)
		}
		failures = append(failures, err)
	}
	return errors.Join(failures...)
}

// code generates into the scratch folder first: the tree is never half written,
// and what no contract produces any more is found by comparing.
func code(ctx context.Context, scratch string, apply applyFunc) error {
	if err := command(ctx, "buf", "generate", "-o", scratch); err != nil {
		return err
	}
	return apply(filepath.Join(scratch, codeFolder), codeFolder)
}

// sqlc runs every service's configuration; `sqlc diff` is its own check.
func sqlc(ctx context.Context, check bool) error {
	var files []string
	for _, pattern := range []string{"services/*/internal/db/sqlc.yaml", "services/internal/*/db/sqlc.yaml"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return fmt.Errorf("find sqlc configurations: %w", err)
		}
		files = append(files, found...)
	}
	verb := "generate"
	if check {
		verb = "diff"
	}
	var failures []error
	for _, file := range files {
		failures = append(failures, command(ctx, "sqlc", verb, "-f", file))
	}
	return errors.Join(failures...)
}

func command(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %v: %w", name, args, err)
	}
	return nil
}
