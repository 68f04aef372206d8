package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// applyFunc brings a freshly generated file or folder to the committed one:
// write makes them equal, compare fails where they are not.
type applyFunc func(fresh, committed string) error

// write touches only files that differ, which keeps build caches warm and lets
// others compile meanwhile, and removes what is no longer generated.
func write(fresh, committed string) error {
	differences, err := diff(fresh, committed)
	if err != nil {
		return err
	}
	for _, d := range differences {
		target := filepath.Join(committed, d.name)
		if d.fresh == nil {
			if err := os.Remove(target); err != nil {
				return fmt.Errorf("remove stale file: %w", err)
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return fmt.Errorf("make folder: %w", err)
		}
		if err := os.WriteFile(target, d.fresh, 0o644); err != nil {
			return fmt.Errorf("write generated file: %w", err)
		}
	}
	return nil
}

func compare(fresh, committed string) error {
	differences, err := diff(fresh, committed)
	if err != nil {
		return err
	}
	if len(differences) == 0 {
		return nil
	}
	var names []string
	for _, d := range differences {
		names = append(names, filepath.Join(committed, d.name))
	}
	return fmt.Errorf("not current, run make generate and commit:\n\t%s", strings.Join(names, "\n\t"))
}

// difference names a file below the compared folders; fresh is nil where the
// file is no longer generated.
type difference struct {
	name  string
	fresh []byte
}

func diff(fresh, committed string) ([]difference, error) {
	want, err := read(fresh)
	if err != nil {
		return nil, err
	}
	have, err := read(committed)
	if err != nil {
		return nil, err
	}
	var differences []difference
	for name, content := range want {
		if old, ok := have[name]; !ok || !bytes.Equal(old, content) {
			differences = append(differences, difference{name, content})
		}
	}
	for name := range have {
		if _, ok := want[name]; !ok {
			differences = append(differences, difference{name, nil})
		}
	}
	slices.SortFunc(differences, func(a, b difference) int { return strings.Compare(a.name, b.name) })
	return differences, nil
}

// read returns every file below root by its relative name; a root that is a
// file itself has the name ".".
func read(root string) (map[string][]byte, error) {
	files := map[string][]byte{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if content == nil {
			content = []byte{}
		}
		files[name] = content
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read %s: %w", root, err)
	}
	return files, nil
}
