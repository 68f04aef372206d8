package audit

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/google/uuid"
)

// Act is what happened and on whose call: what one record holds.
type Act struct {
	Entry  Entry
	Origin Origin
}

// fromLists are the rows of [lists].
const fromLists = `unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::smallint[], $5::text[], $6::text[], $7::uuid[],
    $8::text[], $9::bytea[], $10::text[], $11::uuid[], $12::bytea[], $13::uuid[], $14::inet[])`

const insertRecords = `
WITH record AS (
  INSERT INTO audit_records (` + columns + `)
  SELECT * FROM ` + fromLists + `
  RETURNING id
)
INSERT INTO audit_pending (audit_id) SELECT id FROM record`

// InsertMany writes the records of several acts in one statement, under the promises of
// Insert: all of them, or none and an error. No acts are no statement.
func InsertMany(ctx context.Context, db Execer, key []byte, acts []Act) error {
	if len(acts) == 0 {
		return nil
	}
	records, err := newRecords(key, acts)
	if err != nil {
		return err
	}
	if _, err := db.Exec(ctx, insertRecords, lists(key, records)...); err != nil {
		return fmt.Errorf("insert %d audit records: %w", len(acts), err)
	}
	return nil
}

func newRecords(key []byte, acts []Act) ([]*record, error) {
	records := make([]*record, len(acts))
	for i := range acts {
		r, err := newRecord(key, acts[i].Entry, acts[i].Origin)
		if err != nil {
			return nil, err
		}
		records[i] = r
	}
	return records, nil
}

// lists are the values of many records, a list for each column.
func lists(key []byte, records []*record) []any {
	var (
		ids, objects                          []uuid.UUID
		causes, customers                     []*uuid.UUID
		times                                 []time.Time
		actors, actions, types, rights, calls []string
		kinds                                 []int16
		changes, macs                         [][]byte
		addresses                             []netip.Prefix
	)
	for _, r := range records {
		ids, objects, causes, times = append(ids, r.id), append(objects, r.objectID), append(causes, r.cause), append(times, r.time)
		actors, actions, types = append(actors, r.actor), append(actions, r.action), append(types, r.objectType)
		rights, calls, kinds = append(rights, r.right), append(calls, r.requestID), append(kinds, r.actorKind)
		changes, macs, customers = append(changes, r.changes), append(macs, r.mac(key)), append(customers, r.customer)
		addresses = append(addresses, r.address)
	}
	return []any{ids, times, actors, kinds, actions, types, objects, rights, changes, calls, causes, macs, customers, addresses}
}
