package localpg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"time"
)

const oldestMajor = 15

// ErrNoPostgres is returned when no server could be found or installed; its
// message names the package to install.
var ErrNoPostgres = errors.New("no Postgres server of version 15 or newer: install the package postgresql, as in apt-get install postgresql " +
	"(postgresql-server on Fedora) or set KEFU_DATABASE_URL to an administrator's URL of a running one")

// binaries is one installed server.
type binaries struct {
	dir   string
	major int
}

func (b binaries) path(name string) string { return filepath.Join(b.dir, name) }

// find returns the installed servers, newest first, the one in PATH first
// among equals.
func find(ctx context.Context, path string) []binaries {
	var found []binaries
	for _, dir := range candidates(path) {
		if major, ok := majorOf(ctx, filepath.Join(dir, "postgres")); ok && major >= oldestMajor && executable(filepath.Join(dir, "initdb")) {
			found = append(found, binaries{dir, major})
		}
	}
	sort.SliceStable(found, func(i, j int) bool { return found[i].major > found[j].major })
	return found
}

// choose finds a server for the data directory, installing one if there is
// none. Existing data binds to the major version that made it.
func choose(ctx context.Context, path, data string, log *slog.Logger) (binaries, error) {
	found := find(ctx, path)
	if len(found) == 0 {
		if err := install(ctx, log); err != nil {
			return binaries{}, err
		}
		if found = find(ctx, path); len(found) == 0 {
			return binaries{}, ErrNoPostgres
		}
	}
	made, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		return found[0], nil
	}
	if err != nil {
		return binaries{}, fmt.Errorf("version of the data directory: %w", err)
	}
	major := strings.TrimSpace(string(made))
	for _, b := range found {
		if strconv.Itoa(b.major) == major {
			return b, nil
		}
	}
	return binaries{}, fmt.Errorf("%s was made by Postgres %s: install postgresql-%s, or move the folder away to start anew", data, major, major)
}

func candidates(path string) []string {
	var dirs []string
	seen := map[string]bool{}
	add := func(dir string) {
		// A link in PATH leads to the folder with initdb beside the server.
		if real, err := filepath.EvalSymlinks(filepath.Join(dir, "postgres")); err == nil {
			dir = filepath.Dir(real)
		}
		if dir != "" && !seen[dir] && executable(filepath.Join(dir, "postgres")) {
			seen[dir] = true
			dirs = append(dirs, dir)
		}
	}
	for _, dir := range filepath.SplitList(path) {
		add(dir)
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",         // Debian
		"/usr/lib/postgresql*/bin",          // SUSE
		"/usr/libexec/postgresql*",          // Alpine
		"/usr/pgsql-*/bin",                  // postgresql.org's packages for Fedora
		"/opt/homebrew/opt/postgresql*/bin", // Homebrew
		"/usr/local/opt/postgresql*/bin",
	} {
		matches, _ := filepath.Glob(pattern) // the patterns are well formed
		for _, dir := range matches {
			add(dir)
		}
	}
	return dirs
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

var versionText = regexp.MustCompile(`PostgreSQL\) (\d+)`)

// majorOf asks the binary itself. A wrapper or a broken install answers
// nothing and is passed over.
func majorOf(ctx context.Context, postgres string) (int, bool) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, postgres, "--version").Output()
	if err != nil {
		return 0, false
	}
	m := versionText.FindSubmatch(out)
	if m == nil {
		return 0, false
	}
	major, err := strconv.Atoi(string(m[1]))
	return major, err == nil
}

// install tries the package managers that are there, without ever asking for a
// password.
func install(ctx context.Context, log *slog.Logger) error {
	for _, m := range [][][]string{
		{{"apt-get", "update"}, {"apt-get", "install", "-y", "--no-install-recommends", "postgresql"}},
		{{"apk", "add", "postgresql"}},
		{{"dnf", "install", "-y", "postgresql-server"}},
	} {
		manager, err := exec.LookPath(m[0][0])
		if err != nil {
			continue
		}
		prefix, ok := unattended(ctx)
		if !ok {
			return ErrNoPostgres
		}
		log.InfoContext(ctx, "no Postgres found, installing it", "with", filepath.Base(manager))
		if err := runAll(ctx, prefix, m); err != nil {
			return errors.Join(ErrNoPostgres, err)
		}
		return nil
	}
	return ErrNoPostgres
}

// unattended returns what goes before a command to run it as root.
func unattended(ctx context.Context) ([]string, bool) {
	if os.Geteuid() == 0 {
		return nil, true
	}
	if exec.CommandContext(ctx, "sudo", "-n", "true").Run() == nil {
		return []string{"sudo", "-n"}, true
	}
	return nil, false
}

func runAll(ctx context.Context, prefix []string, commands [][]string) error {
	var failed error
	for _, c := range commands {
		argv := append(append([]string{}, prefix...), c...)
		cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		out, err := cmd.CombinedOutput()
		// A failed update of the lists need not stop the install after it.
		failed = nil
		if err != nil {
			failed = fmt.Errorf("%s: %w: %s", c[0], err, lastLine(out))
		}
	}
	return failed
}
