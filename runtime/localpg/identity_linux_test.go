package localpg

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// As root without user namespaces the server runs as another user, who must
// be able to reach the folder. For anybody else there is nothing to decide.
func TestIdentity(t *testing.T) {
	b, err := choose(t.Context(), os.Getenv("PATH"), t.TempDir(), options("").log())
	if err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() != 0 {
		if id, err := identify(t.Context(), b, t.TempDir()); err != nil || id != (identity{}) {
			t.Errorf("identity %+v, %v; want our own", id, err)
		}
		return
	}
	base := t.TempDir()
	for _, open := range []string{base, filepath.Dir(base)} {
		if err := os.Chmod(open, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	home := filepath.Join(base, "home")
	d, err := openDir(filepath.Join(home, "pg"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(home, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := demote(t.Context(), b, string(d)); err == nil || !strings.Contains(err.Error(), home+": open it with chmod o+x") {
		t.Errorf("under a closed folder: %v", err)
	}
	if err := os.Chmod(home, 0o711); err != nil {
		t.Fatal(err)
	}
	if err := d.makePassword(); err != nil {
		t.Fatal(err)
	}
	id, err := demote(t.Context(), b, string(d))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.initialise(t.Context(), b, id, options("")); err != nil {
		t.Fatal(err)
	}
	s := &Server{dir: d}
	if s.lock, err = d.lock(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.launch(t.Context(), b, id, options("")); err != nil {
		t.Fatal(err)
	}
	query(t, s.AdminURL(), "SELECT 'up'")
	stop(t, s)
}
