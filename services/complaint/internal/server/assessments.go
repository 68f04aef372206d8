package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/page"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
	"github.com/kefu-suite/kefu/services/complaint/internal/db"
	"github.com/kefu-suite/kefu/services/internal/directory"
)

// assessmentKind names assessments in errors and audit records.
const assessmentKind = "assessment"

// assessing is one step of an assessment in the making, on a locked complaint.
type assessing struct {
	*settling
	row db.ComplaintAssessment
	// party is the person, or the head of the department, that is assessed.
	party uuid.UUID
}

// assessRequest is the request of a step after the entry.
type assessRequest interface {
	settleRequest
	GetId() string
}

// assessStep takes one step: lock, who may know, current version, state, rules, write.
func (s *Server) assessStep(ctx context.Context, req assessRequest, to complaint.Assessed, decide func(*assessing) error) (*complaintv1.Assessment, error) {
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*complaintv1.Assessment, error) {
		g, err := s.onComplaint(ctx, tx, id(req.GetComplaintId()))
		if err != nil {
			return nil, err
		}
		a := &assessing{settling: g}
		a.row, err = s.q.GetAssessment(ctx, tx, id(req.GetId()), g.c.ID)
		if err != nil && !missing(err) {
			return nil, fmt.Errorf("read an assessment: %w", err)
		}
		unknown := missing(err)
		if !unknown {
			if a.party, err = s.assessedParty(ctx, tx, a.row); err != nil {
				return nil, err
			}
		}
		if err := s.mayKnowOf(ctx, a); err != nil {
			return nil, err
		}
		if unknown {
			return nil, rpcerr.NotFound(assessmentKind, req.GetId())
		}
		if req.GetEtag() != "" && req.GetEtag() != etag(a.row.Version) {
			return nil, rpcerr.Stale(assessmentKind, a.row.ID.String())
		}
		if err := complaint.AssessNext(complaint.Assessed(a.row.State), to); err != nil {
			return nil, public(err)
		}
		if err := decide(a); err != nil {
			return nil, public(err)
		}
		a.row.State = int16(to)
		a.row.Version++
		if err := s.q.UpdateAssessment(ctx, tx, db.UpdateAssessmentParams{
			ID: a.row.ID, State: a.row.State, AppealDue: a.row.AppealDue, ApproverActor: a.row.ApproverActor, Version: a.row.Version,
		}); err != nil {
			return nil, fmt.Errorf("change an assessment: %w", err)
		}
		return s.assessed(ctx, a, req.GetReason())
	})
}

// mayKnowOf lets through the party, and those who see the complaint as a whole.
func (s *Server) mayKnowOf(ctx context.Context, a *assessing) error {
	if a.party != uuid.Nil && a.who.Staff == a.party {
		return nil
	}
	v, err := s.see(ctx, a.tx, a.who, a.c)
	switch {
	case err != nil:
		return err
	case v == allegation:
		return public(complaint.Impartial(a.who.Caller, value(a.c.AccusedStaffID)))
	case v != whole:
		return notFound(a.c.ID)
	}
	return nil
}

// assessedParty is who may appeal: the person, or the head of the department.
func (s *Server) assessedParty(ctx context.Context, on db.DBTX, row db.ComplaintAssessment) (uuid.UUID, error) {
	if row.StaffID != nil {
		return *row.StaffID, nil
	}
	unit, err := directory.Department(ctx, on, row.DepartmentID)
	if errors.Is(err, directory.ErrUnknown) {
		return uuid.Nil, nil
	}
	return unit.HeadStaffID, err
}

// others refuses whoever is complained about, the party and their department.
func (a *assessing) others() error {
	if err := complaint.Impartial(a.who.Caller, value(a.c.AccusedStaffID)); err != nil {
		return err
	}
	return complaint.Assessor(a.who.Caller, a.who.viewer.Department, a.party, a.row.DepartmentID)
}

// CreateAssessment enters an assessment.
func (s *Server) CreateAssessment(ctx context.Context, req *complaintv1.CreateAssessmentRequest) (*complaintv1.Assessment, error) {
	in := req.GetAssessment()
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*complaintv1.Assessment, error) {
		g, err := s.onComplaint(ctx, tx, id(req.GetComplaintId()))
		if err != nil {
			return nil, err
		}
		a := &assessing{settling: g}
		if err := s.mayKnowOf(ctx, a); err != nil {
			return nil, err
		}
		if err := s.lastHeld(ctx, tx, g); err != nil {
			return nil, err
		}
		if err := s.enter(ctx, a, in); err != nil {
			return nil, public(err)
		}
		return s.assessed(ctx, a, in.GetGrounds())
	})
}

// enter writes what is entered. A person is assessed in their department.
func (s *Server) enter(ctx context.Context, a *assessing, in *complaintv1.Assessment) error {
	newID, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("id of an assessment: %w", err)
	}
	a.row = db.ComplaintAssessment{
		ID: newID, ComplaintID: a.c.ID, StaffID: optional(in.GetStaffId()), Points: in.GetPoints(), Grounds: in.GetGrounds(),
		State: int16(complaint.AssessedEntered), EntererActor: a.who.Actor, Version: 1,
	}
	if a.row.DepartmentID, err = assessedDepartment(ctx, a.tx, in); err != nil {
		return err
	}
	if a.party, err = s.assessedParty(ctx, a.tx, a.row); err != nil {
		return err
	}
	if err := a.others(); err != nil {
		return err
	}
	if err := s.cite(ctx, a); err != nil {
		return err
	}
	exists, err := s.q.IsAssessed(ctx, a.tx, a.c.ID, a.row.DepartmentID, a.row.StaffID)
	if err != nil {
		return fmt.Errorf("look for an assessment: %w", err)
	}
	if exists {
		return rpcerr.Exists(assessmentKind, "assessment.department_id", a.row.DepartmentID.String())
	}
	if err := s.q.InsertAssessment(ctx, a.tx, db.InsertAssessmentParams{
		ID: a.row.ID, ComplaintID: a.row.ComplaintID, DepartmentID: a.row.DepartmentID, StaffID: a.row.StaffID, Points: a.row.Points,
		Grounds: a.row.Grounds, CauseID: a.row.CauseID, Consequences: a.row.Consequences, State: a.row.State, EntererActor: a.row.EntererActor,
	}); err != nil {
		return fmt.Errorf("store an assessment: %w", err)
	}
	return nil
}

// assessedDepartment is the department that is assessed, or the one of the person.
func assessedDepartment(ctx context.Context, tx *write.Tx, in *complaintv1.Assessment) (uuid.UUID, error) {
	if in.GetStaffId() == "" {
		if in.GetDepartmentId() == "" {
			return uuid.Nil, rpcerr.Invalid("assessment.department_id", rpcerr.T(
				"it is empty, and so is staff_id; name the department or the person who is assessed", "部门和人员均未填写；请填写被考核的部门或人员"))
		}
		unit, err := department(ctx, tx, id(in.GetDepartmentId()), "assessment.department_id")
		return unit.ID, err
	}
	member, err := staff(ctx, tx, id(in.GetStaffId()), "assessment.staff_id")
	if err == nil && in.GetDepartmentId() != "" && id(in.GetDepartmentId()) != member.DepartmentID {
		err = elsewhere("assessment.department_id", member)
	}
	return member.DepartmentID, err
}

// elsewhere refuses a department that is not the one of the person named beside it.
func elsewhere(field string, member directory.Member) error {
	return rpcerr.Invalid(field, rpcerr.T(
		"it is not the department of the person; give %[1]s or leave it out", "与该人员所属部门不符；请填写 %[1]s 或留空", member.DepartmentID))
}

// cite takes over the cause and the consequences that the assessment rests on.
func (s *Server) cite(ctx context.Context, a *assessing) error {
	found, err := s.q.SelectInvestigations(ctx, a.tx, []uuid.UUID{a.c.ID})
	if err != nil {
		return fmt.Errorf("read the investigation: %w", err)
	}
	facts := complaint.AssessFacts{
		Department: a.row.DepartmentID, Staff: value(a.row.StaffID), Responsibility: complaint.Settled(a.settling.row.State),
		ResponsibleDepartment: value(a.settling.row.DepartmentID), ResponsibleOf: value(a.settling.row.StaffID),
	}
	for _, row := range found {
		facts.Cause, a.row.Consequences = value(row.CauseID), row.Consequences
		for _, c := range row.Consequences {
			facts.Consequences = append(facts.Consequences, complaintv1.Consequence(c))
		}
	}
	a.row.CauseID = facts.Cause
	return complaint.Assessable(facts)
}

// ApproveAssessment approves or refuses what was entered. What it rested on must still hold.
func (s *Server) ApproveAssessment(ctx context.Context, req *complaintv1.ApproveAssessmentRequest) (*complaintv1.Assessment, error) {
	to := complaint.AssessedRefused
	if req.GetApproved() {
		to = complaint.AssessedApproved
	}
	return s.assessStep(ctx, req, to, func(a *assessing) error {
		if err := a.others(); err != nil {
			return err
		}
		if err := authz.SecondPerson(ctx, a.row.EntererActor); err != nil {
			return err
		}
		a.row.ApproverActor = a.who.Actor
		if !req.GetApproved() {
			return nil
		}
		if err := s.lastHeld(ctx, a.tx, a.settling); err != nil {
			return err
		}
		if err := s.cite(ctx, a); err != nil {
			return err
		}
		due, err := s.window(ctx, a.tx, a.now, a.party)
		a.row.AppealDue = due
		return err
	})
}

// AppealAssessment appeals to the company manager.
func (s *Server) AppealAssessment(ctx context.Context, req *complaintv1.AppealAssessmentRequest) (*complaintv1.Assessment, error) {
	return s.assessStep(ctx, req, complaint.AssessedAppealed, func(a *assessing) error {
		return complaint.Answering(a.who.Caller, complaint.HeldFacts{Party: a.party, Due: timeOf(a.row.AppealDue)}, a.now)
	})
}

// DecideAssessment decides an appeal for good.
func (s *Server) DecideAssessment(ctx context.Context, req *complaintv1.DecideAssessmentRequest) (*complaintv1.Assessment, error) {
	to := complaint.AssessedWithdrawn
	if req.GetUpheld() {
		to = complaint.AssessedUpheld
	}
	return s.assessStep(ctx, req, to, func(a *assessing) error {
		if err := a.others(); err != nil {
			return err
		}
		a.row.AppealDue = nil
		return authz.SecondPerson(ctx, a.row.EntererActor, a.row.ApproverActor)
	})
}

// assessed writes the step, its event and its audit record.
func (s *Server) assessed(ctx context.Context, a *assessing, reason string) (*complaintv1.Assessment, error) {
	if err := s.q.InsertAssessmentStep(ctx, a.tx, db.InsertAssessmentStepParams{
		AssessmentID: a.row.ID, Version: a.row.Version, State: a.row.State, Reason: reason, Actor: a.who.Actor,
		ActorStaffID: pointer(a.who.Staff), OccurTime: a.now,
	}); err != nil {
		return nil, fmt.Errorf("store a step of an assessment: %w", err)
	}
	out, err := s.assessmentMessages(ctx, a.tx, a.c.ID, []db.ComplaintAssessment{a.row})
	if err != nil {
		return nil, err
	}
	state := complaint.Assessed(a.row.State)
	a.tx.Emit(event.Event{
		Type: "assessment." + complaint.AssessedName(state) + ".v1", SubjectID: a.row.ID, SubjectVersion: a.row.Version,
		CustomerID: value(a.c.CustomerID), OccurTime: a.now, Payload: &complaintv1.AssessmentChanged{
			ComplaintId: a.c.ID.String(), DepartmentId: a.row.DepartmentID.String(), StaffId: text(a.row.StaffID), State: state,
			Points: a.row.Points, InEffect: out[0].GetInEffect(),
		},
	})
	a.tx.Audit(assessmentKind, a.row.ID, out[0])
	return out[0], nil
}

// assessmentMessages makes the answers for assessments of one complaint.
func (s *Server) assessmentMessages(ctx context.Context, on db.DBTX, complaintID uuid.UUID, rows []db.ComplaintAssessment) ([]*complaintv1.Assessment, error) {
	held, err := s.q.LastResponsibility(ctx, on, complaintID)
	if err != nil && !missing(err) {
		return nil, fmt.Errorf("read a responsibility: %w", err)
	}
	out, at, ids := make([]*complaintv1.Assessment, len(rows)), map[uuid.UUID]int{}, make([]uuid.UUID, len(rows))
	for i, row := range rows {
		state := complaint.Assessed(row.State)
		at[row.ID], ids[i] = i, row.ID
		out[i] = &complaintv1.Assessment{
			Id: row.ID.String(), ComplaintId: row.ComplaintID.String(), DepartmentId: row.DepartmentID.String(), StaffId: text(row.StaffID),
			Points: row.Points, Grounds: row.Grounds, CauseId: row.CauseID.String(), State: state,
			InEffect: complaint.Counts(state, complaint.Settled(held.State)), AppealDue: stamp(row.AppealDue), Etag: etag(row.Version),
		}
		for _, c := range row.Consequences {
			out[i].Consequences = append(out[i].Consequences, complaintv1.Consequence(c))
		}
	}
	steps, err := s.q.ListAssessmentSteps(ctx, on, ids)
	if err != nil {
		return nil, fmt.Errorf("read the steps of assessments: %w", err)
	}
	for _, step := range steps {
		of := out[at[step.AssessmentID]]
		of.Steps = append(of.Steps, &complaintv1.AssessmentStep{
			State: complaint.Assessed(step.State), Reason: step.Reason, ActorStaffId: text(step.ActorStaffID),
			OccurTime: timestamppb.New(step.OccurTime),
		})
	}
	return out, nil
}

// ListAssessments lists the assessments of a complaint, for a party their own.
func (s *Server) ListAssessments(ctx context.Context, req *complaintv1.ListAssessmentsRequest) (*complaintv1.ListAssessmentsResponse, error) {
	c, err := s.q.GetComplaint(ctx, s.pool, id(req.GetComplaintId()))
	if missing(err) {
		return nil, notFound(id(req.GetComplaintId()))
	}
	if err != nil {
		return nil, fmt.Errorf("read complaint: %w", err)
	}
	who, err := s.caller(ctx, s.pool)
	if err != nil {
		return nil, err
	}
	v, err := s.see(ctx, s.pool, who, c)
	if err != nil {
		return nil, err
	}
	cursor, err := s.pages.Open(ctx, req, req.GetPageToken())
	if err != nil {
		return nil, err
	}
	after, size := uuid.Nil, page.Size(req.GetPageSize())
	if cursor != "" {
		if after, err = uuid.Parse(cursor); err != nil {
			return nil, fmt.Errorf("cursor of a page: %w", err)
		}
	}
	rows, err := s.q.ListAssessments(ctx, s.pool, c.ID, after, size+1)
	if err != nil {
		return nil, fmt.Errorf("list assessments: %w", err)
	}
	out := &complaintv1.ListAssessmentsResponse{}
	if len(rows) > int(size) {
		rows = rows[:size]
		if out.NextPageToken, err = s.pages.Seal(ctx, req, rows[size-1].ID.String()); err != nil {
			return nil, err
		}
	}
	if v != whole {
		if rows, err = s.theirs(ctx, who, rows); err != nil {
			return nil, err
		}
		if len(rows) == 0 {
			return nil, notFound(c.ID)
		}
	}
	out.Assessments, err = s.assessmentMessages(ctx, s.pool, c.ID, rows)
	return out, err
}

// theirs are the assessments that the caller is the party of.
func (s *Server) theirs(ctx context.Context, who caller, rows []db.ComplaintAssessment) ([]db.ComplaintAssessment, error) {
	var out []db.ComplaintAssessment
	for _, row := range rows {
		party, err := s.assessedParty(ctx, s.pool, row)
		if err != nil {
			return nil, err
		}
		if party != uuid.Nil && party == who.Staff {
			out = append(out, row)
		}
	}
	return out, nil
}
