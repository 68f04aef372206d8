package subject

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/google/uuid"
)

// List is the erasure list of one service: a file to which each part of an erasure is
// appended before the part is done: a line with the length of what follows and the part as
// JSON. It holds ids and nothing of the
// persons. It belongs beside the audit anchors, outside of whatever holds the databases and
// their backups; replicas share it.
type List struct{ path string }

// Entry is one part of an erasure.
type Entry struct {
	Time    time.Time `json:"time"`
	Erasure uuid.UUID `json:"erasure"`
	Cursor  string    `json:"cursor"`
	// Subject is the person.
	Subject uuid.UUID `json:"subject"`
	// Customer is who the person is or belongs to; zero in entries of before it was kept.
	Customer uuid.UUID `json:"customer,omitzero"`
	Sets     Sets      `json:"sets"`
}

// OpenList prepares the list of a service in a folder, which must be there.
func OpenList(dir, service string) (*List, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("erasure list: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("erasure list: %s is no folder", dir)
	}
	return &List{path: filepath.Join(dir, service+".erasures")}, nil
}

// Append adds an entry and returns when it is on the disk. Entries of several processes do
// not mix.
func (l *List) Append(e Entry) (err error) {
	text, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("erasure list: %w", err)
	}
	line := fmt.Appendf(nil, "%d %s", len(text), text)
	f, err := os.OpenFile(l.path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("erasure list: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }() // frees the lock
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("erasure list: lock: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("erasure list: %w", err)
	}
	// A line that was cut by a crash ends here; its part was never done.
	if last := make([]byte, 1); info.Size() > 0 {
		if _, err := f.ReadAt(last, info.Size()-1); err != nil {
			return fmt.Errorf("erasure list: %w", err)
		}
		if last[0] != '\n' {
			line = append([]byte("\n"), line...)
		}
	}
	if _, err := f.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("erasure list: %w", err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("erasure list: %w", err)
	}
	if info.Size() > 0 {
		return nil
	}
	dir, err := os.Open(filepath.Dir(l.path))
	if err != nil {
		return fmt.Errorf("erasure list: %w", err)
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Read gives all entries, each part once. A line that cannot be read is an error unless it was
// cut by a crash while it was written: then nothing was done for it.
func (l *List) Read() ([]Entry, error) {
	data, err := os.ReadFile(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("erasure list: %w", err)
	}
	type part struct {
		erasure uuid.UUID
		cursor  string
	}
	var out []Entry
	at := map[part]int{}
	for n, line := range bytes.Split(data, []byte("\n")) {
		length, text, _ := bytes.Cut(line, []byte(" "))
		if want, err := strconv.Atoi(string(length)); err != nil || len(text) < want {
			continue
		}
		var e Entry
		if err := json.Unmarshal(text, &e); err != nil {
			return nil, fmt.Errorf("erasure list %s: line %d cannot be read: %w", l.path, n+1, err)
		}
		p := part{e.Erasure, e.Cursor}
		if i, twice := at[p]; twice {
			out[i] = e
			continue
		}
		at[p] = len(out)
		out = append(out, e)
	}
	return out, nil
}
