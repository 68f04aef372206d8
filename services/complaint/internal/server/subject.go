package server

import (
	"context"
	"fmt"

	subjectv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/subject/v1"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/services/complaint/internal/db"
	"github.com/kefu-suite/kefu/services/internal/subject"
)

// Subjects is what this service holds on persons: the complaints of customers who are one.
// Nobody at a company is known here. Complaints hold no copy of a name or a phone.
func (s *Server) Subjects() subject.Declaration {
	return subject.Declaration{Tables: db.SubjectTables(), Find: s.findSubject, Refs: true}
}

func (s *Server) findSubject(ctx context.Context, _ pg.DBTX, person *subjectv1.Subject, cursor string) (subject.Part, error) {
	if person.GetContactId() != "" {
		return subject.Part{Done: true}, nil
	}
	after, err := subject.Position(cursor)
	if err != nil {
		return subject.Part{}, err
	}
	customers, err := subject.IDs(person.GetCustomerIds())
	if err != nil {
		return subject.Part{}, err
	}
	ids, err := s.q.ListSubjectComplaints(ctx, s.pool, customers, after, subject.PartSize)
	if err != nil {
		return subject.Part{}, fmt.Errorf("find complaints: %w", err)
	}
	return subject.After(db.SetComplaint, ids), nil
}
