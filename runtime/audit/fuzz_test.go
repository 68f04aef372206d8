package audit_test

import (
	"errors"
	"testing"

	"github.com/kefu-suite/kefu/runtime/audit"
)

// FuzzChain alters a chain in one place, whichever: the check must find it, and at no later
// record than the one that was altered.
func FuzzChain(f *testing.F) {
	for field := range audit.Fields {
		f.Add(uint8(0), uint8(field), uint8(7), uint8(1))
	}
	f.Add(uint8(1), uint8(0), uint8(3), uint8(9))
	f.Add(uint8(2), uint8(0), uint8(11), uint8(0))
	f.Fuzz(func(t *testing.T, kind, field, at, by uint8) {
		const n = 12
		tape := audit.NewTape(key, n)
		if err := tape.Check(); err != nil {
			t.Fatalf("a good chain: %v", err)
		}
		place, other := int(at)%n, int(by)%n
		altered, first := true, place
		switch kind % 3 {
		case 0:
			altered = tape.Alter(place, int(field)%audit.Fields, by)
		case 1:
			tape.Swap(place, other)
			altered, first = place != other, min(place, other)
		case 2:
			tape.Cut(place)
			altered = place != n-1 // a cut end shows only by an anchor
		}
		err := tape.Check()
		broken := new(audit.Broken)
		switch {
		case altered && !errors.As(err, &broken):
			t.Fatalf("kind %d, field %d at %d by %d was not found: %v", kind%3, field, place, by, err)
		case !altered && err != nil:
			t.Fatalf("nothing was altered: %v", err)
		case altered && broken.Position != int64(first+1):
			t.Fatalf("altered at %d, named %d: %s", first+1, broken.Position, broken.Problem)
		}
	})
}

// FuzzAnchorLine: whatever is read as an anchor is written again as it stood.
func FuzzAnchorLine(f *testing.F) {
	f.Add([]byte("2026-11-25T10:00:00Z 12 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"))
	f.Add([]byte("2026-11-25T10:00:00Z 12"))
	f.Add([]byte("2026-11-25T10:00:00+08:00 -1 ff"))
	f.Fuzz(func(t *testing.T, line []byte) {
		written, ok := audit.ParseAnchor(line)
		if !ok {
			return
		}
		if again, ok := audit.ParseAnchor([]byte(written)); !ok || again != written {
			t.Fatalf("%q is read as %q, and that as %q", line, written, again)
		}
	})
}
