package pii

import (
	"context"
	"errors"
	"fmt"
)

// Master is a master key with its versions, in a file or in a KMS. A service asks it at its
// start and when a version is replaced, never for a single person, so that it may be slow
// and far away. Its methods are safe for concurrent use.
type Master interface {
	// Current names the version that Wrap uses.
	Current(ctx context.Context) (id string, err error)
	// Has tells whether a version of this name would be of this master key.
	Has(id string) bool
	// Wrap encrypts a key under the current version and names that version. The associated
	// data must be given again to Unwrap.
	Wrap(ctx context.Context, key, associated []byte) (wrapped []byte, id string, err error)
	// Unwrap decrypts what Wrap made. It fails with ErrCorrupt if the wrapped key was changed
	// or made for other associated data, and with ErrNoMaster if there is no such version.
	Unwrap(ctx context.Context, id string, wrapped, associated []byte) ([]byte, error)
	// Rotate makes a new version and names it. Earlier ones unwrap until they are retired.
	Rotate(ctx context.Context) (id string, err error)
	// Retire takes away the versions that are older than all of these, which are in use.
	Retire(ctx context.Context, used []string) error
}

// ErrNoMaster says that a key is wrapped by a version of the master key that is not at hand.
var ErrNoMaster = errors.New("pii: no such version of the master key")

// Successor is a master key that has taken the place of another: it wraps, and the one before
// still unwraps what is under it. It is how a service moves from a key file to a KMS.
func Successor(master, before Master) Master { return successor{master, before} }

type successor struct {
	Master
	before Master
}

func (s successor) Has(id string) bool { return s.Master.Has(id) || s.before.Has(id) }

func (s successor) Unwrap(ctx context.Context, id string, wrapped, associated []byte) ([]byte, error) {
	if s.Master.Has(id) {
		return s.Master.Unwrap(ctx, id, wrapped, associated)
	}
	return s.before.Unwrap(ctx, id, wrapped, associated)
}

// first is the key from which a key file derived everything before there were service keys;
// ok is false where there is none.
func first(m Master) (key []byte, ok bool, err error) {
	switch m := m.(type) {
	case *FileMaster:
		key, err = m.first()
		return key, true, err
	case successor:
		return first(m.before)
	}
	return nil, false, nil
}

func noMaster(id string) error { return fmt.Errorf("%w: %s", ErrNoMaster, id) }
