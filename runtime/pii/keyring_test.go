package pii

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"
)

func keyFile(t testing.TB) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "master.key")
	if err := NewKeyFile(file); err != nil {
		t.Fatal(err)
	}
	return file
}

func open(t testing.TB, file string) *Keyring {
	t.Helper()
	k, err := OpenKeyring(file)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestKeyFile(t *testing.T) {
	file := keyFile(t)
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := NewKeyFile(file); err == nil {
		t.Error("a master key was overwritten")
	}
	for name, data := range map[string]string{
		"empty":     "",
		"31 bytes":  base64.StdEncoding.EncodeToString(make([]byte, 31)),
		"33 bytes":  base64.StdEncoding.EncodeToString(make([]byte, 33)),
		"no base64": "a key of thirty-two characters !!",
		"raw bytes": string(make([]byte, 32)),
	} {
		bad := filepath.Join(t.TempDir(), "bad.key")
		if err := os.WriteFile(bad, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenKeyring(bad); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if _, err := OpenKeyring(filepath.Join(t.TempDir(), "absent")); err == nil {
		t.Error("an absent file was accepted")
	}
}

func TestDerivedKeysAreStableAndUnrelated(t *testing.T) {
	file := keyFile(t)
	a, again, other := open(t, file), open(t, file), open(t, keyFile(t))
	rapid.Check(t, func(t *rapid.T) {
		label, second := rapid.String().Draw(t, "label"), rapid.String().Draw(t, "second")
		value, different := rapid.String().Draw(t, "value"), rapid.String().Draw(t, "different")
		if !bytes.Equal(a.Derive(label), again.Derive(label)) || !bytes.Equal(a.Index(label, value), again.Index(label, value)) {
			t.Fatal("the same master key gives different keys")
		}
		if bytes.Equal(a.Derive(label), other.Derive(label)) || bytes.Equal(a.Index(label, value), other.Index(label, value)) {
			t.Fatal("different master keys give the same key")
		}
		if len(a.Derive(label)) != 32 || len(a.Index(label, value)) != 32 {
			t.Fatal("not 32 bytes")
		}
		if label != second && (bytes.Equal(a.Derive(label), a.Derive(second)) || bytes.Equal(a.Index(label, value), a.Index(second, value))) {
			t.Fatal("labels or fields share a key")
		}
		if value != different && bytes.Equal(a.Index(label, value), a.Index(label, different)) {
			t.Fatal("two values share an index")
		}
	})
	if bytes.Equal(a.Derive("index/phone"), derive(a.secret, "index/phone")) {
		t.Error("Derive reaches the key of an index")
	}
}

func TestCacheIsBounded(t *testing.T) {
	c := newKeyCache(time.Now)
	for range 2 * cacheSize {
		c.put(uuid.New(), &Subject{})
		if len(c.keys) > cacheSize {
			t.Fatalf("%d keys cached", len(c.keys))
		}
	}
}

func BenchmarkSubjectSeal(b *testing.B) {
	s, err := newSubject(make([]byte, keySize))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := s.Seal(Place{Table: "contacts", Column: "phone"}, "13812345678"); err != nil {
			b.Fatal(err)
		}
	}
}
