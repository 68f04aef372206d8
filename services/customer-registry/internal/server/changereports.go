package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/page"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/pii"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/customer"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/internal/worktime"
)

const (
	reportSubject = "change-report"
	// reportClock is the clock of a report, reportClause what sets it.
	reportClock  = "decision"
	reportClause = "change-report-decision"

	reportOpen    = customerv1.ChangeReportState_CHANGE_REPORT_STATE_OPEN
	reportApplied = customerv1.ChangeReportState_CHANGE_REPORT_STATE_APPLIED
	reportRefused = customerv1.ChangeReportState_CHANGE_REPORT_STATE_REFUSED
)

// CreateChangeReport keeps a change that somebody learned of until it is decided.
func (s *Server) CreateChangeReport(ctx context.Context, req *customerv1.CreateChangeReportRequest) (*customerv1.ChangeReport, error) {
	given := req.GetChangeReport()
	id, err := parseID("change_report.customer_id", given.GetCustomerId())
	if err != nil {
		return nil, err
	}
	if err := own(ctx, id); err != nil {
		return nil, err
	}
	contact, err := reportedContact(given)
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*customerv1.ChangeReport, error) {
		target, err := s.q.GetCustomer(ctx, tx, id)
		if err != nil {
			return nil, missingCustomer(err, id)
		}
		if refusal := customer.Retire(customerv1.CustomerStatus(target.Status)); refusal != nil {
			return nil, refusal
		}
		if err := s.reportable(ctx, tx, &target, contact, given); err != nil {
			return nil, err
		}
		row, err := s.insertReport(ctx, tx, id, contact, given)
		if err != nil {
			return nil, err
		}
		due, err := s.startReportClock(ctx, tx, row)
		if err != nil {
			return nil, err
		}
		return s.reported(ctx, tx, row, &due)
	})
}

// reportable refuses a report that could not be applied to what stands there now; nothing of the
// file is told.
func (s *Server) reportable(ctx context.Context, tx *write.Tx, target *db.Customer, contact *uuid.UUID, given *customerv1.ChangeReport) error {
	if contact != nil {
		row, err := s.q.GetContact(ctx, tx, *contact, target.ID)
		if err != nil {
			return missingContact(err, *contact)
		}
		_, err = s.changeOf(ctx, tx, &row, given.GetContact(), given.GetUpdateMask(), false)
		return err
	}
	file, err := s.file(ctx, tx, target)
	if err != nil {
		return err
	}
	_, err = s.mergeCustomer(ctx, file, given.GetCustomer(), given.GetUpdateMask(), false)
	return err
}

// insertReport stores a report, what it proposes under the key of whom it is about.
func (s *Server) insertReport(ctx context.Context, tx *write.Tx, customerID uuid.UUID, contact *uuid.UUID, given *customerv1.ChangeReport) (*db.ChangeReport, error) {
	id, err := newID()
	if err != nil {
		return nil, err
	}
	row := &db.ChangeReport{
		ID: id, CustomerID: customerID, ContactID: contact, Source: int16(given.GetSource()), State: int16(reportOpen),
		Actor: authn.FromContext(ctx).Actor(), CreateTime: s.now(), Version: 1,
	}
	subject, err := s.keys.Subject(ctx, tx, reportKey(row))
	if err != nil {
		return nil, err
	}
	proposal := &customerv1.ChangeReport{
		Customer: given.GetCustomer(), Contact: given.GetContact(), UpdateMask: given.GetUpdateMask(), Note: given.GetNote(),
	}
	if row.Proposal, err = sealPart(subject, proposalPlace(id), proposal); err != nil {
		return nil, err
	}
	err = s.q.InsertChangeReport(ctx, tx, db.InsertChangeReportParams{
		ID: id, CustomerID: customerID, ContactID: contact, Proposal: row.Proposal, Source: row.Source, Actor: row.Actor, CreateTime: row.CreateTime,
	})
	if err != nil {
		return nil, fmt.Errorf("insert change report: %w", err)
	}
	return row, nil
}

func proposalPlace(row uuid.UUID) pii.Place {
	return pii.Place{Table: "change_reports", Column: "proposal", Row: row}
}

// startReportClock gives a report its one working day.
func (s *Server) startReportClock(ctx context.Context, tx *write.Tx, row *db.ChangeReport) (time.Time, error) {
	calendar, _, err := s.calendars.Load(ctx, tx, "")
	if err != nil {
		return time.Time{}, err
	}
	clocks, err := s.clocks.Start(ctx, tx, clock.Spec{
		Subject: clock.Subject{Type: reportSubject, ID: row.ID}, Kind: reportClock, Round: 1, At: row.CreateTime,
		Owner: clock.Owner{Role: access.InformationAdministrator},
		Terms: clock.Terms{Target: worktime.Target{WorkingDays: 1}, CalendarID: calendar.Definition().ID, ClauseID: reportClause},
	})
	if err != nil {
		return time.Time{}, err
	}
	return clocks[0].Due, nil
}

// reported tells and records what became of a report, and answers it.
func (s *Server) reported(ctx context.Context, tx *write.Tx, row *db.ChangeReport, due *time.Time) (*customerv1.ChangeReport, error) {
	state := stateName(customerv1.ChangeReportState(row.State).String(), "CHANGE_REPORT_STATE_")
	kind := "changereport." + state + ".v1"
	if row.State == int16(reportOpen) {
		kind = "changereport.created.v1"
	}
	tx.Emit(event.Event{
		Type: kind, SubjectID: row.ID, SubjectVersion: row.Version, CustomerID: row.CustomerID,
		Payload: &customerv1.ChangeReportChanged{State: state},
	})
	out, err := s.reports(ctx, tx, []reportRow{{*row, due}})
	if err != nil {
		return nil, err
	}
	tx.Audit("change_report", row.ID, out[0])
	return out[0], nil
}

// reportRow is a report and when it is to be decided.
type reportRow struct {
	db.ChangeReport
	due *time.Time
}

// reports decrypts rows.
func (s *Server) reports(ctx context.Context, on pg.DBTX, rows []reportRow) ([]*customerv1.ChangeReport, error) {
	subjects := set{}
	for i := range rows {
		subjects.add(reportKey(&rows[i].ChangeReport))
	}
	keys, err := s.keys.Subjects(ctx, on, subjects.sorted()...)
	if err != nil {
		return nil, err
	}
	now := s.now()
	out := make([]*customerv1.ChangeReport, 0, len(rows))
	for i := range rows {
		row := &rows[i]
		report := &customerv1.ChangeReport{}
		plain, err := unseal(keys, reportKey(&row.ChangeReport), proposalPlace(row.ID), row.Proposal)
		if err != nil {
			return nil, err
		}
		if err := proto.Unmarshal([]byte(plain), report); err != nil {
			return nil, fmt.Errorf("decode change report %s: %w", row.ID, err)
		}
		if row.ContactID != nil {
			// The contact may have been deleted, and its values with it.
			report.Customer, report.Contact = nil, namedContact(report.GetContact(), row.CustomerID, *row.ContactID)
		}
		report.Id, report.CustomerId, report.Source = row.ID.String(), row.CustomerID.String(), customerv1.ValueSource(row.Source)
		report.State, report.Actor = customerv1.ChangeReportState(row.State), row.Actor
		report.CreateTime, report.DueTime = timestamppb.New(row.CreateTime), stampPtr(row.due)
		report.Overdue = report.State == reportOpen && row.due != nil && row.due.Before(now)
		report.DecideTime, report.RefuseReason, report.Etag = stampPtr(row.DecideTime), row.RefuseReason, etag(row.Version)
		if row.Decider != nil && authn.FromContext(ctx).Kind != authn.Customer {
			report.Decider = *row.Decider
		}
		out = append(out, report)
	}
	return out, nil
}

// onlyMine is the caller where they see their own reports alone, nil for those who see all.
func onlyMine(ctx context.Context) *string {
	if authz.FromContext(ctx).Scope >= accessv1.Scope_SCOPE_COMPANY {
		return nil
	}
	actor := authn.FromContext(ctx).Actor()
	return &actor
}

// GetChangeReport returns one report.
func (s *Server) GetChangeReport(ctx context.Context, req *customerv1.GetChangeReportRequest) (*customerv1.ChangeReport, error) {
	id, err := parseID("id", req.GetId())
	if err != nil {
		return nil, err
	}
	row, err := s.q.GetChangeReport(ctx, s.pool, id)
	if err != nil {
		return nil, missingReport(err, id)
	}
	if mine := onlyMine(ctx); mine != nil && *mine != row.ChangeReport.Actor {
		return nil, reportNotFound(id)
	}
	out, err := s.reports(ctx, s.pool, []reportRow{{row.ChangeReport, row.DueTime}})
	if err != nil {
		return nil, err
	}
	return out[0], nil
}

func reportNotFound(id uuid.UUID) error { return rpcerr.NotFound("change_report", id.String()) }

func missingReport(err error, id uuid.UUID) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return reportNotFound(id)
	}
	return fmt.Errorf("read change report: %w", err)
}

// ListChangeReports lists reports, oldest first.
func (s *Server) ListChangeReports(ctx context.Context, req *customerv1.ListChangeReportsRequest) (*customerv1.ListChangeReportsResponse, error) {
	after, err := s.idCursor(ctx, req, req.GetPageToken(), uuid.Nil)
	if err != nil {
		return nil, err
	}
	size := page.Size(req.GetPageSize())
	rows, err := s.listReports(ctx, req, after, size+1)
	if err != nil {
		return nil, fmt.Errorf("list change reports: %w", err)
	}
	rows, next, err := cut(ctx, s, req, rows, size, func(r *reportRow) string { return r.ID.String() })
	if err != nil {
		return nil, err
	}
	out := &customerv1.ListChangeReportsResponse{NextPageToken: next}
	out.ChangeReports, err = s.reports(ctx, s.pool, rows)
	return out, err
}

func (s *Server) listReports(ctx context.Context, req *customerv1.ListChangeReportsRequest, after uuid.UUID, count int32) ([]reportRow, error) {
	of, err := optionalID("customer_id", req.GetCustomerId())
	if err != nil {
		return nil, err
	}
	var out []reportRow
	if req.GetOverdue() {
		if req.GetState() != 0 && req.GetState() != reportOpen {
			return nil, nil // what is decided is not overdue
		}
		rows, err := s.q.ListOverdueReports(ctx, planned{s.pool}, db.ListOverdueReportsParams{
			After: after, Now: s.now(), Actor: onlyMine(ctx), CustomerID: of, Count: count,
		})
		for i := range rows {
			out = append(out, reportRow{rows[i].ChangeReport, rows[i].DueTime})
		}
		return out, err
	}
	filter := db.ListChangeReportsParams{After: after, Actor: onlyMine(ctx), CustomerID: of, Count: count}
	if state := int16(req.GetState()); state != 0 {
		filter.State = &state
	}
	rows, err := s.q.ListChangeReports(ctx, planned{s.pool}, filter)
	for i := range rows {
		out = append(out, reportRow{rows[i].ChangeReport, rows[i].DueTime})
	}
	return out, err
}

// ApplyChangeReport changes the file or the contact as reported.
func (s *Server) ApplyChangeReport(ctx context.Context, req *customerv1.ApplyChangeReportRequest) (*customerv1.ChangeReport, error) {
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*customerv1.ChangeReport, error) {
		row, err := s.lockReport(ctx, tx, req.GetId(), req.GetEtag())
		if err != nil {
			return nil, err
		}
		told, err := s.reports(ctx, tx, []reportRow{{ChangeReport: *row}})
		if err != nil {
			return nil, err
		}
		apply := s.applyToFile
		if row.ContactID != nil {
			apply = s.applyToContact
		}
		if err := apply(ctx, tx, row, told[0]); err != nil {
			return nil, err
		}
		return s.decideReport(ctx, tx, row, reportApplied, "")
	})
}

func (s *Server) applyToFile(ctx context.Context, tx *write.Tx, row *db.ChangeReport, told *customerv1.ChangeReport) error {
	target, err := s.lockChangeable(ctx, tx, row.CustomerID, "")
	if err != nil {
		return err
	}
	before, err := s.file(ctx, tx, target)
	if err != nil {
		return err
	}
	after, err := s.mergeCustomer(ctx, before, told.GetCustomer(), told.GetUpdateMask(), false)
	if err != nil || proto.Equal(before, after) {
		return err
	}
	_, err = s.changeCustomer(ctx, tx, target, before, after, told.GetSource())
	return err
}

// RefuseChangeReport leaves everything as it is and says why.
func (s *Server) RefuseChangeReport(ctx context.Context, req *customerv1.RefuseChangeReportRequest) (*customerv1.ChangeReport, error) {
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*customerv1.ChangeReport, error) {
		row, err := s.lockReport(ctx, tx, req.GetId(), req.GetEtag())
		if err != nil {
			return nil, err
		}
		return s.decideReport(ctx, tx, row, reportRefused, req.GetReason())
	})
}

// lockReport reads a report that the caller may decide on now.
func (s *Server) lockReport(ctx context.Context, tx *write.Tx, given, etag string) (*db.ChangeReport, error) {
	id, err := parseID("id", given)
	if err != nil {
		return nil, err
	}
	row, err := s.q.LockChangeReport(ctx, tx, id)
	if err != nil {
		return nil, missingReport(err, id)
	}
	if err := authz.SecondPerson(ctx, row.Actor); err != nil {
		return nil, err
	}
	if err := current(etag, row.Version, "change_report", id); err != nil {
		return nil, err
	}
	if refusal := customer.DecideReport(customerv1.ChangeReportState(row.State)); refusal != nil {
		return nil, refusal
	}
	return &row, nil
}

// decideReport writes a decision to the locked row and stops its clock.
func (s *Server) decideReport(ctx context.Context, tx *write.Tx, row *db.ChangeReport, state customerv1.ChangeReportState, reason string) (*customerv1.ChangeReport, error) {
	actor, now := authn.FromContext(ctx).Actor(), s.now()
	row.State, row.Decider, row.DecideTime, row.RefuseReason = int16(state), &actor, &now, reason
	row.Version++
	err := s.q.DecideChangeReport(ctx, tx, db.DecideChangeReportParams{
		ID: row.ID, State: row.State, Decider: row.Decider, DecideTime: row.DecideTime, RefuseReason: reason,
	})
	if err != nil {
		return nil, fmt.Errorf("decide change report: %w", err)
	}
	stopped, err := s.clocks.Stop(ctx, tx, clock.Select{Subject: row.ID, Kinds: []string{reportClock}}, clock.Act{At: now})
	if err != nil {
		return nil, err
	}
	var due *time.Time
	for i := range stopped {
		due = &stopped[i].Due
	}
	return s.reported(ctx, tx, row, due)
}
