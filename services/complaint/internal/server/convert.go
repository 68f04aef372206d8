package server

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/type/money"
	"google.golang.org/protobuf/types/known/timestamppb"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
	"github.com/kefu-suite/kefu/services/complaint/internal/db"
)

// round identifies a round in maps.
type roundKey struct {
	complaint uuid.UUID
	number    int32
}

// compose makes the answers for complaints, with their rounds and the last proposal of
// each round.
func (s *Server) compose(ctx context.Context, tx db.DBTX, rows []db.Complaint) ([]*complaintv1.Complaint, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	ids := make([]uuid.UUID, 0, len(rows))
	for _, c := range rows {
		ids = append(ids, c.ID)
	}
	proposals, err := s.q.SelectProposals(ctx, tx, ids)
	if err != nil {
		return nil, fmt.Errorf("read proposals: %w", err)
	}
	rounds, err := s.q.SelectRounds(ctx, tx, ids)
	if err != nil {
		return nil, fmt.Errorf("read rounds: %w", err)
	}
	severities, err := s.q.SelectSeverities(ctx, tx, ids)
	if err != nil {
		return nil, fmt.Errorf("read why complaints are major: %w", err)
	}
	proposed := make(map[roundKey]*complaintv1.Proposal, len(proposals))
	for _, p := range proposals {
		proposed[roundKey{p.ComplaintID, p.Round}] = proposalMessage(p)
	}
	executions, err := s.q.SelectExecutions(ctx, tx, ids)
	if err != nil {
		return nil, fmt.Errorf("read executions: %w", err)
	}
	for _, row := range executions {
		proposed[roundKey{row.ComplaintID, row.Round}].Execution = executionMessage(row)
	}
	run := make(map[uuid.UUID][]*complaintv1.Round, len(rows))
	for _, r := range rounds {
		run[r.ComplaintID] = append(run[r.ComplaintID], roundMessage(r, proposed[roundKey{r.ComplaintID, r.Number}]))
	}
	out := make([]*complaintv1.Complaint, 0, len(rows))
	for _, c := range rows {
		out = append(out, complaintMessage(c, run[c.ID]))
	}
	for _, judged := range severities {
		c := out[slices.Index(ids, judged.ComplaintID)]
		c.SeverityReasons, c.SeverityPolicyVersion = severityReasons(judged), judged.PolicyVersion
	}
	if err := s.bought(ctx, tx, ids, out); err != nil {
		return nil, err
	}
	return out, s.found(ctx, tx, ids, out)
}

func complaintMessage(c db.Complaint, rounds []*complaintv1.Round) *complaintv1.Complaint {
	out := &complaintv1.Complaint{
		Id: c.ID.String(), Number: c.Number, CustomerId: text(c.CustomerID), Channel: typev1.Channel(c.Channel),
		Title: c.Title, Description: c.Description, Category: complaintv1.Category(c.Category),
		OrderNumber: c.OrderNumber, ProductModel: c.ProductModel, Quantity: c.Quantity,
		Amount: moneyMessage(c.Currency, c.AmountUnits, c.AmountNanos), DemandedRemedy: c.DemandedRemedy,
		AccusedStaffId: text(c.AccusedStaffID), TicketId: text(c.TicketID), Demanded: complaintv1.Remedy(c.Demanded),
		SurveyAnswerId: text(c.SurveyAnswerID),
		State:          complaint.State(c.State), Round: c.Round, Quality: complaintv1.Quality(c.Quality),
		Severity: complaintv1.Severity(c.Severity), DepartmentId: text(c.DepartmentID),
		HandlerStaffId: text(c.HandlerStaffID), Outcome: complaintv1.Outcome(c.Outcome), CloseReason: c.CloseReason,
		Rounds: rounds, CreateTime: timestamppb.New(c.CreateTime), UpdateTime: timestamppb.New(c.UpdateTime),
		CloseTime: stamp(c.CloseTime), Etag: etag(c.Version), PolicyVersion: c.PolicyVersion,
	}
	if c.Source != nil {
		out.Source, out.ExternalId = *c.Source, *c.ExternalID
	}
	for _, f := range c.SeverityFacts {
		out.SeverityFacts = append(out.SeverityFacts, complaintv1.SeverityFact(f))
	}
	if len(rounds) > 0 {
		present := rounds[len(rounds)-1]
		out.Proposal, out.Answer = present.GetProposal(), present.GetAnswer()
	}
	return out
}

func roundMessage(r db.ComplaintRound, proposal *complaintv1.Proposal) *complaintv1.Round {
	out := &complaintv1.Round{
		Number: r.Number, StartTime: timestamppb.New(r.StartTime), HandlerStaffId: text(r.HandlerStaffID),
		SubmitTime: stamp(r.SubmitTime), ReviewTime: stamp(r.ReviewTime), AssignTime: stamp(r.AssignTime),
		ContactTime: stamp(r.ContactTime), Proposal: proposal, TellTime: stamp(r.TellTime), Told: r.Told,
	}
	if r.Satisfaction != 0 {
		out.Answer = &complaintv1.SatisfactionAnswer{
			Satisfaction: complaintv1.Satisfaction(r.Satisfaction), SaidBy: r.AnswerSaidBy,
			Channel: typev1.Channel(r.AnswerChannel), Note: r.AnswerNote, AnswerTime: stamp(r.AnswerTime),
			SurveyAnswerId: text(r.SurveyAnswerID),
		}
	}
	return out
}

func proposalMessage(p db.ComplaintProposal) *complaintv1.Proposal {
	return &complaintv1.Proposal{
		Findings: p.Findings, Cause: p.Cause, Validity: complaintv1.Validity(p.Validity),
		Remedy: complaintv1.Remedy(p.Remedy), Amount: moneyMessage(p.Currency, p.AmountUnits, p.AmountNanos),
		Solution: p.Solution, ProposerStaffId: text(p.ProposerStaffID), ProposeTime: timestamppb.New(p.ProposeTime),
		Decision: complaintv1.Decision(p.Decision), DecisionReason: p.DecisionReason,
		DecideTime: stamp(p.DecideTime), ApproverStaffId: text(p.ApproverStaffID),
	}
}

func moneyMessage(currency string, units int64, nanos int32) *money.Money {
	if currency == "" {
		return nil
	}
	return &money.Money{CurrencyCode: currency, Units: units, Nanos: nanos}
}

// narrow leaves in an answer what the view has.
func narrow(c *complaintv1.Complaint, v view) *complaintv1.Complaint {
	switch v {
	case outer:
		return outerOf(c)
	case allegation:
		return allegationOf(c)
	}
	return c
}

// outerOf is what a customer gets: the complaint as they made it, where it stands and
// what they were told; nothing of who works on it and what was found or proposed.
func outerOf(c *complaintv1.Complaint) *complaintv1.Complaint {
	c.AccusedStaffId, c.DepartmentId, c.HandlerStaffId, c.CloseReason = "", "", "", ""
	c.Proposal, c.SeverityReasons, c.SeverityPolicyVersion = nil, nil, 0
	c.Investigation, c.Inspection, c.Purchase = nil, nil, nil
	for _, r := range c.GetRounds() {
		r.HandlerStaffId = ""
		r.Proposal = offered(r)
	}
	if n := len(c.GetRounds()); n > 0 {
		c.Proposal = c.GetRounds()[n-1].GetProposal()
	}
	return c
}

// offered is what the customer was told of a proposal; nothing before that.
func offered(r *complaintv1.Round) *complaintv1.Proposal {
	p := r.GetProposal()
	if p == nil || r.GetTellTime() == nil {
		return nil
	}
	return &complaintv1.Proposal{
		Validity: p.GetValidity(), Remedy: p.GetRemedy(), Amount: p.GetAmount(), Solution: p.GetSolution(),
	}
}

// allegationOf is what whoever is complained about gets: what is said and where it
// stands, and nothing that tells who said it or what is made of it.
func allegationOf(c *complaintv1.Complaint) *complaintv1.Complaint {
	return &complaintv1.Complaint{
		Id: c.GetId(), Number: c.GetNumber(), Channel: c.GetChannel(), Title: c.GetTitle(),
		Description: c.GetDescription(), Category: c.GetCategory(), SeverityFacts: c.GetSeverityFacts(),
		ProductModel: c.GetProductModel(), Quantity: c.GetQuantity(), Amount: c.GetAmount(),
		DemandedRemedy: c.GetDemandedRemedy(), Demanded: c.GetDemanded(), AccusedStaffId: c.GetAccusedStaffId(), State: c.GetState(),
		Round: c.GetRound(), Quality: c.GetQuality(), Severity: c.GetSeverity(), DepartmentId: c.GetDepartmentId(),
		Outcome: c.GetOutcome(), CreateTime: c.GetCreateTime(), UpdateTime: c.GetUpdateTime(),
		CloseTime: c.GetCloseTime(), Etag: c.GetEtag(),
	}
}

// changed is the payload of the event of a move.
func changed(c db.Complaint, before complaint.State, satisfaction int16) *complaintv1.ComplaintChanged {
	return &complaintv1.ComplaintChanged{
		Number: c.Number, StateBefore: before, StateAfter: complaint.State(c.State),
		Category: complaintv1.Category(c.Category), Severity: complaintv1.Severity(c.Severity),
		Channel: typev1.Channel(c.Channel), Round: c.Round, DepartmentId: text(c.DepartmentID),
		HandlerStaffId: text(c.HandlerStaffID), Outcome: complaintv1.Outcome(c.Outcome),
		Satisfaction: complaintv1.Satisfaction(satisfaction), PolicyVersion: c.PolicyVersion,
	}
}
