package server

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/type/money"
	"google.golang.org/protobuf/types/known/timestamppb"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	"github.com/kefu-suite/kefu/runtime/page"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
	"github.com/kefu-suite/kefu/services/complaint/internal/db"
	"github.com/kefu-suite/kefu/services/internal/customerref"
)

// severityPolicyKind names the rules in errors and audit records.
const severityPolicyKind = "severity_policy"

// judgement is what the rules say of a complaint, before it is stored.
type judgement struct {
	q         *db.Queries
	complaint uuid.UUID
	rules     complaint.SeverityRules
	grounds   []complaint.Ground
	repeats   []db.SelectRepeatsRow
}

// assess judges a complaint that is about to be registered by the rules in effect.
func (s *Server) assess(ctx context.Context, tx db.DBTX, c *db.Complaint) (*judgement, error) {
	row, err := s.q.SeverityPolicyAt(ctx, tx, s.now())
	if err != nil {
		return nil, fmt.Errorf("read the rules of severity: %w", err)
	}
	return s.judge(ctx, tx, c, severityRules(row), 0)
}

// reassess judges a complaint anew, by the rules it was registered under, and has the move
// store what they say.
func (s *Server) reassess(ctx context.Context, a *action) ([]complaint.Ground, error) {
	rules, err := s.rulesOf(ctx, a)
	if err != nil {
		return nil, err
	}
	linked, err := s.q.CountRepeats(ctx, a.tx, a.c.ID)
	if err != nil {
		return nil, fmt.Errorf("count linked complaints: %w", err)
	}
	sameCause := int32(0)
	for _, l := range linked {
		if complaintv1.RepeatBasis(l.Basis) == complaintv1.RepeatBasis_REPEAT_BASIS_CAUSE {
			sameCause = l.Found
		}
	}
	judged, err := s.judge(ctx, a.tx, &a.c, rules, sameCause)
	if err != nil {
		return nil, err
	}
	a.also = append(a.also, func(ctx context.Context, p *pipeline) error { return judged.keep(ctx, p) })
	return judged.grounds, nil
}

// rulesOf gives the rules that a complaint was registered under; for an imported one those in
// effect.
func (s *Server) rulesOf(ctx context.Context, a *action) (complaint.SeverityRules, error) {
	row, err := s.q.SeverityPolicyOf(ctx, a.tx, a.c.ID)
	if missing(err) {
		row, err = s.q.SeverityPolicyAt(ctx, a.tx, a.now)
	}
	if err != nil {
		return complaint.SeverityRules{}, fmt.Errorf("read the rules of severity: %w", err)
	}
	return severityRules(row), nil
}

// judge gathers what the severity of a complaint depends on and applies the rules.
func (s *Server) judge(ctx context.Context, tx db.DBTX, c *db.Complaint, rules complaint.SeverityRules, sameCause int32) (*judgement, error) {
	facts := complaint.SeverityFacts{
		Amount: complaint.Amount{Units: c.AmountUnits, Nanos: c.AmountNanos}, SameCause: sameCause,
	}
	for _, f := range c.SeverityFacts {
		facts.Recorded = append(facts.Recorded, complaintv1.SeverityFact(f))
	}
	if c.CustomerID != nil {
		ref, err := customerref.Get(ctx, tx, *c.CustomerID)
		if errors.Is(err, customerref.ErrUnknown) {
			// Merged into a customer whose own event has not come yet.
			return nil, rpcerr.Unavailable(customerref.Source)
		}
		if err != nil {
			return nil, fmt.Errorf("read the customer of a complaint: %w", err)
		}
		facts.Tier = ref.Tier
	}
	repeats, err := s.q.SelectRepeats(ctx, tx, db.SelectRepeatsParams{
		CustomerID: c.CustomerID, ProductModel: c.ProductModel, ID: c.ID,
		Since: c.CreateTime.Add(-rules.Window()), Until: c.CreateTime,
	})
	if err != nil {
		return nil, fmt.Errorf("look for repeated complaints: %w", err)
	}
	for _, r := range repeats {
		switch complaintv1.RepeatBasis(r.Basis) {
		case complaintv1.RepeatBasis_REPEAT_BASIS_CUSTOMER:
			facts.SameCustomer++
		case complaintv1.RepeatBasis_REPEAT_BASIS_PRODUCT:
			facts.SameProduct++
		}
	}
	return &judgement{q: s.q, complaint: c.ID, rules: rules, grounds: rules.Grounds(facts), repeats: repeats}, nil
}

// keep stores the reasons and the links.
func (j *judgement) keep(ctx context.Context, p *pipeline) error {
	params := db.SetSeverityParams{
		ComplaintID: j.complaint, PolicyVersion: j.rules.Version, Clauses: []string{}, TextsEn: []string{}, TextsZh: []string{},
	}
	for _, g := range j.grounds {
		params.Clauses = append(params.Clauses, g.Clause)
		params.TextsEn, params.TextsZh = append(params.TextsEn, g.Text.EN), append(params.TextsZh, g.Text.ZH)
	}
	if err := j.q.SetSeverity(ctx, p, params); err != nil || len(j.repeats) == 0 {
		return err
	}
	var bases []int16
	var earlier []uuid.UUID
	for _, r := range j.repeats {
		bases, earlier = append(bases, r.Basis), append(earlier, r.ID)
	}
	return j.q.LinkRepeats(ctx, p, j.complaint, bases, earlier)
}

func severityReasons(s db.ComplaintSeverity) []*complaintv1.SeverityReason {
	out := make([]*complaintv1.SeverityReason, 0, len(s.Clauses))
	for i, clause := range s.Clauses {
		out = append(out, &complaintv1.SeverityReason{Clause: clause, TextEn: s.TextsEn[i], TextZh: s.TextsZh[i]})
	}
	return out
}

func severityRules(p db.SeverityPolicy) complaint.SeverityRules {
	out := complaint.SeverityRules{
		Version: p.Version, Injury: p.Injury, Legal: p.Legal, Press: p.Press, KeyCustomer: p.KeyCustomer,
		RepeatDays: p.RepeatDays, SameCustomer: p.SameCustomer, SameProduct: p.SameProduct, SameCause: p.SameCause,
	}
	if p.AmountUnits != nil {
		out.MajorAmount = &complaint.Amount{Units: *p.AmountUnits, Nanos: *p.AmountNanos}
	}
	return out
}

func severityPolicyMessage(p db.SeverityPolicy) *complaintv1.SeverityPolicy {
	out := &complaintv1.SeverityPolicy{
		Version: p.Version, EffectiveTime: timestamppb.New(p.EffectiveTime), Injury: p.Injury, Legal: p.Legal, Press: p.Press,
		KeyCustomer: p.KeyCustomer, RepeatDays: p.RepeatDays, SameCustomer: p.SameCustomer, SameProduct: p.SameProduct,
		SameCause: p.SameCause, Note: p.Note, CreateTime: timestamppb.New(p.CreateTime),
	}
	if p.AmountUnits != nil {
		out.MajorAmount = &money.Money{Units: *p.AmountUnits, Nanos: *p.AmountNanos}
	}
	return out
}

// PublishSeverityPolicy makes a version of the rules.
func (s *Server) PublishSeverityPolicy(ctx context.Context, req *complaintv1.PublishSeverityPolicyRequest) (*complaintv1.SeverityPolicy, error) {
	in := req.GetPolicy()
	if err := complaint.MajorAmount("policy.major_amount", in.GetMajorAmount()); err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*complaintv1.SeverityPolicy, error) {
		now := s.now()
		from, err := effective("policy.effective_time", in.GetEffectiveTime(), now)
		if err != nil {
			return nil, err
		}
		newID, err := uuid.NewV7()
		if err != nil {
			return nil, fmt.Errorf("id of severity rules: %w", err)
		}
		params := db.InsertSeverityPolicyParams{
			ID: newID, EffectiveTime: from, Injury: in.GetInjury(), Legal: in.GetLegal(), Press: in.GetPress(),
			KeyCustomer: in.GetKeyCustomer(), RepeatDays: in.GetRepeatDays(), SameCustomer: in.GetSameCustomer(),
			SameProduct: in.GetSameProduct(), SameCause: in.GetSameCause(), Note: in.GetNote(), CreateTime: now,
		}
		if in.GetMajorAmount() != nil {
			_, units, nanos := sum(in.GetMajorAmount())
			params.AmountUnits, params.AmountNanos = &units, &nanos
		}
		row, err := s.q.InsertSeverityPolicy(ctx, tx, params)
		if err != nil {
			return nil, fmt.Errorf("store severity rules: %w", err)
		}
		out := severityPolicyMessage(row)
		tx.Audit(severityPolicyKind, newID, out)
		return out, nil
	})
}

// GetSeverityPolicy returns a version of the rules.
func (s *Server) GetSeverityPolicy(ctx context.Context, req *complaintv1.GetSeverityPolicyRequest) (*complaintv1.SeverityPolicy, error) {
	row, err := s.q.GetSeverityPolicy(ctx, s.pool, req.GetVersion())
	if missing(err) {
		return nil, rpcerr.NotFound(severityPolicyKind, strconv.FormatInt(req.GetVersion(), 10))
	}
	if err != nil {
		return nil, fmt.Errorf("read severity rules: %w", err)
	}
	return severityPolicyMessage(row), nil
}

// ListSeverityPolicies lists the versions of the rules, newest first.
func (s *Server) ListSeverityPolicies(ctx context.Context, req *complaintv1.ListSeverityPoliciesRequest) (*complaintv1.ListSeverityPoliciesResponse, error) {
	cursor, err := s.pages.Open(ctx, req, req.GetPageToken())
	if err != nil {
		return nil, err
	}
	before, size := int64(math.MaxInt64), page.Size(req.GetPageSize())
	if cursor != "" {
		if before, err = strconv.ParseInt(cursor, 10, 64); err != nil {
			return nil, fmt.Errorf("cursor of a page: %w", err)
		}
	}
	rows, err := s.q.ListSeverityPolicies(ctx, s.pool, before, size+1)
	if err != nil {
		return nil, fmt.Errorf("list severity rules: %w", err)
	}
	rows, next, err := cut(ctx, s, req, rows, size, func(p db.SeverityPolicy) int64 { return p.Version })
	if err != nil {
		return nil, err
	}
	out := &complaintv1.ListSeverityPoliciesResponse{NextPageToken: next}
	for _, p := range rows {
		out.Policies = append(out.Policies, severityPolicyMessage(p))
	}
	return out, nil
}

// GetComplaintRepeats gives what a complaint repeats and is repeated by, as far as the
// caller may read it.
func (s *Server) GetComplaintRepeats(ctx context.Context, req *complaintv1.GetComplaintRepeatsRequest) (*complaintv1.GetComplaintRepeatsResponse, error) {
	c, err := s.wholly(ctx, id(req.GetComplaintId()))
	if err != nil {
		return nil, err
	}
	who, err := s.caller(ctx, s.pool)
	if err != nil {
		return nil, err
	}
	rows, err := s.q.ListRepeats(ctx, s.pool, who.viewer.Everything(), who.viewer.Keys(), c.ID)
	if err != nil {
		return nil, fmt.Errorf("list repeated complaints: %w", err)
	}
	out := &complaintv1.GetComplaintRepeatsResponse{}
	for _, r := range rows {
		if !r.Open || r.AccusedStaffID != nil && *r.AccusedStaffID == who.Staff {
			continue
		}
		repeat := &complaintv1.ComplaintRepeat{
			ComplaintId: r.ID.String(), Number: r.Number, Later: r.Later, ReceiveTime: timestamppb.New(r.CreateTime),
		}
		for _, b := range r.Bases {
			repeat.Bases = append(repeat.Bases, complaintv1.RepeatBasis(b))
		}
		out.Repeats = append(out.Repeats, repeat)
	}
	return out, nil
}
