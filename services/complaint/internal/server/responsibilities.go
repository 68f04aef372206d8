package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
	"github.com/kefu-suite/kefu/services/complaint/internal/db"
	"github.com/kefu-suite/kefu/services/internal/directory"
)

// responsibilityKind names responsibilities in errors and audit records.
const responsibilityKind = "responsibility"

// settling is one step of a responsibility in the making, on a locked complaint.
type settling struct {
	tx  *write.Tx
	who caller
	now time.Time
	c   db.Complaint
	row db.ComplaintResponsibility
	complaint.HeldFacts
}

// settleRequest is the request of a step after the proposal.
type settleRequest interface {
	write.Request
	GetComplaintId() string
	GetReason() string
	GetEtag() string
}

// settle takes one step: lock, who may know of it, current version, state, rules, write.
func (s *Server) settle(ctx context.Context, req settleRequest, to complaint.Settled, decide func(*settling) error) (*complaintv1.Responsibility, error) {
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*complaintv1.Responsibility, error) {
		g, err := s.settling(ctx, tx, id(req.GetComplaintId()))
		if err != nil {
			return nil, err
		}
		if g.row.ID == uuid.Nil {
			return nil, rpcerr.NotFound(responsibilityKind, req.GetComplaintId())
		}
		if req.GetEtag() != "" && req.GetEtag() != etag(g.row.Version) {
			return nil, rpcerr.Stale(responsibilityKind, g.row.ID.String())
		}
		from := complaint.Settled(g.row.State)
		if err := complaint.SettleNext(from, to); err != nil {
			return nil, public(err)
		}
		if err := decide(g); err != nil {
			return nil, public(err)
		}
		g.row.State = int16(to)
		g.row.Version++
		if err := s.q.UpdateResponsibility(ctx, tx, db.UpdateResponsibilityParams{
			ID: g.row.ID, State: g.row.State, ObjectionDue: g.row.ObjectionDue, DeterminerActor: g.row.DeterminerActor, Version: g.row.Version,
		}); err != nil {
			return nil, fmt.Errorf("change a responsibility: %w", err)
		}
		return s.settled(ctx, g, req.GetReason())
	})
}

// settling locks a complaint and reads its last responsibility, for those who may know of it.
func (s *Server) settling(ctx context.Context, tx *write.Tx, complaintID uuid.UUID) (*settling, error) {
	g, err := s.onComplaint(ctx, tx, complaintID)
	if err != nil {
		return nil, err
	}
	if err := s.lastHeld(ctx, tx, g); err != nil {
		return nil, err
	}
	return g, s.mayKnow(ctx, tx, g)
}

// onComplaint locks a complaint and finds out who calls.
func (s *Server) onComplaint(ctx context.Context, tx *write.Tx, complaintID uuid.UUID) (*settling, error) {
	c, err := s.q.LockComplaint(ctx, tx, complaintID)
	if missing(err) {
		return nil, notFound(complaintID)
	}
	if err != nil {
		return nil, fmt.Errorf("lock complaint: %w", err)
	}
	g := &settling{tx: tx, now: s.now(), c: c}
	g.who, err = s.caller(ctx, tx)
	return g, err
}

// lastHeld reads the last responsibility of the complaint and what its steps depend on.
func (s *Server) lastHeld(ctx context.Context, on db.DBTX, g *settling) error {
	row, err := s.q.LastResponsibility(ctx, on, g.c.ID)
	if missing(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read a responsibility: %w", err)
	}
	g.row, g.Due = row, timeOf(row.ObjectionDue)
	return s.partyOf(ctx, on, g)
}

// partyOf finds who may object: the person, or the head of the department.
func (s *Server) partyOf(ctx context.Context, on db.DBTX, g *settling) error {
	if g.row.DepartmentID == nil {
		return nil
	}
	unit, err := directory.Department(ctx, on, *g.row.DepartmentID)
	if err != nil && !errors.Is(err, directory.ErrUnknown) {
		return err
	}
	g.Function, g.Party = unit.Function, unit.HeadStaffID
	if g.row.StaffID != nil {
		g.Party = *g.row.StaffID
	}
	return nil
}

// mayKnow lets through those who see the complaint as a whole, and the party.
func (s *Server) mayKnow(ctx context.Context, on db.DBTX, g *settling) error {
	if g.Party != uuid.Nil && g.who.Staff == g.Party {
		return nil
	}
	v, err := s.see(ctx, on, g.who, g.c)
	if err == nil && v == allegation {
		return public(complaint.Impartial(g.who.Caller, value(g.c.AccusedStaffID)))
	}
	if err == nil && v != whole {
		err = notFound(g.c.ID)
	}
	return err
}

// impartial refuses who is complained about, and the party.
func (g *settling) impartial() error {
	if err := complaint.Impartial(g.who.Caller, value(g.c.AccusedStaffID)); err != nil {
		return err
	}
	return complaint.Unconcerned(g.who.Caller, g.HeldFacts)
}

// settled writes the step, its event and its audit record.
func (s *Server) settled(ctx context.Context, g *settling, reason string) (*complaintv1.Responsibility, error) {
	if err := s.q.InsertResponsibilityStep(ctx, g.tx, db.InsertResponsibilityStepParams{
		ResponsibilityID: g.row.ID, Version: g.row.Version, State: g.row.State, Reason: reason, Actor: g.who.Actor,
		ActorStaffID: pointer(g.who.Staff), OccurTime: g.now,
	}); err != nil {
		return nil, fmt.Errorf("store a step of a responsibility: %w", err)
	}
	state := complaint.Settled(g.row.State)
	g.tx.Emit(event.Event{
		Type: "responsibility." + complaint.SettledName(state) + ".v1", SubjectID: g.row.ID, SubjectVersion: g.row.Version,
		CustomerID: value(g.c.CustomerID), OccurTime: g.now, Payload: &complaintv1.ResponsibilityChanged{
			ComplaintId: g.c.ID.String(), Kind: complaintv1.ResponsibilityKind(g.row.Kind), State: state,
			DepartmentId: text(g.row.DepartmentID), StaffId: text(g.row.StaffID), InEffect: complaint.InEffect(state),
		},
	})
	out, err := s.responsibilityMessage(ctx, g.tx, g.row)
	if err != nil {
		return nil, err
	}
	g.tx.Audit(responsibilityKind, g.row.ID, out)
	return out, nil
}

func (s *Server) responsibilityMessage(ctx context.Context, on db.DBTX, row db.ComplaintResponsibility) (*complaintv1.Responsibility, error) {
	steps, err := s.q.ListResponsibilitySteps(ctx, on, row.ID)
	if err != nil {
		return nil, fmt.Errorf("read the steps of a responsibility: %w", err)
	}
	out := &complaintv1.Responsibility{
		Id: row.ID.String(), ComplaintId: row.ComplaintID.String(), Kind: complaintv1.ResponsibilityKind(row.Kind),
		DepartmentId: text(row.DepartmentID), StaffId: text(row.StaffID), Grounds: row.Grounds, State: complaint.Settled(row.State),
		InEffect: complaint.InEffect(complaint.Settled(row.State)), ObjectionDue: stamp(row.ObjectionDue), Etag: etag(row.Version),
	}
	for _, step := range steps {
		out.Steps = append(out.Steps, &complaintv1.ResponsibilityStep{
			State: complaint.Settled(step.State), Reason: step.Reason, ActorStaffId: text(step.ActorStaffID),
			OccurTime: timestamppb.New(step.OccurTime),
		})
	}
	return out, nil
}

// window ends the party's time to object, counted from now on in the default calendar; nil
// where there is no party.
func (s *Server) window(ctx context.Context, on db.DBTX, now time.Time, party uuid.UUID) (*time.Time, error) {
	if party == uuid.Nil {
		return nil, nil
	}
	cal, _, err := s.calendars.Load(ctx, on, "")
	if err != nil {
		return nil, err
	}
	due, err := cal.AddWorkingDays(now, s.limits.ObjectionDays)
	if err != nil {
		return nil, fmt.Errorf("end of the time to object: %w", err)
	}
	return &due, nil
}

// ProposeResponsibility proposes who is responsible.
func (s *Server) ProposeResponsibility(ctx context.Context, req *complaintv1.ProposeResponsibilityRequest) (*complaintv1.Responsibility, error) {
	in := req.GetResponsibility()
	if err := complaint.Holds(in); err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*complaintv1.Responsibility, error) {
		g, err := s.settling(ctx, tx, id(req.GetComplaintId()))
		if err != nil {
			return nil, err
		}
		before := complaint.Settled(g.row.State)
		if err := complaint.Impartial(g.who.Caller, value(g.c.AccusedStaffID)); err != nil {
			return nil, public(err)
		}
		if err := complaint.ProposesResponsibility(g.who.Caller, g.who.viewer.Inspector, complaintv1.Quality(g.c.Quality), value(g.c.HandlerStaffID)); err != nil {
			return nil, public(err)
		}
		if err := complaint.SettleNext(before, complaint.HeldProposed); err != nil {
			return nil, public(err)
		}
		if err := s.propose(ctx, g, in); err != nil {
			return nil, public(err)
		}
		return s.settled(ctx, g, in.GetGrounds())
	})
}

// propose writes the proposal. A person is responsible in their department.
func (s *Server) propose(ctx context.Context, g *settling, in *complaintv1.Responsibility) error {
	newID, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("id of a responsibility: %w", err)
	}
	g.row = db.ComplaintResponsibility{
		ID: newID, ComplaintID: g.c.ID, Kind: int16(in.GetKind()), DepartmentID: optional(in.GetDepartmentId()),
		StaffID: optional(in.GetStaffId()), Grounds: in.GetGrounds(), State: int16(complaint.HeldProposed),
		ProposerActor: g.who.Actor, Version: 1,
	}
	if g.row.StaffID != nil {
		member, err := staff(ctx, g.tx, *g.row.StaffID, "responsibility.staff_id")
		if err != nil {
			return err
		}
		if in.GetDepartmentId() != "" && *g.row.DepartmentID != member.DepartmentID {
			return elsewhere("responsibility.department_id", member)
		}
		g.row.DepartmentID = &member.DepartmentID
	} else if g.row.DepartmentID != nil {
		if _, err := department(ctx, g.tx, *g.row.DepartmentID, "responsibility.department_id"); err != nil {
			return err
		}
	}
	g.HeldFacts = complaint.HeldFacts{}
	if err := s.partyOf(ctx, g.tx, g); err != nil {
		return err
	}
	if err := complaint.Unconcerned(g.who.Caller, g.HeldFacts); err != nil {
		return err
	}
	if g.row.ObjectionDue, err = s.window(ctx, g.tx, g.now, g.Party); err != nil {
		return err
	}
	if err := s.q.InsertResponsibility(ctx, g.tx, db.InsertResponsibilityParams{
		ID: g.row.ID, ComplaintID: g.row.ComplaintID, Kind: g.row.Kind, DepartmentID: g.row.DepartmentID, StaffID: g.row.StaffID,
		Grounds: g.row.Grounds, State: g.row.State, ObjectionDue: g.row.ObjectionDue, ProposerActor: g.row.ProposerActor,
	}); err != nil {
		return fmt.Errorf("store a responsibility: %w", err)
	}
	return nil
}

// ObjectResponsibility objects to what is proposed.
func (s *Server) ObjectResponsibility(ctx context.Context, req *complaintv1.ObjectResponsibilityRequest) (*complaintv1.Responsibility, error) {
	return s.settle(ctx, req, complaint.HeldObjected, func(g *settling) error {
		return complaint.Answering(g.who.Caller, g.HeldFacts, g.now)
	})
}

// DetermineResponsibility determines or overturns what was proposed.
func (s *Server) DetermineResponsibility(ctx context.Context, req *complaintv1.DetermineResponsibilityRequest) (*complaintv1.Responsibility, error) {
	return s.settle(ctx, req, outcomeOf(req.GetHeld(), complaint.HeldDetermined), func(g *settling) error {
		from := complaint.Settled(g.row.State)
		if err := complaint.SettleNext(from, complaint.HeldDetermined); err != nil {
			return err
		}
		if err := g.impartial(); err != nil {
			return err
		}
		if err := complaint.Determining(g.who.Caller, g.HeldFacts, from, g.now); err != nil {
			return err
		}
		if err := authz.SecondPerson(ctx, g.row.ProposerActor); err != nil {
			return err
		}
		g.row.DeterminerActor, g.row.ObjectionDue = g.who.Actor, nil
		if !req.GetHeld() {
			return nil
		}
		due, err := s.window(ctx, g.tx, g.now, g.Party)
		g.row.ObjectionDue = due
		return err
	})
}

// outcomeOf is the state that a word leads to.
func outcomeOf(held bool, to complaint.Settled) complaint.Settled {
	if held {
		return to
	}
	return complaint.HeldNoLonger
}

// AppealResponsibility appeals to the company manager.
func (s *Server) AppealResponsibility(ctx context.Context, req *complaintv1.AppealResponsibilityRequest) (*complaintv1.Responsibility, error) {
	return s.settle(ctx, req, complaint.HeldAppealed, func(g *settling) error {
		return complaint.Answering(g.who.Caller, g.HeldFacts, g.now)
	})
}

// DecideResponsibility decides an appeal for good.
func (s *Server) DecideResponsibility(ctx context.Context, req *complaintv1.DecideResponsibilityRequest) (*complaintv1.Responsibility, error) {
	return s.settle(ctx, req, outcomeOf(req.GetHeld(), complaint.HeldFinal), func(g *settling) error {
		if err := complaint.SettleNext(complaint.Settled(g.row.State), complaint.HeldFinal); err != nil {
			return err
		}
		if err := g.impartial(); err != nil {
			return err
		}
		g.row.ObjectionDue = nil
		return authz.SecondPerson(ctx, g.row.ProposerActor, g.row.DeterminerActor)
	})
}

// GetResponsibility returns the last responsibility of a complaint.
func (s *Server) GetResponsibility(ctx context.Context, req *complaintv1.GetResponsibilityRequest) (*complaintv1.Responsibility, error) {
	c, err := s.q.GetComplaint(ctx, s.pool, id(req.GetComplaintId()))
	if missing(err) {
		return nil, notFound(id(req.GetComplaintId()))
	}
	if err != nil {
		return nil, fmt.Errorf("read complaint: %w", err)
	}
	g := &settling{c: c, now: s.now()}
	if g.who, err = s.caller(ctx, s.pool); err != nil {
		return nil, err
	}
	if err := s.lastHeld(ctx, s.pool, g); err != nil {
		return nil, err
	}
	if err := s.mayKnow(ctx, s.pool, g); err != nil {
		if rpcerr.Reason(err) == complaint.ReasonConcernsCaller {
			err = notFound(c.ID)
		}
		return nil, err
	}
	if g.row.ID == uuid.Nil {
		return nil, rpcerr.NotFound(responsibilityKind, c.ID.String())
	}
	return s.responsibilityMessage(ctx, s.pool, g.row)
}
