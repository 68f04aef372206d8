package audit

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	auditv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/audit/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
)

// SearchSQL is the query of a request, for the test of its plan.
func SearchSQL(req *auditv1.ListAuditRecordsRequest, cursor string) (string, []any, error) {
	q, err := newSearch(req, cursor, 51)
	if err != nil {
		return "", nil, err
	}
	return q.text(), q.args, nil
}

// The statements of the sequencer's pass and of the walk, for the test of their plans.
const (
	EnterSearch   = enterSearch
	ReadUnentered = readUnentered
	ReadLinks     = readLinks
)

// Settle looks for all that is held among what is filed, and SettleLate does so when nobody has
// filed it for long.
func (r *Reads) Settle(ctx context.Context) error { return r.settle(ctx, time.Now().Add(holdFor)) }
func (r *Reads) SettleLate(ctx context.Context) error {
	return r.settle(ctx, time.Now().Add(fileAfter))
}

// Held is how many records are held.
func (r *Reads) Held() int { return len(r.held) }

// MostHeld is how many records may be.
const MostHeld = mostHeld

// SampleMAC seals the second sample with an address in it.
func SampleMAC(key []byte, address netip.Prefix) []byte {
	r := sampleRecord(1)
	r.address = address
	return r.mac(key)
}

// Kept is what a record keeps of an address.
func Kept(kind authn.Kind, a netip.Addr) string { return addressText(kept(kind, a)) }

// ParseAnchor tells whether a line is an anchor, and writes it anew.
func ParseAnchor(line []byte) (string, bool) {
	a, ok := parseAnchor(line)
	return fmt.Sprintf("%s %d %x", a.time.UTC().Format(time.RFC3339), a.position, a.hash), ok
}

// Tape is a chain in memory.
type Tape struct {
	key   []byte
	links []linked
}

// NewTape makes a good chain of n records.
func NewTape(key []byte, n int) *Tape {
	t := &Tape{key: key}
	var previous []byte
	for i := range n {
		l := linked{position: int64(i + 1), previous: notNil(previous), found: true, entered: true}
		l.record = sampleRecord(i)
		l.auditID = l.id
		l.storedMAC = l.mac(key)
		l.hash = link(key, l.position, previous, l.id, l.storedMAC)
		previous = l.hash
		t.links = append(t.links, l)
	}
	return t
}

func sampleRecord(i int) record {
	cause, customer := uuid.NewSHA1(uuid.Nil, []byte{byte(i)}), uuid.NewSHA1(uuid.Max, []byte{byte(i % 97)})
	r := record{
		id:    uuid.NewSHA1(uuid.Nil, fmt.Appendf(nil, "record %d", i)),
		time:  time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(i) * time.Second),
		actor: fmt.Sprintf("issuer|person-%d", i%50), actorKind: 1, action: fmt.Sprintf("/kefu.Things/Change%d", i%40),
		objectType: "thing", objectID: uuid.NewSHA1(uuid.Nil, fmt.Appendf(nil, "object %d", i/3)),
		right: fmt.Sprintf("role:r%d/things.change", i%12), changes: make([]byte, 32), requestID: fmt.Sprint("request-", i),
		customer: &customer,
	}
	if i%3 == 2 { // the others are as those of before there was an address
		r.address = netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}), 32)
	}
	if i%2 == 1 {
		r.cause = &cause
	}
	return r
}

// Fields of a record and of its link that can be altered.
const Fields = 17

// Alter changes a field of one record and tells whether anything is different.
func (t *Tape) Alter(at, field int, by byte) bool {
	if by == 0 {
		return false
	}
	l := &t.links[at]
	text := string(rune('a' + by%26))
	flip := func(b []byte) { b[int(by)%len(b)] ^= by }
	switch field {
	case 0:
		l.time = l.time.Add(time.Duration(by) * time.Microsecond)
	case 1:
		l.actor += text
	case 2:
		l.actorKind += int16(by)
	case 3:
		l.action += text
	case 4:
		l.objectType += text
	case 5:
		flip(l.objectID[:])
	case 6:
		l.right += text
	case 7:
		flip(l.changes)
	case 8:
		l.requestID += text
	case 9:
		l.cause = &uuid.UUID{by}
	case 10:
		l.customer = nil
	case 11:
		flip(l.storedMAC)
	case 12:
		flip(l.hash)
	case 13:
		l.found = false
	case 14:
		l.id[0] ^= by
		l.auditID = l.id
	case 15: // a boundary between two texts that moves
		l.action, l.objectType = l.action+l.objectType[:1], l.objectType[1:]
	case 16:
		had := l.address
		l.address = netip.Prefix{} // taken away, or another, or one where there was none
		if by%2 == 0 || !had.IsValid() {
			l.address = netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 51, 100, by}), 32)
		}
	}
	return true
}

// Swap exchanges two records with their links' contents.
func (t *Tape) Swap(a, b int) {
	t.links[a], t.links[b] = t.links[b], t.links[a]
	t.links[a].position, t.links[b].position = t.links[b].position, t.links[a].position
}

// Cut takes one record with its link out and closes the gap.
func (t *Tape) Cut(at int) {
	t.links = append(t.links[:at], t.links[at+1:]...)
	for i := at; i < len(t.links); i++ {
		t.links[i].position--
	}
}

// Check walks the tape as Verify walks the table.
func (t *Tape) Check() error {
	var previous []byte
	for i := range t.links {
		if err := t.links[i].check(t.key, int64(i+1), previous); err != nil {
			return err
		}
		previous = t.links[i].hash
	}
	return nil
}

// Fill writes n good records with links and search entries as the owner of a database.
func Fill(ctx context.Context, conn *pgx.Conn, key []byte, n int) error {
	type linkRow struct {
		position       int64
		id             uuid.UUID
		previous, hash []byte
	}
	var previous []byte
	const run = 20000
	for from := 0; from < n; from += run {
		var records []record
		var links []linkRow
		for i := from; i < min(n, from+run); i++ {
			r := sampleRecord(i)
			own := link(key, int64(i+1), previous, r.id, r.mac(key))
			links = append(links, linkRow{int64(i + 1), r.id, notNil(previous), own})
			records, previous = append(records, r), own
		}
		_, err := conn.CopyFrom(ctx, pgx.Identifier{"audit_records"}, []string{"id", "time", "actor", "actor_kind", "action", "object_type",
			"object_id", "access_right", "changes_hash", "request_id", "cause_event_id", "mac", "customer_id", "address"},
			pgx.CopyFromSlice(len(records), func(i int) ([]any, error) {
				r := &records[i]
				return []any{r.id, r.time, r.actor, r.actorKind, r.action, r.objectType, r.objectID, r.right, r.changes, r.requestID, r.cause, r.mac(key), r.customer, r.address}, nil
			}))
		_, linksErr := conn.CopyFrom(ctx, pgx.Identifier{"audit_chain"}, []string{"position", "audit_id", "previous", "hash"},
			pgx.CopyFromSlice(len(links), func(i int) ([]any, error) {
				l := &links[i]
				return []any{l.position, l.id, l.previous, l.hash}, nil
			}))
		_, searchErr := conn.CopyFrom(ctx, pgx.Identifier{"audit_search"}, []string{"position", "audit_id", "time", "actor", "action", "object_id", "customer_id", "access_right", "address"},
			pgx.CopyFromSlice(len(records), func(i int) ([]any, error) {
				r := &records[i]
				return []any{links[i].position, r.id, r.time, r.actor, r.action, r.objectID, r.customer, r.right, r.address}, nil
			}))
		if err := errors.Join(err, linksErr, searchErr); err != nil {
			return err
		}
	}
	return nil
}
