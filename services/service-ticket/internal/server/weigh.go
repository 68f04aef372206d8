package server

import (
	"context"
	"fmt"
	"time"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/triage"
)

// weightOf is what a row weighs.
func weightOf(row *db.Ticket) ticket.Weight {
	return ticket.Weight{
		Urgency: ticketv1.Urgency(row.Urgency), Impact: ticketv1.Impact(row.Impact),
		Priority: ticketv1.Priority(row.Priority), PrioritySource: ticketv1.PrioritySource(row.PrioritySource),
	}
}

// setWeight writes a weight to a row.
func setWeight(row *db.Ticket, w ticket.Weight) {
	row.Urgency, row.Impact, row.Priority, row.PrioritySource = int16(w.Urgency), int16(w.Impact), int16(w.Priority), int16(w.PrioritySource)
}

// saidWeight is what somebody says of a weight.
func saidWeight(in interface {
	GetUrgency() ticketv1.Urgency
	GetImpact() ticketv1.Impact
	GetPriority() ticketv1.Priority
}) ticket.Weight {
	return ticket.Weight{Urgency: in.GetUrgency(), Impact: in.GetImpact(), Priority: in.GetPriority()}
}

// matrixOf is that of the version of rules in effect when a ticket was registered.
func (s *Server) matrixOf(ctx context.Context, on db.DBTX, row *db.Ticket) (ticket.Matrix, error) {
	version, err := s.q.TriageRulesInEffect(ctx, on, row.CreateTime)
	if err != nil {
		return nil, fmt.Errorf("find the rules of triage in effect: %w", err)
	}
	return s.matrix(ctx, on, version)
}

// matrix is that of a version that applies or did, the built-in one for version 0.
func (s *Server) matrix(ctx context.Context, on db.DBTX, version int64) (ticket.Matrix, error) {
	rules, err := s.triager.published(ctx, on, version)
	if err != nil || rules == nil {
		return ticket.NewMatrix(nil), err
	}
	return rules.Matrix, nil
}

// reweighed completes a move with the weight that a held ticket has after it.
func (s *Server) reweighed(ctx context.Context, tx *write.Tx, row *db.Ticket, m *ticket.Move, said ticket.Weight) (ticket.Matrix, error) {
	// Another state is refused before anything that is missing.
	if _, err := ticket.Next(ticket.State(row.State), m.Verb); err != nil {
		return nil, err
	}
	matrix, err := s.matrixOf(ctx, tx, row)
	if err != nil {
		return nil, err
	}
	m.Weight = matrix.Reweigh(weightOf(row), said)
	return matrix, ticket.CheckWeight(m.Weight)
}

// weighImports gives imported tickets that have urgency and impact but no priority the one
// that follows from them.
func (s *Server) weighImports(ctx context.Context, tx *write.Tx, fresh []*incoming) error {
	var weighed []*db.Ticket
	var times []time.Time
	for _, in := range fresh {
		if w := weightOf(in.row); w.Urgency != 0 && w.Impact != 0 && w.PrioritySource == ticketv1.PrioritySource_PRIORITY_SOURCE_DEFAULT {
			weighed, times = append(weighed, in.row), append(times, in.row.CreateTime)
		}
	}
	if len(weighed) == 0 {
		return nil
	}
	versions, err := s.q.TriageRulesInEffectAt(ctx, tx, times)
	if err != nil {
		return fmt.Errorf("find the rules of triage in effect: %w", err)
	}
	for i, row := range weighed {
		matrix, err := s.matrix(ctx, tx, versions[i])
		if err != nil {
			return err
		}
		w := weightOf(row)
		setWeight(row, matrix.Reweigh(w, ticket.Weight{}))
	}
	return nil
}

// weighing suggests urgency, impact and priority of a new ticket.
func weighing(matrix ticket.Matrix, given ticket.Weight, d triage.Decision) (out []*ticketv1.TriageSuggestion) {
	sure := 1.0
	if o := d.Urgency; o != nil {
		made := byRule(o, ticketv1.TriageField_TRIAGE_FIELD_URGENCY, given.Urgency == 0)
		made.Urgency = o.Rule.GetUrgency()
		out = append(out, made)
		if made.GetApplied() {
			sure = min(sure, made.GetConfidence())
		}
	}
	if o := d.Impact; o != nil {
		made := byRule(o, ticketv1.TriageField_TRIAGE_FIELD_IMPACT, given.Impact == 0)
		made.Impact = o.Rule.GetImpact()
		out = append(out, made)
		if made.GetApplied() {
			sure = min(sure, made.GetConfidence())
		}
	}
	w := triage.Weigh(matrix, given, d)
	priority, source := triage.Suggested(matrix, given, w, d)
	applied := given.Priority == 0
	switch source {
	case ticketv1.PrioritySource_PRIORITY_SOURCE_RULE:
		made := byRule(d.Priority, ticketv1.TriageField_TRIAGE_FIELD_PRIORITY, applied)
		made.Priority = priority
		out = append(out, made)
	case ticketv1.PrioritySource_PRIORITY_SOURCE_MATRIX:
		u, i := ticket.UrgencyLabel(w.Urgency), ticket.ImpactLabel(w.Impact)
		is := ticket.PriorityLabel(priority)
		out = append(out, &ticketv1.TriageSuggestion{
			Field: ticketv1.TriageField_TRIAGE_FIELD_PRIORITY, Source: ticketv1.TriageSource_TRIAGE_SOURCE_MATRIX,
			Priority: priority, Confidence: sure, Applied: applied, Reason: &typev1.Text{
				Zh: fmt.Sprintf("紧急程度“%s”、影响范围“%s”对应 %s", u.ZH, i.ZH, is),
				En: fmt.Sprintf("urgency %s and impact %s give %s", u.EN, i.EN, is),
			},
		})
	}
	return out
}

// fieldLabel is what a suggestion is of, as people read it.
func fieldLabel(f ticketv1.TriageField) rpcerr.Text {
	switch f {
	case ticketv1.TriageField_TRIAGE_FIELD_TYPE:
		return rpcerr.T("type", "类型")
	case ticketv1.TriageField_TRIAGE_FIELD_PRIORITY:
		return rpcerr.T("priority", "优先级")
	case ticketv1.TriageField_TRIAGE_FIELD_URGENCY:
		return rpcerr.T("urgency", "紧急程度")
	case ticketv1.TriageField_TRIAGE_FIELD_IMPACT:
		return rpcerr.T("impact", "影响范围")
	case ticketv1.TriageField_TRIAGE_FIELD_DEPARTMENT:
		return rpcerr.T("department", "部门")
	default:
		return rpcerr.T("needs", "受理要求")
	}
}
