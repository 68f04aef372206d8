package subject

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
)

func list(t *testing.T) *List {
	t.Helper()
	l, err := OpenList(t.TempDir(), "survey")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func entry(cursor string) Entry {
	return Entry{Time: time.Unix(1, 0).UTC(), Erasure: uuid.New(), Cursor: cursor, Subject: uuid.New(), Sets: Sets{"answer": {uuid.New()}}}
}

func TestListKeepsEveryPartOnce(t *testing.T) {
	l := list(t)
	if got, err := l.Read(); err != nil || len(got) != 0 {
		t.Errorf("an empty list: %v, %v", got, err)
	}
	first, second := entry(""), entry("x")
	for _, e := range []Entry{first, second, first} {
		if err := l.Append(e); err != nil {
			t.Fatal(err)
		}
	}
	got, err := l.Read()
	if err != nil || len(got) != 2 || got[0].Erasure != first.Erasure || got[1].Sets["answer"][0] != second.Sets["answer"][0] {
		t.Errorf("%v, %v", got, err)
	}
	if info, err := os.Stat(l.path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("rights: %v, %v", info.Mode(), err)
	}
}

func TestListOfManyWriters(t *testing.T) {
	l := list(t)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 20 {
				if err := (&List{path: l.path}).Append(entry("")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if got, err := l.Read(); err != nil || len(got) != 160 {
		t.Errorf("%d entries, %v", len(got), err)
	}
}

// TestCutListGoesOn: a line that a crash cut is left out, wherever it stands; one that was
// changed is an error.
func TestCutListGoesOn(t *testing.T) {
	l := list(t)
	if err := l.Append(entry("")); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(l.path)
	if err != nil {
		t.Fatal(err)
	}
	for length := 1; length < len(whole)-1; length++ {
		if err := os.WriteFile(l.path, append(append([]byte{}, whole...), whole[:length]...), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := l.Read(); err != nil || len(got) != 1 {
			t.Fatalf("cut to %d: %d entries, %v", length, len(got), err)
		}
		if err := l.Append(entry("")); err != nil {
			t.Fatal(err)
		}
		if got, err := l.Read(); err != nil || len(got) != 2 {
			t.Fatalf("cut to %d and gone on: %d entries, %v", length, len(got), err)
		}
	}
	changed := strings.Replace(string(whole), `"erasure"`, `'erasure'`, 1)
	if err := os.WriteFile(l.path, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Read(); err == nil {
		t.Error("a changed line was left out")
	}
	if _, err := OpenList(filepath.Join(t.TempDir(), "nowhere"), "survey"); err == nil {
		t.Error("a folder that is not there was accepted")
	}
}
