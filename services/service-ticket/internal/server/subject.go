package server

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"

	subjectv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/subject/v1"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/pii"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/internal/subject"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
)

// Subjects is what this service holds on persons.
func (s *Server) Subjects() subject.Declaration {
	return subject.Declaration{
		Tables: db.SubjectTables(), Shreds: []string{db.SetTicket, setCustomer}, Find: s.findSubject, Correct: s.correctSubject, Refs: true,
	}
}

// setCustomer are the customers under whose keys the reporters' contacts are.
const setCustomer = "customer"

// findSubject finds a person's tickets: those of a customer who is a person and what came
// from their phone without a customer, or what somebody at a company reported.
func (s *Server) findSubject(ctx context.Context, on pg.DBTX, person *subjectv1.Subject, cursor string) (subject.Part, error) {
	after, err := subject.Position(cursor)
	if err != nil {
		return subject.Part{}, err
	}
	customers, err := subject.IDs(person.GetCustomerIds())
	if err != nil {
		return subject.Part{}, err
	}
	if person.GetContactId() != "" {
		return s.findReported(ctx, on, person, customers, after)
	}
	ids, err := s.q.ListSubjectTickets(ctx, on, db.ListSubjectTicketsParams{
		After: after, CustomerIds: customers, Phones: s.phoneIndexes(person), Count: subject.PartSize,
	})
	if err != nil {
		return subject.Part{}, fmt.Errorf("find tickets: %w", err)
	}
	part := subject.After(db.SetTicket, ids)
	if cursor == "" {
		part.Sets[setCustomer] = customers
	}
	return part, nil
}

func (s *Server) phoneIndexes(person *subjectv1.Subject) [][]byte {
	out := make([][]byte, 0, len(person.GetPhones()))
	for _, phone := range person.GetPhones() {
		out = append(out, s.phoneIndex(phone))
	}
	return out
}

// findReported finds among a company's tickets those that the person reported.
func (s *Server) findReported(ctx context.Context, on pg.DBTX, person *subjectv1.Subject, customers []uuid.UUID, after uuid.UUID) (subject.Part, error) {
	rows, err := s.q.ListReportedTickets(ctx, on, customers, after, subject.PartSize)
	if err != nil {
		return subject.Part{}, fmt.Errorf("find tickets: %w", err)
	}
	part := subject.Part{Sets: subject.Sets{}, Done: len(rows) < subject.PartSize}
	if len(rows) == 0 {
		return part, nil
	}
	part.Cursor = rows[len(rows)-1].ID.String()
	keys, err := s.reporterKeys(ctx, on, rows)
	if err != nil {
		return subject.Part{}, err
	}
	for i := range rows {
		r, err := openReporter(&rows[i], keys)
		if err != nil {
			return subject.Part{}, err
		}
		if slices.Contains(person.GetPhones(), r.GetPhone()) || slices.Contains(person.GetEmails(), r.GetEmail()) ||
			slices.Contains(person.GetNames(), r.GetName()) {
			part.Sets[db.SetReported] = append(part.Sets[db.SetReported], rows[i].ID)
		}
	}
	return part, nil
}

// reporterKeys are the keys of those who reported tickets.
func (s *Server) reporterKeys(ctx context.Context, on pg.DBTX, rows []db.Ticket) (pii.Subjects, error) {
	var subjects []uuid.UUID
	for i := range rows {
		if rows[i].ReporterPhone != nil || rows[i].ReporterEmail != nil {
			subjects = append(subjects, rows[i].ReporterSubjectID)
		}
	}
	if len(subjects) == 0 {
		return pii.Subjects{}, nil
	}
	return s.keys.Subjects(ctx, on, subjects...)
}

// correctSubject puts the right values into the places of the wrong ones.
func (s *Server) correctSubject(ctx context.Context, tx *write.Tx, req *subjectv1.CorrectSubjectRequest, part subject.Part) (int64, error) {
	rows, err := s.q.ListTicketsByIDs(ctx, tx, slices.Concat(part.Sets[db.SetTicket], part.Sets[db.SetReported]))
	if err != nil {
		return 0, fmt.Errorf("read tickets: %w", err)
	}
	keys, err := s.reporterKeys(ctx, tx, rows)
	if err != nil {
		return 0, err
	}
	var corrected int64
	for i := range rows {
		row := &rows[i]
		before, err := openReporter(row, keys)
		if err != nil {
			return 0, err
		}
		after := reporter{
			name:  righted(before.GetName(), req.GetName(), req.GetSubject().GetNames()),
			phone: righted(before.GetPhone(), req.GetPhone(), req.GetSubject().GetPhones()),
			email: righted(before.GetEmail(), req.GetEmail(), req.GetSubject().GetEmails()),
		}
		if after == (reporter{before.GetName(), before.GetPhone(), before.GetEmail()}) {
			continue
		}
		if err := s.seal(row, after, keys[row.ReporterSubjectID]); err != nil {
			return 0, err
		}
		if err := s.q.CorrectReporter(ctx, tx, db.CorrectReporterParams{
			ID: row.ID, ReporterName: row.ReporterName, ReporterPhone: row.ReporterPhone, ReporterPhoneIndex: row.ReporterPhoneIndex,
			ReporterEmail: row.ReporterEmail, UpdateTime: s.now(),
		}); err != nil {
			return 0, fmt.Errorf("correct ticket %s: %w", row.ID, err)
		}
		corrected++
	}
	return corrected, nil
}

// righted is the right value where the wrong one stands.
func righted(have, right string, wrong []string) string {
	if right == "" || have == "" || !slices.Contains(wrong, have) {
		return have
	}
	return right
}
