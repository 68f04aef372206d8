package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/rpc"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
	"github.com/kefu-suite/kefu/services/complaint/internal/db"
	"github.com/kefu-suite/kefu/services/internal/customerref"
)

// record is one record of an import on its way.
type record struct {
	in     *complaintv1.ComplaintRecord
	result *typev1.ImportResult
	faults []error
	row    db.Complaint
}

// ImportComplaints takes history from another system. A record that breaks a rule is
// refused by itself; the others are stored together.
func (s *Server) ImportComplaints(ctx context.Context, req *complaintv1.ImportComplaintsRequest) (*complaintv1.ImportComplaintsResponse, error) {
	records := make([]*record, 0, len(req.GetRecords()))
	for _, in := range req.GetRecords() {
		records = append(records, &record{in: in, faults: s.recordFaults(in)})
	}
	customers, err := customerref.EnsureAll(ctx, s.pool, named(records), s.registry)
	if err != nil {
		return nil, err
	}
	who, err := s.caller(ctx, s.pool)
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*complaintv1.ImportComplaintsResponse, error) {
		im := &importing{
			Server: s, tx: tx, who: who, source: req.GetSource(), customers: customers, now: s.now(),
			lang: rpc.Language(ctx), known: map[uuid.UUID]error{},
		}
		out, err := im.run(ctx, records)
		if err != nil {
			return nil, err
		}
		if im.created == 0 {
			tx.Unchanged()
		}
		return out, nil
	})
}

// recordFaults are what is wrong with a record by itself.
func (s *Server) recordFaults(in *complaintv1.ComplaintRecord) []error {
	if err := rpc.Check(s.validator, in); err != nil {
		return []error{err}
	}
	for field, t := range map[string]interface{ CheckValid() error }{"create_time": in.GetCreateTime(), "close_time": in.GetCloseTime()} {
		if field == "close_time" && in.GetCloseTime() == nil {
			continue
		}
		if t.CheckValid() != nil {
			return []error{rpcerr.Invalid(field, rpcerr.T(
				"it is not a valid time; give one like 2026-11-02T09:00:00Z", "时间无效；请填写如 2026-11-02T09:00:00Z 的时间"))}
		}
	}
	h := complaint.History{State: in.GetState(), CreateTime: in.GetCreateTime().AsTime(), Told: in.GetTold()}
	if in.GetCloseTime() != nil {
		h.CloseTime = in.GetCloseTime().AsTime()
	}
	faults := complaint.Historic(h, s.now())
	if err := complaint.Money("complaint.amount", in.GetComplaint().GetAmount()); err != nil {
		faults = append(faults, err)
	}
	return faults
}

// named are the customers of the records that are sound so far.
func named(records []*record) []uuid.UUID {
	var ids []uuid.UUID
	for _, r := range records {
		if customer := r.in.GetComplaint().GetCustomerId(); len(r.faults) == 0 && customer != "" {
			ids = append(ids, id(customer))
		}
	}
	return ids
}

// importing is one run of the transaction of an import.
type importing struct {
	*Server
	tx        *write.Tx
	who       caller
	source    string
	customers map[uuid.UUID]customerref.Ref
	now       time.Time
	lang      string
	// known remembers which staff and departments the directory has.
	known   map[uuid.UUID]error
	created int
}

func (im *importing) run(ctx context.Context, records []*record) (*complaintv1.ImportComplaintsResponse, error) {
	out := &complaintv1.ImportComplaintsResponse{}
	for _, r := range records {
		r.result = &typev1.ImportResult{ExternalId: r.in.GetExternalId()}
		out.Results = append(out.Results, r.result)
	}
	fresh, err := im.sift(ctx, records)
	if err != nil {
		return nil, err
	}
	stored, err := im.insert(ctx, fresh)
	if err != nil {
		return nil, err
	}
	if err := im.found(ctx, records); err != nil {
		return nil, err
	}
	im.created = len(stored)
	return out, im.accompany(ctx, stored)
}

// sift refuses what breaks a rule and leaves, of each external id, the first record that
// is not here yet.
func (im *importing) sift(ctx context.Context, records []*record) ([]*record, error) {
	if err := im.found(ctx, records); err != nil {
		return nil, err
	}
	var fresh []*record
	taken := map[string]bool{}
	for _, r := range records {
		if r.result.GetOutcome() != 0 || taken[r.in.GetExternalId()] {
			continue
		}
		faults := r.faults
		if len(faults) == 0 {
			var err error
			if faults, err = im.references(ctx, r); err != nil {
				return nil, err
			}
		}
		if len(faults) > 0 {
			im.refuse(r, faults)
			continue
		}
		if err := im.prepare(r); err != nil {
			return nil, err
		}
		taken[r.in.GetExternalId()] = true
		fresh = append(fresh, r)
	}
	return fresh, nil
}

// found marks the records that are here already and not marked yet.
func (im *importing) found(ctx context.Context, records []*record) error {
	var ids []string
	for _, r := range records {
		if r.result.GetOutcome() == 0 {
			ids = append(ids, r.in.GetExternalId())
		}
	}
	if len(ids) == 0 {
		return nil
	}
	rows, err := im.q.SelectImported(ctx, im.tx, im.source, ids)
	if err != nil {
		return fmt.Errorf("read imported complaints: %w", err)
	}
	here := make(map[string]db.SelectImportedRow, len(rows))
	for _, row := range rows {
		here[row.ExternalID] = row
	}
	for _, r := range records {
		if row, ok := here[r.in.GetExternalId()]; ok && r.result.GetOutcome() == 0 {
			r.result.Outcome = typev1.ImportOutcome_IMPORT_OUTCOME_EXISTS
			r.result.Id, r.result.Number = row.ID.String(), row.Number
		}
	}
	return nil
}

// references are the faults of what a record names in other services.
func (im *importing) references(ctx context.Context, r *record) ([]error, error) {
	var faults []error
	in := r.in.GetComplaint()
	if in.GetCustomerId() != "" {
		if _, ok := im.customers[id(in.GetCustomerId())]; !ok {
			faults = append(faults, rpcerr.Invalid("complaint.customer_id", rpcerr.T(
				"there is no customer %[1]s; give the id of a customer of the registry, or none",
				"没有客户 %[1]s；请填写客户资料中已有客户的 id，或留空", in.GetCustomerId())))
		}
	}
	for _, ref := range []struct {
		id, field string
		look      func(id uuid.UUID, field string) error
	}{
		{in.GetAccusedStaffId(), "complaint.accused_staff_id", func(id uuid.UUID, field string) error {
			_, err := staff(ctx, im.tx, id, field)
			return err
		}},
		{r.in.GetDepartmentId(), "department_id", func(id uuid.UUID, field string) error {
			_, err := department(ctx, im.tx, id, field)
			return err
		}},
	} {
		if ref.id == "" {
			continue
		}
		key := id(ref.id)
		if _, asked := im.known[key]; !asked {
			im.known[key] = ref.look(key, ref.field)
		}
		var fault *rpcerr.Error
		switch err := im.known[key]; {
		case errors.As(err, &fault):
			faults = append(faults, fault)
		case err != nil:
			return nil, err
		}
	}
	return faults, nil
}

// refuse says why a record is not stored, one entry a fault.
func (im *importing) refuse(r *record, faults []error) {
	r.result.Outcome = typev1.ImportOutcome_IMPORT_OUTCOME_REFUSED
	for _, fault := range faults {
		var e *rpcerr.Error
		if !errors.As(public(fault), &e) {
			continue
		}
		fields := 0
		for _, detail := range e.Status(im.lang).Details() {
			bad, ok := detail.(*errdetails.BadRequest)
			if !ok {
				continue
			}
			for _, v := range bad.GetFieldViolations() {
				fields++
				r.result.Refusals = append(r.result.Refusals, &typev1.Refusal{
					Reason: e.Reason(), Field: v.GetField(), Message: v.GetDescription(),
				})
			}
		}
		if fields == 0 {
			r.result.Refusals = append(r.result.Refusals, &typev1.Refusal{Reason: e.Reason(), Message: e.Text().In(im.lang)})
		}
	}
}

// prepare makes the row of a record.
func (im *importing) prepare(r *record) (err error) {
	created := r.in.GetCreateTime().AsTime().Truncate(time.Microsecond)
	if r.row, err = complaintRow(r.in.GetComplaint(), created); err != nil {
		return err
	}
	if customer := r.in.GetComplaint().GetCustomerId(); customer != "" {
		survivor := im.customers[id(customer)].ID
		r.row.CustomerID = &survivor
	}
	external := r.in.GetExternalId()
	r.row.Source, r.row.ExternalID = &im.source, &external
	r.row.RegisteredBy, r.row.RegisteredIn = im.who.Actor, pointer(im.who.viewer.Department)
	r.row.SelfRegistered = r.row.RegisteredIn == nil
	r.row.State, r.row.DepartmentID = int16(r.in.GetState()), optional(r.in.GetDepartmentId())
	r.row.UpdateTime = im.now
	if r.in.GetState() == complaint.Closed {
		closed := r.in.GetCloseTime().AsTime().Truncate(time.Microsecond)
		r.row.CloseTime, r.row.Outcome = &closed, int16(complaintv1.Outcome_OUTCOME_NO_ANSWER)
	}
	return nil
}

// insert stores the complaints and gives those that no concurrent import stored first.
func (im *importing) insert(ctx context.Context, fresh []*record) ([]*record, error) {
	rows := make([]db.ImportComplaintParams, 0, len(fresh))
	for _, r := range fresh {
		c := r.row
		rows = append(rows, db.ImportComplaintParams{
			ID: c.ID, Prefix: numberPrefix(c.CreateTime), CustomerID: c.CustomerID, Channel: c.Channel, Title: c.Title,
			Description: c.Description, Category: c.Category, SeverityFacts: c.SeverityFacts, OrderNumber: c.OrderNumber,
			ProductModel: c.ProductModel, Quantity: c.Quantity, Currency: c.Currency, AmountUnits: c.AmountUnits,
			AmountNanos: c.AmountNanos, DemandedRemedy: c.DemandedRemedy, AccusedStaffID: c.AccusedStaffID,
			TicketID: c.TicketID, State: c.State, DepartmentID: c.DepartmentID, Outcome: c.Outcome, Source: c.Source,
			ExternalID: c.ExternalID, RegisteredBy: c.RegisteredBy, RegisteredIn: c.RegisteredIn,
			CreateTime: c.CreateTime, UpdateTime: c.UpdateTime, CloseTime: c.CloseTime, SelfRegistered: c.SelfRegistered,
			Demanded: c.Demanded, SurveyAnswerID: c.SurveyAnswerID,
		})
	}
	if len(rows) == 0 {
		return nil, nil
	}
	var stored []*record
	var failed error
	im.q.ImportComplaint(ctx, im.tx, rows).QueryRow(func(i int, number string, err error) {
		switch {
		case missing(err) || failed != nil:
		case err != nil:
			failed = fmt.Errorf("import complaint: %w", err)
		default:
			r := fresh[i]
			r.row.Number = number
			r.result.Outcome = typev1.ImportOutcome_IMPORT_OUTCOME_CREATED
			r.result.Id, r.result.Number = r.row.ID.String(), number
			stored = append(stored, r)
		}
	})
	return stored, failed
}

// accompany stores what belongs to each complaint: its round, its readers, its first
// line of history, its event and its audit record.
func (im *importing) accompany(ctx context.Context, stored []*record) error {
	if len(stored) == 0 {
		return nil
	}
	var rounds []db.InsertRoundsParams
	var keys []db.InsertReadersParams
	var transitions []db.InsertTransitionsParams
	for _, r := range stored {
		c := r.row
		rounds = append(rounds, db.InsertRoundsParams{ComplaintID: c.ID, Number: 1, StartTime: c.CreateTime, Told: r.in.GetTold()})
		for _, key := range complaint.Readers(openness(c, nil)) {
			keys = append(keys, db.InsertReadersParams{ComplaintID: c.ID, Reader: key, State: c.State})
		}
		transitions = append(transitions, db.InsertTransitionsParams{
			ComplaintID: c.ID, Version: 1, Verb: complaint.Import.Name(), ToState: c.State, Round: 1,
			Actor: im.who.Actor, ActorStaffID: pointer(im.who.Staff), OccurTime: c.CreateTime,
		})
		im.tx.Emit(event.Event{
			Type: complaint.Import.Event(), SubjectID: c.ID, SubjectVersion: 1, CustomerID: value(c.CustomerID),
			OccurTime: c.CreateTime, Historic: true, Payload: changed(c, complaint.None, 0),
		})
		im.tx.Audit(kind, c.ID, r.in)
	}
	if _, err := im.q.InsertRounds(ctx, im.tx, rounds); err != nil {
		return fmt.Errorf("import rounds: %w", err)
	}
	if _, err := im.q.InsertReaders(ctx, im.tx, keys); err != nil {
		return fmt.Errorf("import readers: %w", err)
	}
	if _, err := im.q.InsertTransitions(ctx, im.tx, transitions); err != nil {
		return fmt.Errorf("import history: %w", err)
	}
	return nil
}
