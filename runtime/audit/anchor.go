package audit

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/kefu-suite/kefu/runtime/pg"
)

// An anchor is a line of a file: when, which position the chain had reached, and the hash
// of that link. The hash is keyed, so the file needs no seal of its own; it must only lie
// where those who can write the database cannot write, best append-only.
type anchor struct {
	time     time.Time
	position int64
	hash     []byte
}

// longestAnchor is more than a line can have.
const longestAnchor = 256

// AnchorFile is where the anchors of a service lie in a directory.
func AnchorFile(dir, service string) string { return filepath.Join(dir, service+".anchors") }

// BehindError says that the chain in the database does not reach or does not hold what was
// anchored of it: it was cut, made anew, or an older backup was restored.
type BehindError struct {
	Anchored, Head int64
}

// Error says how far the chain is behind.
func (e *BehindError) Error() string {
	if e.Head == e.Anchored {
		return fmt.Sprintf("the link at position %d is not the one that was anchored", e.Head)
	}
	return fmt.Sprintf("the chain ends at position %d and was anchored at %d", e.Head, e.Anchored)
}

// Anchor appends the chain's head to the file, which it makes if need be, and returns once
// the line is on disk. It adds nothing where the head is anchored already. A head behind
// the last anchor is a *[BehindError]. Replicas may share one file: they take turns.
func Anchor(ctx context.Context, db pg.DBTX, file string, now time.Time) (position int64, err error) {
	f, err := openAnchors(file)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil { // the close gives it back
		return 0, fmt.Errorf("lock the anchors: %w", err)
	}
	last, torn, err := lastAnchor(f)
	if err != nil {
		return 0, err
	}
	position, hash, err := Head(ctx, db)
	if err != nil {
		return 0, err
	}
	switch {
	case position < last.position, position == last.position && !bytes.Equal(hash, last.hash):
		return position, &BehindError{Anchored: last.position, Head: position}
	case position == last.position:
		return position, nil
	}
	line := fmt.Sprintf("%s %d %x\n", now.UTC().Format(time.RFC3339), position, hash)
	if torn { // a crash left half a line, which may not be taken away from an append-only file
		line = "\n" + line
	}
	if _, err := f.WriteString(line); err != nil {
		return position, fmt.Errorf("write an anchor: %w", err)
	}
	if err := f.Sync(); err != nil {
		return position, fmt.Errorf("write an anchor: %w", err)
	}
	return position, nil
}

// openAnchors opens the file for reading and appending; that a new one exists is on disk
// before it is used.
func openAnchors(file string) (*os.File, error) {
	_, err := os.Stat(file)
	fresh := errors.Is(err, fs.ErrNotExist)
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o640)
	if err != nil {
		return nil, fmt.Errorf("open the anchors: %w", err)
	}
	if !fresh {
		return f, nil
	}
	dir, err := os.Open(filepath.Dir(file))
	if err == nil {
		err = errors.Join(dir.Sync(), dir.Close())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make the anchors: %w", err), f.Close())
	}
	return f, nil
}

// lastAnchor reads the last whole line; torn says that something without an end follows.
func lastAnchor(f *os.File) (last anchor, torn bool, err error) {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return last, false, fmt.Errorf("read the anchors: %w", err)
	}
	from := max(0, size-4*longestAnchor)
	tail := make([]byte, size-from)
	if _, err := f.ReadAt(tail, from); err != nil && !errors.Is(err, io.EOF) {
		return last, false, fmt.Errorf("read the anchors: %w", err)
	}
	torn = len(tail) > 0 && tail[len(tail)-1] != '\n'
	lines := bytes.Split(tail, []byte("\n"))
	for i := len(lines) - 2; i >= 0; i-- { // what follows the last end of line is no line
		if a, ok := parseAnchor(lines[i]); ok {
			return a, torn, nil
		}
	}
	return last, torn, nil
}

func parseAnchor(line []byte) (a anchor, ok bool) {
	fields := bytes.Split(line, []byte(" "))
	if len(fields) != 3 || len(line) > longestAnchor {
		return a, false
	}
	var errs [3]error
	a.time, errs[0] = time.Parse(time.RFC3339, string(fields[0]))
	a.position, errs[1] = strconv.ParseInt(string(fields[1]), 10, 64)
	a.hash, errs[2] = hex.DecodeString(string(fields[2]))
	return a, errors.Join(errs[:]...) == nil && a.position > 0 && len(a.hash) == 32
}

// anchors reads a file of anchors along with the walk over the chain.
type anchors struct {
	lines *bufio.Scanner
	next  anchor // zero when there is none left
	last  int64
	report
}

// report counts what was met beside the records.
type report struct{ anchored, unreadable int64 }

// newAnchors takes what stands in the file now: what is added during the walk may be of
// links that the walk does not reach any more.
func newAnchors(f *os.File) (*anchors, error) {
	size, err := f.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, fmt.Errorf("read the anchors: %w", err)
	}
	a := &anchors{lines: bufio.NewScanner(io.LimitReader(f, size))}
	a.lines.Buffer(make([]byte, longestAnchor), 64<<10)
	return a, a.advance()
}

// advance moves to the next line that says something.
func (a *anchors) advance() error {
	a.next = anchor{}
	for a.lines.Scan() {
		next, ok := parseAnchor(a.lines.Bytes())
		if !ok {
			if len(a.lines.Bytes()) > 0 {
				a.unreadable++
			}
			continue
		}
		if next.position <= a.last {
			return fmt.Errorf("the anchors are not in order: position %d of %s stands after %d; the file was edited",
				next.position, next.time.Format(time.RFC3339), a.last)
		}
		a.next, a.last = next, next.position
		return nil
	}
	if err := a.lines.Err(); err != nil {
		return fmt.Errorf("read the anchors: %w", err)
	}
	return nil
}

// pass holds a good link against the anchor of its position.
func (a *anchors) pass(l *linked) error {
	if a == nil || a.next.position != l.position {
		return nil
	}
	if !bytes.Equal(a.next.hash, l.hash) {
		return &Broken{Position: l.position, AuditID: l.auditID,
			Problem: "the link is not the one that was anchored at " + a.next.time.Format(time.RFC3339) + "; the chain was made anew"}
	}
	a.anchored++
	return a.advance()
}

// end names the cut when an anchor is left after the chain's last link.
func (a *anchors) end(n int64) error {
	if a == nil || a.next.position == 0 {
		return nil
	}
	return &Broken{Position: n + 1, Problem: fmt.Sprintf("the end of the chain was cut off: position %d was anchored at %s",
		a.next.position, a.next.time.Format(time.RFC3339))}
}
