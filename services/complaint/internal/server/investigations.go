package server

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
	"github.com/kefu-suite/kefu/services/complaint/internal/db"
)

// RecordInvestigation records what was found in the present round.
func (s *Server) RecordInvestigation(ctx context.Context, req *complaintv1.RecordInvestigationRequest) (*complaintv1.Complaint, error) {
	in := req.GetInvestigation()
	if err := complaint.Findings(in); err != nil {
		return nil, err
	}
	return s.move(ctx, req, complaint.Investigate, func(ctx context.Context, a *action) error {
		if err := complaint.Handling(a.who.Caller, value(a.c.HandlerStaffID)); err != nil {
			return err
		}
		row := db.SetInvestigationParams{
			ComplaintID: a.c.ID, Round: a.c.Round, Findings: in.GetFindings(), Reason: in.GetReason(),
			CauseID: optional(in.GetCauseId()), ReceiveTime: a.c.CreateTime, Questions: []string{}, Answers: []string{},
			Consequences: []int16{}, InvestigatorStaffID: pointer(a.who.Staff), InvestigateTime: a.now,
		}
		for _, why := range in.GetWhys() {
			row.Questions, row.Answers = append(row.Questions, why.GetQuestion()), append(row.Answers, why.GetAnswer())
		}
		for _, c := range in.GetConsequences() {
			row.Consequences = append(row.Consequences, int16(c))
		}
		row.Currency, row.LossUnits, row.LossNanos = sum(in.GetLoss())
		a.also = append(a.also, func(ctx context.Context, p *pipeline) error { return s.q.SetInvestigation(ctx, p, row) })
		return s.caused(ctx, a, row.CauseID)
	})
}

// caused links a complaint with those of the same cause, and makes it major where the rules
// demand that of it now. A complaint that is major stays so.
func (s *Server) caused(ctx context.Context, a *action, causeID *uuid.UUID) error {
	if err := s.q.UnlinkCause(ctx, a.tx, a.c.ID); err != nil {
		return fmt.Errorf("unlink the cause: %w", err)
	}
	if causeID != nil {
		cause, err := s.q.GetCause(ctx, a.tx, *causeID)
		if missing(err) || err == nil && cause.Retired {
			return rpcerr.Invalid("investigation.cause_id", rpcerr.T(
				"there is no cause %[1]s in use; give the id of one in the tree of causes",
				"没有可用的原因 %[1]s；请填写原因树中在用原因的 id", causeID))
		}
		if err != nil {
			return fmt.Errorf("read the cause: %w", err)
		}
		if err := s.linkCause(ctx, a, *causeID); err != nil {
			return err
		}
	}
	grounds, err := s.reassess(ctx, a)
	if err != nil {
		return err
	}
	if len(grounds) > 0 && complaintv1.Severity(a.c.Severity) == complaintv1.Severity_SEVERITY_GENERAL {
		a.c.Severity, a.raised = int16(complaintv1.Severity_SEVERITY_MAJOR), true
	}
	return nil
}

func (s *Server) linkCause(ctx context.Context, a *action, causeID uuid.UUID) error {
	rules, err := s.rulesOf(ctx, a)
	if err != nil {
		return err
	}
	same, err := s.q.SelectSameCause(ctx, a.tx, db.SelectSameCauseParams{
		CauseID: causeID, Since: a.c.CreateTime.Add(-rules.Window()), Until: a.c.CreateTime.Add(rules.Window()), ComplaintID: a.c.ID,
	})
	if err != nil {
		return fmt.Errorf("look for the same cause: %w", err)
	}
	if len(same) == 0 {
		return nil
	}
	bases := slices.Repeat([]int16{int16(complaintv1.RepeatBasis_REPEAT_BASIS_CAUSE)}, len(same))
	if err := s.q.LinkRepeats(ctx, a.tx, a.c.ID, bases, same); err != nil {
		return fmt.Errorf("link the cause: %w", err)
	}
	return nil
}

// ConfirmQuality records what quality control's inspection says; its word on quality is final.
func (s *Server) ConfirmQuality(ctx context.Context, req *complaintv1.ConfirmQualityRequest) (*complaintv1.Complaint, error) {
	in := req.GetInspection()
	if err := complaint.Measures(in); err != nil {
		return nil, err
	}
	return s.move(ctx, req, complaint.Inspect, func(_ context.Context, a *action) error {
		if err := complaint.Inspector(a.who.Caller, value(a.c.HandlerStaffID)); err != nil {
			return err
		}
		row := db.SetInspectionParams{
			ComplaintID: a.c.ID, Round: a.c.Round, Quality: int16(in.GetQuality()), Cause: in.GetCause(),
			Measures: in.GetMeasures(), InspectorStaffID: pointer(a.who.Staff), InspectTime: a.now,
		}
		a.c.Quality = row.Quality
		a.also = append(a.also, func(ctx context.Context, p *pipeline) error { return s.q.SetInspection(ctx, p, row) })
		return nil
	})
}

// inspected refuses to propose before quality control has confirmed a complaint of quality.
func (s *Server) inspected(ctx context.Context, a *action) error {
	done, err := s.q.IsInspected(ctx, a.tx, a.c.ID, a.c.Round)
	if err != nil {
		return fmt.Errorf("look for an inspection: %w", err)
	}
	return complaint.Confirmed(complaintv1.Quality(a.c.Quality), done)
}

// found puts into answers what was investigated and inspected.
func (s *Server) found(ctx context.Context, on db.DBTX, ids []uuid.UUID, out []*complaintv1.Complaint) error {
	investigations, err := s.q.SelectInvestigations(ctx, on, ids)
	if err != nil {
		return fmt.Errorf("read investigations: %w", err)
	}
	for _, row := range investigations {
		out[slices.Index(ids, row.ComplaintID)].Investigation = investigationMessage(row)
	}
	inspections, err := s.q.SelectInspections(ctx, on, ids)
	if err != nil {
		return fmt.Errorf("read inspections: %w", err)
	}
	for _, row := range inspections {
		out[slices.Index(ids, row.ComplaintID)].Inspection = &complaintv1.Inspection{
			Quality: complaintv1.Quality(row.Quality), Cause: row.Cause, Measures: row.Measures, Round: row.Round,
			InspectorStaffId: text(row.InspectorStaffID), InspectTime: timestamppb.New(row.InspectTime),
		}
	}
	return nil
}

func investigationMessage(row db.ComplaintInvestigation) *complaintv1.Investigation {
	out := &complaintv1.Investigation{
		Findings: row.Findings, Reason: row.Reason, CauseId: text(row.CauseID), Loss: moneyMessage(row.Currency, row.LossUnits, row.LossNanos),
		Round: row.Round, InvestigatorStaffId: text(row.InvestigatorStaffID), InvestigateTime: timestamppb.New(row.InvestigateTime),
	}
	for i, question := range row.Questions {
		out.Whys = append(out.Whys, &complaintv1.Why{Question: question, Answer: row.Answers[i]})
	}
	for _, c := range row.Consequences {
		out.Consequences = append(out.Consequences, complaintv1.Consequence(c))
	}
	return out
}
