package server

import (
	"context"
	"slices"
	"strings"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/rpc"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/customer"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/sheet"
	"github.com/kefu-suite/kefu/services/internal/customerref"
	"github.com/kefu-suite/kefu/services/internal/fieldmask"
)

// ownFields are the fields of a row that a customer there is gets: all but those that say which
// customer it is and since when.
func ownFields(given []string) []string {
	return slices.DeleteFunc(slices.Clone(given), func(f string) bool { return f == "external_id" || f == "create_time" })
}

// overlay gives a file the fields of a row. Of the attributes it gets those that the row has and
// keeps the others.
func overlay(file, row *customerv1.Customer, fields []string) error {
	var paths []string
	for _, f := range fields {
		key, ok := strings.CutPrefix(f, customer.AttributePath)
		if !ok {
			paths = append(paths, f)
		} else if value := customer.Attribute(row, key); value != nil {
			customer.SetAttribute(file, proto.CloneOf(value))
		}
	}
	if len(paths) == 0 {
		return nil
	}
	return fieldmask.Apply(file, row, &fieldmaskpb.FieldMask{Paths: paths}, "id")
}

// merge is the file that a customer would have with the fields of a row, complete and valid.
func (s *Server) merge(ctx context.Context, before, row *customerv1.Customer, fields []string) (*customerv1.Customer, error) {
	after := proto.CloneOf(before)
	if err := overlay(after, row, ownFields(fields)); err != nil {
		return nil, err
	}
	customer.PointsOf(after).Mark(customer.PointsOf(row))
	if err := rpc.Check(s.validator, &customerv1.CreateCustomerRequest{Customer: after}); err != nil {
		return nil, err
	}
	faults := customer.CheckFile(after)
	// As everywhere, a change of the attributes may leave out none that must be there.
	if slices.ContainsFunc(fields, func(f string) bool { return strings.HasPrefix(f, customer.AttributePath) }) {
		definitions, err := s.definitions(ctx)
		if err != nil {
			return nil, err
		}
		faults = append(faults, customer.MissingAttributes(definitions, after)...)
	}
	return after, invalid("customer.", faults)
}

// takeOver gives a customer the fields of a row, as history, and tells whether that changed
// anything.
func (s *Server) takeOver(ctx context.Context, tx *write.Tx, id uuid.UUID, proposed *customerv1.Customer, given []string) (bool, error) {
	row, err := s.q.LockCustomer(ctx, tx, id)
	if err != nil {
		return false, missingCustomer(err, id)
	}
	before, after, err := s.proposal(ctx, tx, &row, proposed, given)
	if err != nil || proto.Equal(before, after) {
		return false, err
	}
	if err := s.storeFile(ctx, tx, &row, before, after, customerv1.ValueSource_VALUE_SOURCE_IMPORT); err != nil {
		return false, err
	}
	emitCustomer(&tx.Record, customerref.TypeChanged, &row, nil, event.Event{Historic: true})
	tx.Audit("customer", id, after)
	return true, nil
}

// wouldChange tells whether takeOver would change anything.
func (s *Server) wouldChange(ctx context.Context, tx *write.Tx, id uuid.UUID, proposed *customerv1.Customer, given []string) (bool, error) {
	row, err := s.q.GetCustomer(ctx, tx, id)
	if err != nil {
		return false, missingCustomer(err, id)
	}
	before, after, err := s.proposal(ctx, tx, &row, proposed, given)
	return err == nil && !proto.Equal(before, after), err
}

// proposal is the file of a customer that may be changed, and what a row would make of it.
func (s *Server) proposal(ctx context.Context, tx *write.Tx, row *db.Customer, proposed *customerv1.Customer, given []string) (before, after *customerv1.Customer, err error) {
	if err := s.changeable(ctx, row); err != nil {
		return nil, nil, err
	}
	if before, err = s.file(ctx, tx, row); err != nil {
		return nil, nil, err
	}
	after, err = s.merge(ctx, before, proposed, given)
	return before, after, err
}

// blame lays an error on the cells of a row: each violation on that of its field, and what is
// said of the customer as a whole on the one that says which customer it is.
func (st *sheetStore) blame(r *sheetRow, bad *rpcerr.Error) []sheet.Fault {
	var out []sheet.Fault
	found := violations(bad)
	if len(found) == 0 {
		found = []violation{{field: "external_id", text: bad.Text()}}
	}
	for _, v := range found {
		f := st.mapping.Blame(r.cells, r.record, v.field, bad.Reason(), v.text)
		if f.Column < 0 && f.Cell == "" { // the row says nothing of the field
			which := st.mapping.Blame(r.cells, r.record, "external_id", bad.Reason(), v.text)
			f.Column, f.Heading, f.Cell = which.Column, which.Heading, which.Cell
		}
		out = append(out, f)
	}
	return out
}
