package server

import (
	"context"
	"fmt"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpc"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/customer"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
	"github.com/kefu-suite/kefu/services/internal/customerref"
)

// ImportCustomers stores the records of a source that are right and new.
func (s *Server) ImportCustomers(ctx context.Context, req *customerv1.ImportCustomersRequest) (*customerv1.ImportCustomersResponse, error) {
	given := make([]*customerv1.Customer, len(req.GetRecords()))
	refused := make([][]*typev1.Refusal, len(req.GetRecords()))
	for i, record := range req.GetRecords() {
		var err error
		if given[i], refused[i], err = s.checkRecord(ctx, record, req.GetKeepInvalid()); err != nil {
			return nil, err
		}
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*customerv1.ImportCustomersResponse, error) {
		known, err := s.imported(ctx, tx, req)
		if err != nil {
			return nil, err
		}
		by := s.origin(ctx, customerv1.ValueSource_VALUE_SOURCE_IMPORT)
		out := &customerv1.ImportCustomersResponse{}
		var rows []*db.Customer
		var files []*customerv1.Customer
		for i, record := range req.GetRecords() {
			result := &typev1.ImportResult{ExternalId: record.GetExternalId(), Refusals: refused[i]}
			out.Results = append(out.Results, result)
			if len(refused[i]) > 0 {
				result.Outcome = typev1.ImportOutcome_IMPORT_OUTCOME_REFUSED
				continue
			}
			if _, ok := known[record.GetExternalId()]; !ok {
				row, err := s.importedRow(req.GetSource(), record, given[i])
				if err != nil {
					return nil, err
				}
				row.Creator, row.CreateSource = by.Actor, int16(by.Source)
				known[record.GetExternalId()] = row
				rows, files = append(rows, row), append(files, given[i])
				result.Outcome = typev1.ImportOutcome_IMPORT_OUTCOME_CREATED
				continue
			}
			result.Outcome = typev1.ImportOutcome_IMPORT_OUTCOME_EXISTS
		}
		if err := s.storeImported(ctx, tx, req.GetPurpose(), rows, files); err != nil {
			return nil, err
		}
		for _, result := range out.GetResults() {
			if result.GetOutcome() != typev1.ImportOutcome_IMPORT_OUTCOME_REFUSED {
				row := known[result.GetExternalId()]
				result.Id, result.Number = row.ID.String(), row.Number
			}
		}
		return out, nil
	})
}

// checkRecord normalises a record's file and tells why it is refused, if it is.
func (s *Server) checkRecord(ctx context.Context, record *customerv1.CustomerRecord, keep bool) (*customerv1.Customer, []*typev1.Refusal, error) {
	file, bad, err := s.readRecord(ctx, record, keep)
	if err != nil {
		return nil, nil, err
	}
	lacks, err := s.lacks(ctx, file)
	if err != nil {
		return nil, nil, err
	}
	if bad = withFaults(bad, lacks); bad != nil {
		return nil, refusals(ctx, bad), nil
	}
	return file, nil, nil
}

// lacks tells which attributes a new file would have to have and has not; no file lacks none.
func (s *Server) lacks(ctx context.Context, file *customerv1.Customer) ([]customer.Fault, error) {
	if file == nil {
		return nil, nil
	}
	definitions, err := s.definitions(ctx)
	if err != nil {
		return nil, err
	}
	faults := customer.MissingAttributes(definitions, file)
	for i := range faults {
		faults[i].Field = "customer." + faults[i].Field
	}
	return faults, nil
}

// withFaults adds faults to an error, nil with neither.
func withFaults(bad *rpcerr.Error, faults []customer.Fault) *rpcerr.Error {
	for _, f := range faults {
		if bad == nil {
			bad = rpcerr.Invalid(f.Field, f.Text)
		} else {
			bad = bad.Field(f.Field, f.Text)
		}
	}
	return bad
}

// readRecord normalises a record's file and gives the whole error that the record would get:
// every fault of what it says, of the contract's rules and of those about phones, e-mails,
// attributes and times, but not that it lacks an attribute. keep: phones and e-mails that cannot
// be read are kept as they came.
func (s *Server) readRecord(ctx context.Context, record *customerv1.CustomerRecord, keep bool) (*customerv1.Customer, *rpcerr.Error, error) {
	err := rpc.Check(s.validator, record)
	bad, ok := isInvalid(err)
	if err != nil && !ok {
		return nil, nil, err
	}
	file := proto.CloneOf(record.GetCustomer())
	var faults []customer.Fault
	if file != nil {
		customer.Complete(file)
		definitions, err := s.definitions(ctx)
		if err != nil {
			return nil, nil, err
		}
		faults = append(customer.PointsOf(file).Normalize(s.region, keep), customer.CheckFile(file)...)
		faults = append(faults, customer.CheckAttributeValues(definitions, file, nil)...)
		for i := range faults {
			faults[i].Field = "customer." + faults[i].Field
		}
	}
	if record.GetCreateTime() != nil {
		if fault := customer.CreateTime(record.GetCreateTime().AsTime(), s.now()); fault != nil {
			faults = append(faults, *fault)
		}
	}
	return file, withFaults(bad, faults), nil
}

// refusals tells the violations of an error one by one, in the caller's language.
func refusals(ctx context.Context, err *rpcerr.Error) []*typev1.Refusal {
	return refusalsIn(rpc.Language(ctx), err)
}

func refusalsIn(language string, err *rpcerr.Error) []*typev1.Refusal {
	var out []*typev1.Refusal
	for _, detail := range err.Status(language).Details() {
		if bad, ok := detail.(*errdetails.BadRequest); ok {
			for _, v := range bad.GetFieldViolations() {
				out = append(out, &typev1.Refusal{Reason: err.Reason(), Field: v.GetField(), Message: v.GetDescription()})
			}
		}
	}
	return out
}

// imported returns which of the records an earlier import stored. Imports of one
// source follow each other, so that none is stored twice.
func (s *Server) imported(ctx context.Context, tx *write.Tx, req *customerv1.ImportCustomersRequest) (map[string]*db.Customer, error) {
	if err := s.q.LockImport(ctx, tx, req.GetSource()); err != nil {
		return nil, fmt.Errorf("wait for other imports of the source: %w", err)
	}
	ids := make([]string, 0, len(req.GetRecords()))
	for _, record := range req.GetRecords() {
		ids = append(ids, record.GetExternalId())
	}
	found, err := s.q.ListImportedCustomers(ctx, tx, req.GetSource(), ids)
	if err != nil {
		return nil, fmt.Errorf("look imported customers up: %w", err)
	}
	known := make(map[string]*db.Customer, len(ids))
	for _, row := range found {
		known[*row.ExternalID] = &db.Customer{ID: row.ID, Number: row.Number}
	}
	return known, nil
}

func (s *Server) importedRow(source string, record *customerv1.CustomerRecord, file *customerv1.Customer) (*db.Customer, error) {
	row, err := s.newCustomer(file)
	if err != nil {
		return nil, err
	}
	external := record.GetExternalId()
	row.Source, row.ExternalID = &source, &external
	if record.GetCreateTime() != nil {
		row.CreateTime = micro(record.GetCreateTime().AsTime())
	}
	return row, nil
}

func (s *Server) storeImported(ctx context.Context, tx *write.Tx, purpose string, rows []*db.Customer, files []*customerv1.Customer) error {
	if len(rows) == 0 {
		tx.Unchanged()
		return nil
	}
	numbers, err := s.q.NextCustomerNumbers(ctx, tx, int32(len(rows)))
	if err != nil {
		return fmt.Errorf("draw numbers: %w", err)
	}
	var b pg.Batch
	for i, row := range rows {
		row.Number = customer.Number(row.CreateTime, numbers[i])
		if _, err := s.insertCustomer(ctx, &b, row, files[i], numbers[i]); err != nil {
			return err
		}
	}
	if err := pg.Flush(ctx, tx, &b); err != nil {
		return err
	}
	for i, row := range rows {
		emitCustomer(&tx.Record, customerref.TypeCreated, row, nil, event.Event{OccurTime: row.CreateTime, Historic: true})
		tx.Audit("customer", row.ID, &customerv1.ImportCustomersRequest{
			Source: *row.Source, Purpose: purpose, Records: []*customerv1.CustomerRecord{{ExternalId: *row.ExternalID, Customer: files[i]}},
		})
	}
	return nil
}
