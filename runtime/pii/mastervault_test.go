package pii_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/kefu-suite/kefu/runtime/pii"
	"github.com/kefu-suite/kefu/runtime/testkit"
)

// transit answers like the transit engine of OpenBao 2 and Vault 1.x, as their API
// documentation has it, for one key of type aes256-gcm96:
//
//	GET  /v1/transit/keys/NAME          {"data": {"latest_version": 2, "min_decryption_version": 1, …}}
//	PUT  /v1/transit/encrypt/NAME       {"plaintext": BASE64, "associated_data": BASE64} → {"data": {"ciphertext": "vault:v2:BASE64"}}
//	PUT  /v1/transit/decrypt/NAME       {"ciphertext": …, "associated_data": …} → {"data": {"plaintext": BASE64}}
//	PUT  /v1/transit/keys/NAME/rotate   204
//	PUT  /v1/transit/keys/NAME/config   {"min_decryption_version": 2} → 204
//
// The token travels in X-Vault-Token; a wrong one is 403, a ciphertext that does not open 400,
// with {"errors": […]}.
type transit struct {
	token string

	mu     sync.Mutex
	keys   [][]byte
	lowest int
}

func (v *transit) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	fail := func(code int, text string) {
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(map[string][]string{"errors": {text}})
	}
	if r.Header.Get("X-Vault-Token") != v.token {
		fail(http.StatusForbidden, "permission denied")
		return
	}
	var body struct {
		Plaintext            string `json:"plaintext"`
		Ciphertext           string `json:"ciphertext"`
		AssociatedData       string `json:"associated_data"`
		MinDecryptionVersion int    `json:"min_decryption_version"`
	}
	_ = json.NewDecoder(r.Body).Decode(&body)
	data := map[string]any{}
	switch r.Method + " " + strings.TrimPrefix(r.URL.Path, "/v1/transit/") {
	case "GET keys/kefu":
		data["latest_version"], data["min_decryption_version"] = len(v.keys), v.lowest
	case "PUT keys/kefu/rotate":
		v.add()
		w.WriteHeader(http.StatusNoContent)
		return
	case "PUT keys/kefu/config":
		v.lowest = body.MinDecryptionVersion
		w.WriteHeader(http.StatusNoContent)
		return
	case "PUT encrypt/kefu":
		aead, nonce := v.cipher(len(v.keys)), make([]byte, 12)
		_, _ = rand.Read(nonce)
		plain, _ := base64.StdEncoding.DecodeString(body.Plaintext)
		sealed := aead.Seal(nonce, nonce, plain, []byte(body.AssociatedData))
		data["ciphertext"] = fmt.Sprintf("vault:v%d:%s", len(v.keys), base64.StdEncoding.EncodeToString(sealed))
	case "PUT decrypt/kefu":
		plain, err := v.open(body.Ciphertext, body.AssociatedData)
		if err != nil {
			fail(http.StatusBadRequest, err.Error())
			return
		}
		data["plaintext"] = base64.StdEncoding.EncodeToString(plain)
	default:
		fail(http.StatusNotFound, "no handler for route")
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"data": data})
}

func (v *transit) add() {
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	v.keys = append(v.keys, key)
}

func (v *transit) cipher(version int) cipher.AEAD {
	block, _ := aes.NewCipher(v.keys[version-1])
	aead, _ := cipher.NewGCM(block)
	return aead
}

func (v *transit) open(ciphertext, associated string) ([]byte, error) {
	parts := strings.SplitN(ciphertext, ":", 3)
	if len(parts) != 3 || parts[0] != "vault" {
		return nil, errors.New("invalid ciphertext: no prefix")
	}
	version, err := strconv.Atoi(strings.TrimPrefix(parts[1], "v"))
	if err != nil || version < v.lowest || version > len(v.keys) {
		return nil, errors.New("ciphertext or signature version is disallowed by policy (too old)")
	}
	sealed, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(sealed) < 12 {
		return nil, errors.New("invalid ciphertext")
	}
	return v.cipher(version).Open(nil, sealed[:12], sealed[12:], []byte(associated))
}

// newTransit starts one with a key and gives what is needed to reach it.
func newTransit(t *testing.T) (*transit, pii.VaultConfig) {
	t.Helper()
	v := &transit{token: "s.secret", lowest: 1}
	v.add()
	server := httptest.NewTLSServer(v)
	t.Cleanup(server.Close)
	dir := t.TempDir()
	cfg := pii.VaultConfig{
		URI:       "hcvault://" + server.Listener.Addr().String() + "/transit/keys/kefu",
		TokenFile: filepath.Join(dir, "token"), CAFile: filepath.Join(dir, "ca.pem"),
	}
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := errors.Join(os.WriteFile(cfg.TokenFile, []byte(v.token+"\n"), 0o600), os.WriteFile(cfg.CAFile, ca, 0o600)); err != nil {
		t.Fatal(err)
	}
	return v, cfg
}

func vaultMaster(t *testing.T, cfg pii.VaultConfig) *pii.VaultMaster {
	t.Helper()
	m, err := pii.OpenVaultMaster(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestVaultMaster(t *testing.T) {
	v, cfg := newTransit(t)
	m := vaultMaster(t, cfg)
	ctx := t.Context()
	wrapped, id, err := m.Wrap(ctx, []byte("the key"), []byte("its place"))
	if err != nil || id != "hcvault:transit/keys/kefu:v1" || !m.Has(id) {
		t.Fatalf("wrapped under %q, %v", id, err)
	}
	if got, err := m.Unwrap(ctx, id, wrapped, []byte("its place")); err != nil || string(got) != "the key" {
		t.Errorf("unwrapped %q, %v", got, err)
	}
	for name, c := range map[string]struct{ wrapped, place string }{
		"elsewhere": {string(wrapped), "another place"},
		"cut":       {string(wrapped[:len(wrapped)-8]), "its place"},
	} {
		if got, err := m.Unwrap(ctx, id, []byte(c.wrapped), []byte(c.place)); !errors.Is(err, pii.ErrCorrupt) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if got, err := m.Unwrap(ctx, "hcvault:transit/keys/other:v1", wrapped, nil); !errors.Is(err, pii.ErrNoMaster) {
		t.Errorf("another key's: %q, %v", got, err)
	}
	if id, err = m.Rotate(ctx); err != nil || id != "hcvault:transit/keys/kefu:v2" {
		t.Errorf("rotated to %q, %v", id, err)
	}
	if _, err := m.Unwrap(ctx, "hcvault:transit/keys/kefu:v1", wrapped, []byte("its place")); err != nil {
		t.Errorf("the version before does not unwrap: %v", err)
	}
	if err := m.Retire(ctx, []string{id}); err != nil || v.lowest != 2 {
		t.Errorf("retired below %d, %v", v.lowest, err)
	}
	if _, err := m.Unwrap(ctx, "hcvault:transit/keys/kefu:v1", wrapped, []byte("its place")); !errors.Is(err, pii.ErrCorrupt) {
		t.Errorf("a retired version unwraps: %v", err)
	}
	v.token = "s.another"
	if _, err := m.Current(ctx); err == nil || errors.Is(err, pii.ErrCorrupt) {
		t.Errorf("with an old token: %v", err)
	}
	if err := os.WriteFile(cfg.TokenFile, []byte(v.token), 0o600); err != nil {
		t.Fatal(err)
	}
	if current, err := m.Current(ctx); err != nil || current != id {
		t.Errorf("with the new token: %q, %v", current, err)
	}
}

func TestVaultMasterRefusesWhatCannotWork(t *testing.T) {
	_, cfg := newTransit(t)
	for name, change := range map[string]func(*pii.VaultConfig){
		"no key":         func(c *pii.VaultConfig) { c.URI = "hcvault://127.0.0.1:1/" },
		"another scheme": func(c *pii.VaultConfig) { c.URI = strings.Replace(c.URI, "hcvault", "http", 1) },
		"no token":       func(c *pii.VaultConfig) { c.TokenFile = "/nowhere" },
		"no authority":   func(c *pii.VaultConfig) { c.CAFile = c.TokenFile },
	} {
		wrong := cfg
		change(&wrong)
		if _, err := pii.OpenVaultMaster(wrong); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	cfg.CAFile = "" // the system's authorities do not know the server
	if _, err := vaultMaster(t, cfg).Current(t.Context()); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an unknown authority: %v", err)
	}
}

// TestMoveToKMS: from a key file to a KMS and on without the file.
func TestMoveToKMS(t *testing.T) {
	db := testkit.Database(t, pii.Migrations())
	file := fileMaster(t, keyFile(t))
	_, cfg := newTransit(t)
	kms := vaultMaster(t, cfg)
	id := uuid.New()
	c := seal(t, stored(t, db, file), db.Pool, id, "13812345678")
	if _, err := pii.Open(t.Context(), db.Pool, kms, time.Now); !errors.Is(err, pii.ErrNoMaster) {
		t.Errorf("without the file, before the move: %v", err)
	}
	k := stored(t, db, pii.Successor(kms, file))
	if err := k.Follow(t.Context(), db.Pool); err != nil {
		t.Fatal(err)
	}
	exec(t, db, `UPDATE service_keys SET retire_time = retire_time - interval '1 hour' WHERE retire_time IS NOT NULL`)
	if err := k.Follow(t.Context(), db.Pool); err != nil {
		t.Fatal(err)
	}
	k = stored(t, db, kms)
	if got, err := k.Open(t.Context(), db.Pool, id, phone, c); err != nil || got != "13812345678" {
		t.Errorf("%q, %v", got, err)
	}
	rotate(t, db, k, kms)
	if got, err := stored(t, db, kms).Open(t.Context(), db.Pool, id, phone, c); err != nil || got != "13812345678" {
		t.Errorf("after a rotation: %q, %v", got, err)
	}
}
