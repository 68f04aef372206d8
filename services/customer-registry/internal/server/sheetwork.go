package server

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/pii"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/customer"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/sheet"
)

const (
	sheetWorkEvery = 5 * time.Second
	// sheetBatch is how many rows are stored at once: many, for a transaction has a price, and
	// few enough to lock a source's other imports out only shortly.
	sheetBatch = 2000
	// maxKept bounds the faults that are kept of one import, and the rows that a dry run lists.
	maxKept = 10_000
)

// errTaken ends work on an import that somebody else changed meanwhile.
var errTaken = errors.New("the import was changed meanwhile")

// RunSheets works off imports until ctx ends. It may run in every replica: each takes imports
// that no other holds.
func (s *Server) RunSheets(ctx context.Context) error {
	return s.loop(ctx, s.sheets, sheetWorkEvery, "work on imports", s.WorkSheets)
}

// WorkSheets works off all imports that wait, and deletes what is kept of old ones.
func (s *Server) WorkSheets(ctx context.Context) error {
	if err := s.forgetImports(ctx); err != nil {
		return err
	}
	ids, err := s.q.ListRunningImports(ctx, s.pool)
	if err != nil {
		return fmt.Errorf("list imports to work on: %w", err)
	}
	for _, id := range ids {
		if err := s.workSheet(ctx, id); err != nil && !errors.Is(err, errTaken) {
			return fmt.Errorf("import %s: %w", id, err)
		}
	}
	return nil
}

// workSheet works one import off, from the row after the last that was stored. A lock of the
// session keeps other replicas away and ends with the process, whatever ends it.
func (s *Server) workSheet(ctx context.Context, id uuid.UUID) error {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	mine, err := s.q.TryImportLock(ctx, conn, id.String())
	if err != nil || !mine {
		return err
	}
	defer func() {
		if err := s.q.ImportUnlock(context.WithoutCancel(ctx), conn, id.String()); err != nil {
			_ = conn.Conn().Close(context.WithoutCancel(ctx)) // the lock ends with the session
		}
	}()
	row, err := s.q.GetCustomerImport(ctx, s.pool, id)
	if err != nil || row.State != importRunning {
		return err
	}
	job, err := s.openSheet(ctx, &row)
	var bad *sheet.Broken
	if errors.As(err, &bad) {
		return s.failImport(ctx, id, bad.Text)
	}
	if err != nil {
		return err
	}
	defer func() { _ = job.reader.Close() }() // temporary files go with the process too
	return job.run(ctx)
}

func (s *Server) failImport(ctx context.Context, id uuid.UUID, why rpcerr.Text) error {
	return write.Job(ctx, s.write, "import-customers", func(ctx context.Context, tx *write.Tx) error {
		row, err := s.q.LockCustomerImport(ctx, tx, id)
		if err != nil {
			return missingImport(err, id)
		}
		if row.State != importRunning {
			return errTaken
		}
		tx.Audit("customer_import", id, map[string]any{"failure": why.EN})
		return s.endImport(ctx, tx, &row, importFailed, why)
	})
}

// sheetJob is one import being worked off.
type sheetJob struct {
	s       *Server
	row     db.CustomerImport
	key     *pii.Subject
	reader  sheet.Reader
	mapping *sheet.Mapping
	// seen are the rows of a dry run by their external ids, as hashes: it stores none that later
	// rows could be found to repeat.
	seen map[uint64]seenRow
	seed maphash.Seed
	// What reading needs of the row, which storing changes meanwhile.
	source, author      string
	dryRun, keepInvalid bool
}

// openSheet opens the file and finds its columns.
func (s *Server) openSheet(ctx context.Context, row *db.CustomerImport) (*sheetJob, error) {
	spec, err := importProto(ctx, row)
	if err != nil {
		return nil, err
	}
	key, err := s.keys.Subject(ctx, s.pool, row.ID)
	if err != nil {
		return nil, err
	}
	job := &sheetJob{s: s, row: *row, key: key, seen: map[uint64]seenRow{}, seed: maphash.MakeSeed(),
		source: row.Source, author: row.Author, dryRun: row.DryRun, keepInvalid: spec.GetKeepInvalid()}
	parts := &partReader{ctx: ctx, s: s, id: row.ID, key: key}
	if spec.GetFormat() == customerv1.SheetFormat_SHEET_FORMAT_XLSX {
		if job.reader, err = sheet.XLSX(parts, spec.GetSheet()); err != nil {
			return nil, err
		}
	} else {
		job.reader = sheet.CSV(parts, spec.GetDelimiter(), spec.GetEncoding())
	}
	_, heading, err := job.reader.Next()
	if errors.Is(err, io.EOF) {
		err = &sheet.Broken{Text: rpcerr.T("the file has no heading", "文件没有表头")}
	}
	if err == nil {
		job.mapping, err = s.mapSheet(ctx, heading, spec.GetColumns())
	}
	if err != nil {
		return nil, errors.Join(err, job.reader.Close())
	}
	return job, nil
}

// sheetFields are the fields of a sheet by the attributes that are defined now.
func (s *Server) sheetFields(ctx context.Context) (*sheet.Fields, error) {
	definitions, err := s.definitions(ctx)
	if err != nil {
		return nil, err
	}
	return sheet.FieldsOf(definitions), nil
}

func (s *Server) mapSheet(ctx context.Context, heading []string, columns []*customerv1.ImportColumn) (*sheet.Mapping, error) {
	fields, err := s.sheetFields(ctx)
	if err != nil {
		return nil, err
	}
	return fields.Map(heading, columns, s.disclosure.Zone)
}

// partReader reads the parts of a file one after another.
type partReader struct {
	ctx  context.Context
	s    *Server
	id   uuid.UUID
	key  *pii.Subject
	next int64
	rest []byte
}

func (r *partReader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		part, err := r.s.q.NextImportPart(r.ctx, r.s.pool, r.id, r.next)
		if errors.Is(err, pgx.ErrNoRows) {
			return 0, io.EOF
		}
		if err != nil {
			return 0, fmt.Errorf("read a part of a file: %w", err)
		}
		plain, err := r.key.Open(partPlace(r.id, part.At), part.Sealed)
		if err != nil {
			return 0, err
		}
		r.rest, r.next = []byte(plain), part.At+int64(len(plain))
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// sheetRow is one row of a batch, as far as it can be judged without the database.
type sheetRow struct {
	line   int64
	cells  []string
	record *customerv1.CustomerRecord
	given  []string
	faults []sheet.Fault
	// lacks are faults if the customer is new: what the row leaves open and every file has.
	lacks []sheet.Fault
	// row is the sealed row of a new customer, at is where its key is; nil with faults or lacks
	// and in a dry run.
	row    *db.Customer
	at     int
	folded string
	// repeats: an earlier row of the file would have made the customer, in a dry run.
	repeats bool
	// same: the row before of the customer says the same, in a dry run.
	same bool
}

// seenRow is what is kept of the rows of one customer.
type seenRow struct {
	said uint64
	made bool
}

// sheetPart is a batch on its way from the reader to the database.
type sheetPart struct {
	rows   []sheetRow
	keys   *pii.NewKeys
	offset int64
	end    bool
	err    error
}

// run reads and judges rows while those before are stored.
func (j *sheetJob) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	parts := make(chan *sheetPart, 1)
	done := make(chan struct{})
	skip := j.row.Rows
	go func() {
		defer close(done)
		defer close(parts)
		j.read(ctx, skip, parts)
	}()
	defer func() { cancel(); <-done }() // the reader must not be used after this
	for part := range parts {
		var bad *sheet.Broken
		switch {
		case errors.As(part.err, &bad):
			return j.s.failImport(ctx, j.row.ID, bad.Text)
		case part.err != nil:
			return part.err
		}
		if err := j.store(ctx, part); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// read sends batches until the file ends; the rows that were stored before are passed over.
func (j *sheetJob) read(ctx context.Context, skip int64, to chan<- *sheetPart) {
	for {
		part := &sheetPart{}
		for len(part.rows) < sheetBatch && !part.end && part.err == nil {
			line, cells, err := j.reader.Next()
			switch {
			case errors.Is(err, io.EOF):
				part.end = true
			case err != nil:
				part.err = err
			default:
				one := j.judge(ctx, line, cells)
				if skip > 0 {
					skip--
					continue
				}
				part.rows = append(part.rows, one)
			}
		}
		if part.err == nil {
			part.offset = j.reader.Offset()
			part.err = j.seal(part)
		}
		select {
		case to <- part:
		case <-ctx.Done():
			return
		}
		if part.end || part.err != nil {
			return
		}
	}
}

// judge reads a row and tells what is wrong with it.
func (j *sheetJob) judge(ctx context.Context, line int64, cells []string) sheetRow {
	out := sheetRow{line: line, cells: slices.Clone(cells)}
	out.record, out.given, out.faults = j.mapping.Record(cells)
	if err := j.check(ctx, &out); err != nil {
		out.faults = append(out.faults, sheet.Fault{Column: -1, Reason: rpcerr.ReasonInternal, Text: rpcerr.T("it could not be judged", "无法校验")})
	}
	if j.dryRun {
		j.remember(&out)
	}
	return out
}

// remember notes a row of a dry run, and what those before it make of its customer.
func (j *sheetJob) remember(r *sheetRow) {
	of, said := maphash.String(j.seed, r.record.GetExternalId()), maphash.String(j.seed, strings.Join(r.cells, "\x00"))
	before, again := j.seen[of]
	r.repeats, r.same = before.made, again && before.said == said
	if len(r.faults) == 0 { // else it does nothing
		j.seen[of] = seenRow{said, before.made || len(r.lacks) == 0}
	}
}

// check judges what a row says, and notes what it leaves open.
func (j *sheetJob) check(ctx context.Context, r *sheetRow) error {
	file, bad, err := j.s.readRecord(ctx, r.record, j.keepInvalid)
	if err != nil {
		return err
	}
	lacks, err := j.s.lacks(ctx, file)
	if err != nil {
		return err
	}
	unread := r.faults
	if bad = withFaults(bad, lacks); bad != nil {
		for _, v := range violations(bad) {
			f := j.mapping.Blame(r.cells, r.record, v.field, bad.Reason(), v.text)
			switch {
			case blames(unread, f.Field): // what cannot be read is missing too
			case needed(f.Field) && !slices.Contains(r.given, f.Field):
				r.lacks = append(r.lacks, f)
			default:
				r.faults = append(r.faults, f)
			}
		}
	}
	if len(r.faults) == 0 {
		r.record.Customer = file
	}
	return nil
}

func blames(faults []sheet.Fault, field string) bool {
	return slices.ContainsFunc(faults, func(f sheet.Fault) bool { return f.Field == field })
}

// needed tells whether a field is one that a file may have to have. The faults of one that a row
// leaves open are no others than that.
func needed(field string) bool {
	return field == "name" || field == "kind" || field == "party" || strings.HasPrefix(field, customer.AttributePath)
}

// violation is one field of a public error, in both languages.
type violation struct {
	field string
	text  rpcerr.Text
}

func violations(err *rpcerr.Error) []violation {
	en, zh := refusalsIn(rpcerr.English, err), refusalsIn(rpcerr.Chinese, err)
	out := make([]violation, len(en))
	for i := range en {
		out[i] = violation{en[i].GetField(), rpcerr.Text{EN: en[i].GetMessage(), ZH: zh[i].GetMessage()}}
	}
	return out
}

// seal makes the rows of customers that may be new, each under a key of its own.
func (j *sheetJob) seal(part *sheetPart) error {
	if j.dryRun {
		return nil
	}
	var ids []uuid.UUID
	for i := range part.rows {
		r := &part.rows[i]
		if len(r.faults)+len(r.lacks) > 0 {
			continue
		}
		row, err := j.s.importedRow(j.source, r.record, r.record.GetCustomer())
		if err != nil {
			return err
		}
		row.Creator, row.CreateSource = j.author, int16(customerv1.ValueSource_VALUE_SOURCE_IMPORT)
		r.row, r.at = row, len(ids)
		ids = append(ids, row.ID)
	}
	var err error
	if part.keys, err = j.s.keys.NewKeys(ids); err != nil {
		return err
	}
	for i := range part.rows {
		if r := &part.rows[i]; r.row != nil {
			if err := j.s.sealCustomer(r.row, r.record.GetCustomer(), part.keys.Subject(r.at)); err != nil {
				return err
			}
			r.folded = customer.SearchText(append([]string{r.row.Name, r.row.Region}, r.row.Tags...)...)
		}
	}
	return nil
}

// forgetImports deletes what is kept of imports whose time is over: file, faults and rows to be
// compared, and the key they are encrypted with.
func (s *Server) forgetImports(ctx context.Context) error {
	return write.Job(ctx, s.write, "forget-imports", func(ctx context.Context, tx *write.Tx) error {
		now := s.now()
		old, err := s.q.LockForgottenImports(ctx, tx, now)
		if err != nil {
			return fmt.Errorf("find old imports: %w", err)
		}
		if len(old) == 0 {
			tx.Unchanged()
		}
		for _, row := range old {
			if row.State <= importChecked {
				if err := s.endImport(ctx, tx, &db.CustomerImport{ID: row.ID}, importCancelled, rpcerr.Text{}); err != nil {
					return err
				}
			}
			if err := errors.Join(s.q.DeleteImportErrors(ctx, tx, row.ID), s.q.DeleteImportReviews(ctx, tx, row.ID),
				s.q.DeleteImportParts(ctx, tx, row.ID), s.keys.Shred(ctx, tx, row.ID), s.q.ForgetCustomerImport(ctx, tx, row.ID)); err != nil {
				return fmt.Errorf("forget import %s: %w", row.ID, err)
			}
			tx.Audit("customer_import", row.ID, map[string]any{"forgotten": now})
		}
		return nil
	})
}
