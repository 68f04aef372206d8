package pii

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead/subtle"
)

// FileMaster is a master key in a file: one line of 32 bytes in base64 a version, the last
// line the current one. The file may be replaced while programs use it; they see a new
// version within two seconds, and at once when they meet a key that is under it.
type FileMaster struct {
	path string

	mu       sync.Mutex
	looked   time.Time
	modified time.Time
	versions []fileVersion
}

type fileVersion struct {
	id  string
	key []byte
}

// fileFresh is how long the file is not looked at again.
const fileFresh = 2 * time.Second

// NewKeyFile writes a new master key to a new file (0600). It fails if the file exists: a
// lost master key is lost data.
func NewKeyFile(path string) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("pii: master key: %w", err)
	}
	// Written aside and linked, so that the file appears whole and never takes another's place.
	tmp, err := os.CreateTemp(dir.Name(), ".master-*") // mode 0600
	if err != nil {
		return errors.Join(fmt.Errorf("pii: master key: %w", err), dir.Close())
	}
	_, err = tmp.WriteString(newLine())
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err == nil {
		err = os.Link(tmp.Name(), path)
	}
	if err = errors.Join(err, os.Remove(tmp.Name()), dir.Sync(), dir.Close()); err != nil {
		return fmt.Errorf("pii: master key: %w", err)
	}
	return nil
}

// newLine is a new version. rand.Read never fails.
func newLine() string {
	key := make([]byte, keySize)
	_, _ = rand.Read(key)
	return base64.StdEncoding.EncodeToString(key) + "\n"
}

// OpenFileMaster reads a key file. It fails unless each line is 32 bytes in base64.
func OpenFileMaster(path string) (*FileMaster, error) {
	m := &FileMaster{path: path}
	return m, m.look(true)
}

// look reads the file again if it changed; it needs no lock.
func (m *FileMaster) look(now bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !now && time.Since(m.looked) < fileFresh {
		return nil
	}
	info, err := os.Stat(m.path)
	if err != nil {
		return fmt.Errorf("pii: master key: %w", err)
	}
	m.looked = time.Now()
	if len(m.versions) > 0 && info.ModTime().Equal(m.modified) {
		return nil
	}
	versions, err := readVersions(m.path)
	if err != nil {
		return err
	}
	m.versions, m.modified = versions, info.ModTime()
	return nil
}

func readVersions(path string) ([]fileVersion, error) {
	lines, err := readLines(path)
	if err != nil {
		return nil, err
	}
	return parseVersions(path, lines)
}

func readLines(path string) ([]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("pii: master key: %w", err)
	}
	return strings.Split(strings.TrimSpace(string(data)), "\n"), nil
}

func parseVersions(path string, lines []string) ([]fileVersion, error) {
	var out []fileVersion
	for _, line := range lines {
		key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(line))
		if err != nil || len(key) != keySize {
			return nil, fmt.Errorf("pii: master key: each line of %s must hold %d bytes in base64", path, keySize)
		}
		out = append(out, fileVersion{id: fileID(key), key: key})
	}
	return out, nil
}

// fileID names a version by what it is, so that two files cannot be mistaken for each other.
func fileID(key []byte) string { return hex.EncodeToString(derive(key, "subject-key-wrap-id")[:8]) }

// version finds one, in the file as it stands now if it is not known.
func (m *FileMaster) version(id string) (fileVersion, error) {
	for _, now := range []bool{false, true} {
		if err := m.look(now); err != nil {
			return fileVersion{}, err
		}
		m.mu.Lock()
		at := slices.IndexFunc(m.versions, func(v fileVersion) bool { return v.id == id || id == "" })
		if id == "" {
			at = len(m.versions) - 1
		}
		var found fileVersion
		if at >= 0 {
			found = m.versions[at]
		}
		m.mu.Unlock()
		if at >= 0 {
			return found, nil
		}
	}
	return fileVersion{}, noMaster(id)
}

func (m *FileMaster) first() ([]byte, error) {
	if err := m.look(true); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.versions[0].key, nil
}

// Current names the last line.
func (m *FileMaster) Current(context.Context) (string, error) {
	v, err := m.version("")
	return v.id, err
}

// Has tells whether the name looks like one of a key file.
func (m *FileMaster) Has(id string) bool { return !strings.Contains(id, ":") }

// Wrap encrypts under the last line.
func (m *FileMaster) Wrap(_ context.Context, key, associated []byte) ([]byte, string, error) {
	v, err := m.version("")
	if err != nil {
		return nil, "", err
	}
	aead, err := subtle.NewAESGCM(derive(v.key, "service-key-wrap"))
	if err != nil {
		return nil, "", fmt.Errorf("pii: master key: %w", err)
	}
	wrapped, err := aead.Encrypt(key, associated)
	return wrapped, v.id, err
}

// Unwrap decrypts under the line of that name.
func (m *FileMaster) Unwrap(_ context.Context, id string, wrapped, associated []byte) ([]byte, error) {
	v, err := m.version(id)
	if err != nil {
		return nil, err
	}
	aead, err := subtle.NewAESGCM(derive(v.key, "service-key-wrap"))
	if err != nil {
		return nil, fmt.Errorf("pii: master key: %w", err)
	}
	key, err := aead.Decrypt(wrapped, associated)
	if err != nil {
		return nil, errors.Join(ErrCorrupt, err)
	}
	return key, nil
}

// Rotate appends a line.
func (m *FileMaster) Rotate(ctx context.Context) (string, error) {
	err := m.change(func(lines []string) ([]string, error) { return append(lines, strings.TrimSpace(newLine())), nil })
	if err != nil {
		return "", err
	}
	return m.Current(ctx)
}

// Retire removes the lines above the first that is used.
func (m *FileMaster) Retire(_ context.Context, used []string) error {
	return m.change(func(lines []string) ([]string, error) {
		versions, err := parseVersions(m.path, lines)
		keep := slices.IndexFunc(versions, func(v fileVersion) bool { return slices.Contains(used, v.id) })
		return lines[max(keep, 0):], err
	})
}

// change replaces the file as a whole, one change at a time; its rights stay.
func (m *FileMaster) change(edit func(lines []string) ([]string, error)) (err error) {
	dir, err := os.Open(filepath.Dir(m.path))
	if err != nil {
		return fmt.Errorf("pii: master key: %w", err)
	}
	defer func() { err = errors.Join(err, dir.Close()) }() // frees the lock
	if err := syscall.Flock(int(dir.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("pii: lock %s: %w", dir.Name(), err)
	}
	info, err := os.Stat(m.path)
	if err != nil {
		return fmt.Errorf("pii: master key: %w", err)
	}
	lines, err := readLines(m.path)
	if err != nil {
		return err
	}
	if lines, err = edit(lines); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir.Name(), ".master-*")
	if err != nil {
		return fmt.Errorf("pii: master key: %w", err)
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // gone once it is renamed
	_, err = tmp.WriteString(strings.Join(lines, "\n") + "\n")
	if err = errors.Join(err, tmp.Chmod(info.Mode().Perm()), tmp.Sync(), tmp.Close()); err != nil {
		return fmt.Errorf("pii: master key: %w", err)
	}
	if err := errors.Join(os.Rename(tmp.Name(), m.path), dir.Sync()); err != nil {
		return fmt.Errorf("pii: master key: %w", err)
	}
	m.mu.Lock()
	m.versions = nil
	m.mu.Unlock()
	return m.look(true)
}
