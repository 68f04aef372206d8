package server

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
	"github.com/kefu-suite/kefu/services/complaint/internal/db"
)

// action is one move in the making: the locked complaint, its present round, and what
// the rules have said so far.
type action struct {
	tx  *write.Tx
	who caller
	now time.Time

	step  complaint.Step
	c     db.Complaint
	round db.ComplaintRound
	// opened is the next round when the move opens one.
	opened *db.InsertRoundParams

	reason  string
	occur   time.Time
	channel typev1.Channel // of a contact with the customer
	twoWay  bool
	// raised says that the complaint became major outside of a review.
	raised bool
	// proposed is what the remedy costs that the move proposes.
	proposed *complaint.Amount
	// also are statements of the move besides those of every move.
	also []func(ctx context.Context, p *pipeline) error
}

// moveRequest is the request of a verb.
type moveRequest interface {
	write.Request
	GetId() string
	GetEtag() string
}

// move takes one verb through: lock, who may, current version, state, rules, write. The
// rules of the verb are decide's; it changes the rows of the action.
func (s *Server) move(ctx context.Context, req moveRequest, verb complaint.Verb, decide func(ctx context.Context, a *action) error) (*complaintv1.Complaint, error) {
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*complaintv1.Complaint, error) {
		a, err := s.begin(ctx, tx, id(req.GetId()), req.GetEtag(), verb)
		if err != nil {
			return nil, public(err)
		}
		if err := decide(ctx, a); err != nil {
			return nil, public(err)
		}
		return s.finish(ctx, a)
	})
}

// begin locks the complaint and checks what holds for every verb: the caller may know
// of the complaint, it is not about them, they saw its current version, and the verb
// starts from its state.
func (s *Server) begin(ctx context.Context, tx *write.Tx, complaintID uuid.UUID, seen string, verb complaint.Verb) (*action, error) {
	a, err := s.lock(ctx, tx, complaintID)
	if err != nil {
		return nil, err
	}
	if a.who, err = s.caller(ctx, tx); err != nil {
		return nil, err
	}
	v, err := s.see(ctx, tx, a.who, a.c)
	if err != nil {
		return nil, err
	}
	if v == nothing {
		return nil, notFound(complaintID)
	}
	if err := complaint.Impartial(a.who.Caller, value(a.c.AccusedStaffID)); err != nil {
		return nil, err
	}
	if seen != "" && seen != etag(a.c.Version) {
		return nil, rpcerr.Stale(kind, complaintID.String())
	}
	return a, a.to(verb)
}

// lock reads the complaint for change, with its present round.
func (s *Server) lock(ctx context.Context, tx *write.Tx, complaintID uuid.UUID) (*action, error) {
	c, err := s.q.LockComplaint(ctx, tx, complaintID)
	if missing(err) {
		return nil, notFound(complaintID)
	}
	if err != nil {
		return nil, fmt.Errorf("lock complaint: %w", err)
	}
	round, err := s.q.GetRound(ctx, tx, complaintID, c.Round)
	if err != nil {
		return nil, fmt.Errorf("read round: %w", err)
	}
	now := s.now()
	return &action{tx: tx, c: c, round: round, now: now, occur: now}, nil
}

// to sets where the move leads.
func (a *action) to(verb complaint.Verb) (err error) {
	a.step, err = complaint.Next(complaint.State(a.c.State), a.c.Round, verb)
	return err
}

// finish writes the move: the rows, one line of history, one event, one audit record.
func (s *Server) finish(ctx context.Context, a *action) (*complaintv1.Complaint, error) {
	a.c.State, a.c.Round = int16(a.step.To), a.step.Round
	a.c.Version++
	a.c.UpdateTime = a.now
	readers, err := s.readers(ctx, a)
	if err != nil {
		return nil, err
	}
	if err := s.store(ctx, a, readers); err != nil {
		return nil, err
	}
	satisfaction := a.round.Satisfaction
	if a.opened != nil {
		satisfaction = 0
	}
	payload := changed(a.c, a.step.From, satisfaction)
	payload.TwoWay = a.twoWay
	if a.channel != 0 {
		payload.Channel = a.channel
	}
	a.tx.Emit(event.Event{
		Type: a.step.Verb.Event(), SubjectID: a.c.ID, SubjectVersion: a.c.Version,
		CustomerID: value(a.c.CustomerID), OccurTime: a.occur, Payload: payload,
	})
	if err := s.follow(ctx, a); err != nil {
		return nil, err
	}
	out, err := s.compose(ctx, a.tx, []db.Complaint{a.c})
	if err != nil {
		return nil, err
	}
	a.tx.Audit(kind, a.c.ID, out[0])
	if a.who.customer != uuid.Nil {
		return narrow(with(out[0], nil), outer), nil
	}
	return out[0], nil
}

// readers are the keys of the complaint after the move.
func (s *Server) readers(ctx context.Context, a *action) ([]string, error) {
	handlers, err := s.q.SelectHandlers(ctx, a.tx, a.c.ID, a.c.Round+1)
	if err != nil {
		return nil, fmt.Errorf("read handlers: %w", err)
	}
	if a.c.HandlerStaffID != nil {
		handlers = append(handlers, *a.c.HandlerStaffID)
	}
	open := openness(a.c, handlers)
	if a.step.To != complaint.Proposed {
		return complaint.Readers(open), nil
	}
	if a.proposed == nil {
		waiting, err := s.q.GetProposal(ctx, a.tx, a.c.ID, a.c.Round)
		if err != nil {
			return nil, fmt.Errorf("read the proposal: %w", err)
		}
		a.proposed = &complaint.Amount{Units: waiting.AmountUnits, Nanos: waiting.AmountNanos}
	}
	unit, err := s.responsible(ctx, a.tx, &a.c)
	if err != nil {
		return nil, err
	}
	open.SupervisorDecides = complaint.SupervisorDecides(unit.Function, *a.proposed, s.limits)
	return complaint.Readers(open), nil
}

func (s *Server) store(ctx context.Context, a *action, readers []string) error {
	p := &pipeline{Tx: a.tx}
	steps := []error{
		s.q.UpdateComplaint(ctx, p, db.UpdateComplaintParams{
			ID: a.c.ID, Category: a.c.Category, State: a.c.State, Round: a.c.Round, Quality: a.c.Quality,
			Severity: a.c.Severity, DepartmentID: a.c.DepartmentID, HandlerStaffID: a.c.HandlerStaffID,
			Outcome: a.c.Outcome, CloseReason: a.c.CloseReason, Version: a.c.Version,
			UpdateTime: a.c.UpdateTime, CloseTime: a.c.CloseTime,
		}),
		s.q.UpdateRound(ctx, p, roundUpdate(a.round)),
	}
	if a.opened != nil {
		steps = append(steps, s.q.InsertRound(ctx, p, *a.opened))
	}
	if a.step.From == complaint.Told && (a.step.To != complaint.Told || a.step.Verb == complaint.Answer) {
		steps = append(steps, s.q.DeleteSilence(ctx, p, a.c.ID))
	}
	for _, also := range a.also {
		steps = append(steps, also(ctx, p))
	}
	steps = append(steps,
		s.q.SetReaders(ctx, p, a.c.ID, readers, a.c.State),
		s.q.InsertTransition(ctx, p, db.InsertTransitionParams{
			ComplaintID: a.c.ID, Version: a.c.Version, Verb: a.step.Verb.Name(), FromState: int16(a.step.From),
			ToState: a.c.State, Round: a.c.Round, Reason: a.reason, Actor: a.who.Actor,
			ActorStaffID: pointer(a.who.Staff), HandlerStaffID: a.c.HandlerStaffID, OccurTime: a.occur,
		}))
	return p.send(ctx, steps...)
}

func roundUpdate(r db.ComplaintRound) db.UpdateRoundParams {
	return db.UpdateRoundParams{
		ComplaintID: r.ComplaintID, Number: r.Number, HandlerStaffID: r.HandlerStaffID, SubmitTime: r.SubmitTime,
		ReviewTime: r.ReviewTime, ValidAtFirstSight: r.ValidAtFirstSight, AssignTime: r.AssignTime,
		AssignVersion: r.AssignVersion, ContactTime: r.ContactTime, TellTime: r.TellTime, TellChannel: r.TellChannel,
		Told: r.Told, Satisfaction: r.Satisfaction, AnswerSaidBy: r.AnswerSaidBy, AnswerChannel: r.AnswerChannel,
		AnswerNote: r.AnswerNote, AnswerTime: r.AnswerTime, SurveyAnswerID: r.SurveyAnswerID,
	}
}
