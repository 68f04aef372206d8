package demo

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// row is one record of a CSV file.
type row struct {
	file    string
	line    int
	columns map[string]int
	fields  []string
}

// at is the value of a column; the file was checked to have it.
func (r row) at(column string) string { return strings.TrimSpace(r.fields[r.columns[column]]) }

// readTable gives every record of dir/name, of which the named columns must be there.
// Values may hold line breaks, so a record's line is where it begins.
func readTable(dir, name string, columns []string, each func(row) error) error {
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	r := csv.NewReader(f)
	header, err := r.Read()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	at := map[string]int{}
	for i, column := range header {
		at[strings.TrimPrefix(column, "\ufeff")] = i
	}
	for _, column := range columns {
		if _, ok := at[column]; !ok {
			return fmt.Errorf("%s has no column %q", name, column)
		}
	}
	for {
		fields, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		line, _ := r.FieldPos(0)
		if err := each(row{file: name, line: line, columns: at, fields: fields}); err != nil {
			return fmt.Errorf("%s line %d: %w", name, line, err)
		}
	}
}

// mended undoes a text whose UTF-8 was once read as Latin-1: "â\u0080\u0099" for "’".
func mended(text string) string {
	bytes := make([]byte, 0, len(text))
	for _, r := range text {
		if r > 0xff {
			return text
		}
		bytes = append(bytes, byte(r))
	}
	if len(bytes) == len(text) || !utf8.Valid(bytes) {
		return text
	}
	return string(bytes)
}

// cut shortens a text to at most n characters.
func cut(text string, n int) string {
	if utf8.RuneCountInString(text) <= n {
		return text
	}
	return string([]rune(text)[:n-1]) + "…"
}
