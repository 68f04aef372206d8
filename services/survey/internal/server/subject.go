package server

import (
	"context"
	"fmt"

	subjectv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/subject/v1"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/services/internal/subject"
	"github.com/kefu-suite/kefu/services/survey/internal/db"
)

// Subjects is what this service holds on persons: what customers who are one were asked and
// answered. Nobody at a company is known here.
func (s *Server) Subjects() subject.Declaration {
	return subject.Declaration{Tables: db.SubjectTables(), Find: s.findSubject, Refs: true}
}

func (s *Server) findSubject(ctx context.Context, on pg.DBTX, person *subjectv1.Subject, cursor string) (subject.Part, error) {
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
	ids, err := s.queries.ListSubjectAnswers(ctx, on, customers, after, subject.PartSize)
	if err != nil {
		return subject.Part{}, fmt.Errorf("find answers: %w", err)
	}
	part := subject.After(db.SetAnswer, ids)
	if cursor == "" {
		part.Sets[db.SetCustomer] = customers
	}
	return part, nil
}
