package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/pii"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/customer"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/sheet"
	"github.com/kefu-suite/kefu/services/internal/customerref"
)

// sheetStore is a batch in its transaction.
type sheetStore struct {
	*sheetJob
	tx    *write.Tx
	next  db.CustomerImport // with the counts after the batch
	known map[string]*db.Customer
	fresh []*sheetRow
	// found are rows whose customer there is and that may change something.
	found  []*sheetRow
	errors db.InsertImportErrorsParams
}

// store commits a batch with the counts that say it is done, so that it happens once.
func (j *sheetJob) store(ctx context.Context, part *sheetPart) error {
	var after db.CustomerImport
	err := write.Job(ctx, j.s.write, "import-customers", func(ctx context.Context, tx *write.Tx) error {
		locked, err := j.s.q.LockCustomerImport(ctx, tx, j.row.ID)
		if err != nil {
			return missingImport(err, j.row.ID)
		}
		if locked.State != importRunning || locked.Rows != j.row.Rows {
			return errTaken
		}
		st := &sheetStore{sheetJob: j, tx: tx, next: locked}
		if err := st.batch(ctx, part); err != nil {
			return err
		}
		after = st.next
		return st.finish(ctx, part)
	})
	if err == nil {
		j.row = after
	}
	return err
}

func (st *sheetStore) batch(ctx context.Context, part *sheetPart) error {
	s := st.s
	if err := s.q.LockImport(ctx, st.tx, st.row.Source); err != nil {
		return fmt.Errorf("wait for other imports of the source: %w", err)
	}
	if err := st.findKnown(ctx, part); err != nil {
		return err
	}
	st.next.Rows += int64(len(part.rows))
	// Bytes are counted after decoding, which may give more than there were.
	if st.next.DoneBytes = min(part.offset, st.next.Received); part.end {
		st.next.DoneBytes = st.next.Received
	}
	for i := range part.rows {
		if err := st.sort(&part.rows[i]); err != nil {
			return err
		}
	}
	if err := st.insert(ctx, part.keys); err != nil {
		return err
	}
	for _, r := range st.found {
		if err := st.meet(ctx, r); err != nil {
			return err
		}
	}
	if len(st.errors.Lines) > 0 {
		if err := s.q.InsertImportErrors(ctx, st.tx, st.errors); err != nil {
			return fmt.Errorf("insert faults: %w", err)
		}
	}
	return nil
}

func (st *sheetStore) findKnown(ctx context.Context, part *sheetPart) error {
	ids := make([]string, 0, len(part.rows))
	for i := range part.rows {
		ids = append(ids, part.rows[i].record.GetExternalId())
	}
	found, err := st.s.q.ListImportedCustomers(ctx, st.tx, st.row.Source, ids)
	if err != nil {
		return fmt.Errorf("look imported customers up: %w", err)
	}
	st.known = make(map[string]*db.Customer, len(ids))
	for _, row := range found {
		st.known[*row.ExternalID] = &db.Customer{ID: row.ID, Number: row.Number}
	}
	return nil
}

// sort decides what becomes of a row.
func (st *sheetStore) sort(r *sheetRow) error {
	_, there := st.known[r.record.GetExternalId()]
	fresh := !there && !r.repeats
	faults := r.faults
	if fresh {
		faults = slices.Concat(faults, r.lacks)
	}
	if len(faults) > 0 {
		return st.refuse(r, faults)
	}
	if fresh {
		st.next.Created++
		if !st.row.DryRun {
			st.known[r.record.GetExternalId()] = r.row
			st.fresh = append(st.fresh, r)
		}
		return nil
	}
	switch policy := customerv1.OnExisting(st.row.OnExisting); {
	case policy == customerv1.OnExisting_ON_EXISTING_SKIP, policy == customerv1.OnExisting_ON_EXISTING_UPDATE && r.same:
		st.next.Existing++
	case there:
		st.found = append(st.found, r)
	case policy == customerv1.OnExisting_ON_EXISTING_UPDATE: // of one that the dry run has not made
		st.next.Updated++
	default:
		st.next.Reviews++
	}
	return nil
}

// refuse keeps the faults of a row, as long as there are not too many.
func (st *sheetStore) refuse(r *sheetRow, faults []sheet.Fault) error {
	st.next.Refused++
	slices.SortStableFunc(faults, func(a, b sheet.Fault) int { return cmp.Compare(uint(a.Column), uint(b.Column)) }) // without a column: last
	for i, f := range faults {
		st.next.Faults++
		if st.next.Faults > st.s.sheetKept {
			continue
		}
		plain, err := proto.Marshal(faultProto(r.line, f))
		if err != nil {
			return fmt.Errorf("encode a fault: %w", err)
		}
		sealed, err := st.key.Seal(faultPlace(st.row.ID, r.line, int32(i)), string(plain))
		if err != nil {
			return err
		}
		e := &st.errors
		e.ImportID = st.row.ID
		e.Lines, e.Positions, e.Sealed = append(e.Lines, r.line), append(e.Positions, int32(i)), append(e.Sealed, sealed)
	}
	return nil
}

// faultProto is a fault as it is kept: its text in both languages, one after the other.
func faultProto(line int64, f sheet.Fault) *customerv1.CustomerImportError {
	out := &customerv1.CustomerImportError{
		Line: line, Heading: f.Heading, Field: f.Field, Value: f.Cell, Reason: f.Reason, Message: f.Text.EN + "\x00" + f.Text.ZH,
	}
	if f.Column >= 0 {
		out.Column = sheet.Letter(f.Column)
	}
	return out
}

func faultPlace(id uuid.UUID, line int64, position int32) pii.Place {
	return pii.Place{Table: "customer_import_errors", Column: fmt.Sprintf("sealed/%d/%d", line, position), Row: id}
}

// insert copies the new customers in.
func (st *sheetStore) insert(ctx context.Context, keys *pii.NewKeys) error {
	if len(st.fresh) == 0 {
		return nil
	}
	s := st.s
	numbers, err := s.q.NextCustomerNumbers(ctx, st.tx, int32(len(st.fresh)))
	if err != nil {
		return fmt.Errorf("draw numbers: %w", err)
	}
	rows, which := make([]db.NewCustomer, len(st.fresh)), make([]int, len(st.fresh))
	for i, r := range st.fresh {
		r.row.Number = customer.Number(r.row.CreateTime, numbers[i])
		folded := r.folded + "\n" + customer.SearchText(r.row.Number)
		rows[i] = db.NewCustomer{Customer: r.row, Folded: folded, Grams: customer.Terms(folded, numbers[i]), Position: numbers[i]}
		which[i] = r.at
	}
	if err := keys.Store(ctx, st.tx, which); err != nil {
		return err
	}
	if err := db.CopyCustomers(ctx, st.tx, rows); err != nil {
		return err
	}
	for _, r := range st.fresh {
		emitCustomer(&st.tx.Record, customerref.TypeCreated, r.row, nil, event.Event{OccurTime: r.row.CreateTime, Historic: true})
		st.tx.Audit("customer", r.row.ID, r.record.GetCustomer())
	}
	return nil
}

// meet does with a row whose customer there is what the import says, or tells what that would
// be in a dry run.
func (st *sheetStore) meet(ctx context.Context, r *sheetRow) error {
	id := st.known[r.record.GetExternalId()].ID
	review := customerv1.OnExisting(st.row.OnExisting) == customerv1.OnExisting_ON_EXISTING_REVIEW
	change := st.s.takeOver
	if review || st.row.DryRun { // what could not be taken over is refused now, not when somebody decides
		change = st.s.wouldChange
	}
	changed, err := change(ctx, st.tx, id, r.record.GetCustomer(), r.given)
	if bad := new(rpcerr.Error); errors.As(err, &bad) {
		return st.refuse(r, st.blame(r, bad))
	}
	if err != nil {
		return err
	}
	switch {
	case review:
		st.next.Reviews++
	case changed:
		st.next.Updated++
	default:
		st.next.Existing++
		return nil
	}
	if review || st.row.DryRun {
		return st.review(ctx, id, r)
	}
	return nil
}

func reviewPlace(id uuid.UUID, line int64) pii.Place {
	return pii.Place{Table: "customer_import_reviews", Column: fmt.Sprintf("sealed/%d", line), Row: id}
}

// review puts a row on the list, under the key of the customer it is about. A dry run puts as
// many there as somebody may look through.
func (st *sheetStore) review(ctx context.Context, id uuid.UUID, r *sheetRow) error {
	state := reviewOpen
	if st.row.DryRun {
		if state = reviewPreview; st.next.Updated+st.next.Reviews > st.s.sheetKept {
			return nil
		}
	}
	plain, err := proto.Marshal(r.record.GetCustomer())
	if err != nil {
		return fmt.Errorf("encode a row to be compared: %w", err)
	}
	key, err := st.s.keys.Subject(ctx, st.tx, id)
	if err != nil {
		return err
	}
	sealed, err := key.Seal(reviewPlace(st.row.ID, r.line), string(plain))
	if err != nil {
		return err
	}
	err = st.s.q.InsertImportReview(ctx, st.tx, db.InsertImportReviewParams{
		ImportID: st.row.ID, Line: r.line, CustomerID: id, ExternalID: r.record.GetExternalId(), Fields: ownFields(r.given), Sealed: sealed, State: state,
	})
	if err != nil {
		return fmt.Errorf("insert a row to be compared: %w", err)
	}
	return nil
}

// finish writes the counts, and the state after the last batch.
func (st *sheetStore) finish(ctx context.Context, part *sheetPart) error {
	n := &st.next
	err := st.s.q.AdvanceCustomerImport(ctx, st.tx, db.AdvanceCustomerImportParams{
		ID: n.ID, Rows: n.Rows, DoneBytes: n.DoneBytes, Created: n.Created, Updated: n.Updated, Existing: n.Existing,
		Reviews: n.Reviews, Refused: n.Refused, Faults: n.Faults,
	})
	if err != nil {
		return fmt.Errorf("advance import: %w", err)
	}
	st.tx.Audit("customer_import", n.ID, map[string]any{"rows": n.Rows, "created": n.Created, "updated": n.Updated, "refused": n.Refused})
	switch {
	case !part.end:
		return nil
	case n.DryRun:
		return st.s.q.SetCustomerImportState(ctx, st.tx, db.SetCustomerImportStateParams{ID: n.ID, State: importChecked, KeepUntil: n.KeepUntil})
	}
	return st.s.endImport(ctx, st.tx, n, importDone, rpcerr.Text{})
}
