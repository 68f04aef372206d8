package server

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/mask"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpc"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/internal/fieldmask"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

// CreateCannedAnswer adds an answer made ready.
func (s *Server) CreateCannedAnswer(ctx context.Context, req *ticketv1.CreateCannedAnswerRequest) (*ticketv1.CannedAnswer, error) {
	id, err := newID()
	if err != nil {
		return nil, err
	}
	now := s.now()
	row := &db.CannedAnswer{ID: id, CreateTime: now, UpdateTime: now, Version: 1}
	if err := fillCanned(row, req.GetAnswer()); err != nil {
		return nil, err
	}
	out, err := write.DoBatch(ctx, s.write, req, func(ctx context.Context, tx *write.BatchTx) (*ticketv1.CannedAnswer, error) {
		tx.Audit("canned-answer", id, cannedProto(row))
		return cannedProto(row), s.q.InsertCannedAnswer(ctx, tx, db.InsertCannedAnswerParams{
			ID: id, Code: row.Code, Title: row.Title, DepartmentID: row.DepartmentID, Languages: row.Languages, Bodies: row.Bodies, CreateTime: now,
		})
	})
	return out, cannedRefused(err, row)
}

// UpdateCannedAnswer changes named fields.
func (s *Server) UpdateCannedAnswer(ctx context.Context, req *ticketv1.UpdateCannedAnswerRequest) (*ticketv1.CannedAnswer, error) {
	id, err := parseID("answer.id", req.GetAnswer().GetId())
	if err != nil {
		return nil, err
	}
	row := new(db.CannedAnswer)
	out, err := write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*ticketv1.CannedAnswer, error) {
		held, err := s.q.LockCannedAnswer(ctx, tx, id)
		if err != nil {
			return nil, missing(err, "canned answer", id)
		}
		*row = held
		if err := current(req.GetAnswer().GetEtag(), row.Version, "canned answer", id); err != nil {
			return nil, err
		}
		merged := cannedProto(row)
		if err := fieldmask.Apply(merged, req.GetAnswer(), req.GetUpdateMask(), "id"); err != nil {
			return nil, err
		}
		if err := rpc.Check(s.validator, &ticketv1.CreateCannedAnswerRequest{Answer: merged}); err != nil {
			return nil, err
		}
		if err := fillCanned(row, merged); err != nil {
			return nil, err
		}
		row.UpdateTime, row.Version = s.now(), row.Version+1
		if err := s.q.UpdateCannedAnswer(ctx, tx, db.UpdateCannedAnswerParams{
			ID: id, Code: row.Code, Title: row.Title, DepartmentID: row.DepartmentID, Languages: row.Languages, Bodies: row.Bodies,
			UpdateTime: row.UpdateTime, Version: row.Version,
		}); err != nil {
			return nil, fmt.Errorf("update canned answer: %w", err)
		}
		tx.Audit("canned-answer", id, cannedProto(row))
		return cannedProto(row), nil
	})
	return out, cannedRefused(err, row)
}

// cannedRefused tells what a constraint means to the caller.
func cannedRefused(err error, row *db.CannedAnswer) error {
	switch {
	case pg.Violates(err, "canned_answers_code_key"):
		return rpcerr.Exists("canned answer", "code", row.Code)
	case pg.Violates(err, "canned_answers_department_id_fkey"):
		return unknownDepartment("answer.department_id", idValue(row.DepartmentID))
	}
	return err
}

// fillCanned writes to a row what a caller may set of an answer.
func fillCanned(row *db.CannedAnswer, in *ticketv1.CannedAnswer) error {
	department, err := parseOptional("answer.department_id", in.GetDepartmentId())
	if err != nil {
		return err
	}
	row.Code, row.Title, row.DepartmentID, row.Languages, row.Bodies = in.GetCode(), in.GetTitle(), idPtr(department), nil, nil
	for i, t := range in.GetTexts() {
		field := fmt.Sprintf("answer.texts[%d]", i)
		for _, has := range row.Languages {
			if strings.EqualFold(has, t.GetLanguage()) {
				return rpcerr.Invalid(field+".language", rpcerr.T(
					"there is a text in %[1]s before it; give one text a language", "前面已有 %[1]s 的文本；每种语言只能有一份文本", has))
			}
		}
		if err := ticket.CheckCanned(field+".body", t.GetBody()); err != nil {
			return err
		}
		row.Languages, row.Bodies = append(row.Languages, t.GetLanguage()), append(row.Bodies, t.GetBody())
	}
	return nil
}

func cannedProto(row *db.CannedAnswer) *ticketv1.CannedAnswer {
	out := &ticketv1.CannedAnswer{
		Id: row.ID.String(), Code: row.Code, Title: row.Title, DepartmentId: idString(row.DepartmentID),
		CreateTime: timestamppb.New(row.CreateTime), UpdateTime: timestamppb.New(row.UpdateTime), Etag: etag(row.Version),
	}
	for i, language := range row.Languages {
		out.Texts = append(out.Texts, &ticketv1.CannedText{Language: language, Body: row.Bodies[i]})
	}
	return out
}

// DeleteCannedAnswer takes an answer away.
func (s *Server) DeleteCannedAnswer(ctx context.Context, req *ticketv1.DeleteCannedAnswerRequest) (*emptypb.Empty, error) {
	return s.remove(ctx, req, "canned answer", req.GetId(), func(tx *write.Tx, id uuid.UUID) (int64, error) {
		return s.q.DeleteCannedAnswer(ctx, tx, id)
	})
}

// ListCannedAnswers lists answers in the order they were added.
func (s *Server) ListCannedAnswers(ctx context.Context, req *ticketv1.ListCannedAnswersRequest) (*ticketv1.ListCannedAnswersResponse, error) {
	department, err := parseOptional("department_id", req.GetDepartmentId())
	if err != nil {
		return nil, err
	}
	rows, next, err := byID(ctx, s, req, "canned answers", func(r db.CannedAnswer) uuid.UUID { return r.ID }, func(after uuid.UUID, size int32) ([]db.CannedAnswer, error) {
		return s.q.ListCannedAnswers(ctx, s.pool, after, idPtr(department), size)
	})
	out := &ticketv1.ListCannedAnswersResponse{NextPageToken: next}
	for i := range rows {
		out.Answers = append(out.Answers, cannedProto(&rows[i]))
	}
	return out, err
}

// RenderCannedAnswer gives the text of an answer for a ticket.
func (s *Server) RenderCannedAnswer(ctx context.Context, req *ticketv1.RenderCannedAnswerRequest) (*ticketv1.RenderedAnswer, error) {
	t, err := s.find(ctx, "ticket_id", req.GetTicketId())
	if err != nil {
		return nil, err
	}
	id, err := parseID("id", req.GetId())
	if err != nil {
		return nil, err
	}
	row, err := s.q.GetCannedAnswer(ctx, s.pool, id)
	if err != nil {
		return nil, missing(err, "canned answer", id)
	}
	wanted := []string{req.GetLanguage(), ticket.ParseNeeds(t.Needs).Language}
	if t.CustomerID != nil {
		language, err := s.q.GetCustomerLanguage(ctx, s.pool, *t.CustomerID)
		if err != nil {
			return nil, fmt.Errorf("read the customer's language: %w", err)
		}
		wanted = append(wanted, language)
	}
	at := ticket.PickLanguage(row.Languages, wanted...)
	values, err := s.cannedValues(ctx, &t, row.Languages[at])
	if err != nil {
		return nil, err
	}
	body, lacking := ticket.FillCanned(row.Bodies[at], values)
	return &ticketv1.RenderedAnswer{Body: body, Language: row.Languages[at], Missing: lacking}, nil
}

// cannedValues are the values of the variables for a ticket, in a language.
func (s *Server) cannedValues(ctx context.Context, t *db.Ticket, language string) (map[string]string, error) {
	now := s.now()
	cal, _, err := s.calendars.Load(ctx, s.pool, "")
	if err != nil {
		return nil, fmt.Errorf("the default calendar: %w", err)
	}
	values := map[string]string{
		"ticket.number": t.Number, "ticket.title": t.Title, "date": now.In(cal.Location()).Format(time.DateOnly),
	}
	if t.DueTime != nil {
		values["ticket.due"] = t.DueTime.In(cal.Location()).Format("2006-01-02 15:04")
	}
	if authz.Sees(ctx, &ticketv1.Reporter{}, "name") == mask.Shown {
		values["reporter.name"] = t.ReporterName
	}
	me, err := s.me(ctx, s.pool)
	if err != nil {
		return nil, err
	}
	if me != nil {
		values["staff.name"] = me.Name
	}
	if t.DepartmentID == nil {
		return values, nil
	}
	d, err := s.q.GetDepartment(ctx, s.pool, *t.DepartmentID)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("read department: %w", err)
	}
	values["department.name"] = d.NameZh
	if !strings.HasPrefix(strings.ToLower(language), "zh") && d.NameEn != "" || d.NameZh == "" {
		values["department.name"] = d.NameEn
	}
	return values, nil
}
