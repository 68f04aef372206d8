package pii_test

import (
	"bufio"
	"encoding/pem"
	"errors"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kefu-suite/kefu/runtime/pii"
)

// engine starts tools/transit, which is the transit engine of Vault itself, behind TLS.
func engine(t *testing.T) pii.VaultConfig {
	t.Helper()
	dir, token := t.TempDir(), "s.engine"
	program := filepath.Join(dir, "transit")
	build := osexec.Command("go", "build", "-o", program, ".")
	build.Dir = filepath.Join("..", "..", "tools", "transit")
	build.Env = append(os.Environ(), "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build tools/transit: %v\n%s", err, out)
	}
	serve := osexec.Command(program, token)
	serve.Stderr = os.Stderr
	stdin, err := serve.StdinPipe() // it ends with its input
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := serve.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(stdin.Close(), serve.Wait()) })
	address, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewTLSServer(httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: strings.TrimSpace(address)}))
	t.Cleanup(server.Close)
	cfg := pii.VaultConfig{
		URI:       "hcvault://" + server.Listener.Addr().String() + "/transit/keys/kefu",
		TokenFile: filepath.Join(dir, "token"), CAFile: filepath.Join(dir, "ca.pem"),
	}
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := errors.Join(os.WriteFile(cfg.TokenFile, []byte(token), 0o600), os.WriteFile(cfg.CAFile, ca, 0o600)); err != nil {
		t.Fatal(err)
	}
	return cfg
}

// TestVaultMasterAgainstTheEngine: the released transit engine takes and answers what ours
// says and reads. What it says of itself is checked where TestVaultMaster can look inside.
func TestVaultMasterAgainstTheEngine(t *testing.T) {
	cfg := engine(t)
	m, ctx := vaultMaster(t, cfg), t.Context()
	wrapped, id, err := m.Wrap(ctx, []byte("the key"), []byte("its place"))
	if err != nil || id != "hcvault:transit/keys/kefu:v1" {
		t.Fatalf("wrapped under %q, %v", id, err)
	}
	open := func(what, wrapped, place, want string) {
		t.Helper()
		got, err := m.Unwrap(ctx, id, []byte(wrapped), []byte(place))
		if want == "" && !errors.Is(err, pii.ErrCorrupt) || string(got) != want || want != "" && err != nil {
			t.Errorf("%s: %q, %v", what, got, err)
		}
	}
	open("as it was wrapped", string(wrapped), "its place", "the key")
	open("elsewhere", string(wrapped), "another place", "")
	open("cut", string(wrapped[:len(wrapped)-8]), "its place", "")
	open("no ciphertext", "nonsense", "its place", "")
	if next, err := m.Rotate(ctx); err != nil || next != "hcvault:transit/keys/kefu:v2" {
		t.Fatalf("rotated to %q, %v", next, err)
	}
	open("after a rotation", string(wrapped), "its place", "the key")
	again, next, err := m.Wrap(ctx, []byte("the key"), []byte("its place"))
	if current, cerr := m.Current(ctx); err != nil || cerr != nil || next != current {
		t.Fatalf("wrapped under %q, the newest is %q: %v, %v", next, current, err, cerr)
	}
	if err := m.Retire(ctx, []string{next}); err != nil {
		t.Fatal(err)
	}
	open("under a version that is retired", string(wrapped), "its place", "")
	open("under the newest", string(again), "its place", "the key")
	if err := os.WriteFile(cfg.TokenFile, []byte("s.another"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Current(ctx); err == nil || errors.Is(err, pii.ErrCorrupt) {
		t.Errorf("with another token: %v", err)
	}
}
