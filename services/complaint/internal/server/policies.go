package server

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
	"github.com/kefu-suite/kefu/services/complaint/internal/db"
	"github.com/kefu-suite/kefu/services/internal/policy"
)

// SeedPolicies publishes the built-in version of the policy where none is published. It needs
// the calendars of SeedCalendars.
func (s *Server) SeedPolicies(ctx context.Context) error {
	return write.Job(ctx, s.write, "policies/seed", func(ctx context.Context, tx *write.Tx) error {
		done, err := s.book.Seed(ctx, tx, complaint.Standard())
		if !done {
			tx.Unchanged()
		}
		return err
	})
}

// RetargetComplaint puts a complaint under another version of the policy.
func (s *Server) RetargetComplaint(ctx context.Context, req *complaintv1.RetargetComplaintRequest) (*complaintv1.Complaint, error) {
	return s.move(ctx, req, complaint.Retarget, func(ctx context.Context, a *action) error {
		if !clocked(&a.c) {
			return rpcerr.WrongState("COMPLAINT_WITHOUT_CLOCKS", rpcerr.T(
				"Complaint %[1]s was imported and has no deadlines that could be computed anew; leave it as it is.",
				"投诉 %[1]s 为导入投诉，没有可重新计算的时限；请保持不变。", a.c.ID))
		}
		if req.GetPolicyVersion() == a.c.PolicyVersion {
			return rpcerr.Invalid("policy_version", rpcerr.T(
				"the complaint goes by version %[1]d already; give another one", "投诉已适用第 %[1]d 版；请填写其他版本",
				a.c.PolicyVersion))
		}
		p, err := s.book.Applicable(ctx, a.tx, "policy_version", req.GetPolicyVersion())
		if err != nil {
			return err
		}
		a.c.PolicyVersion, a.reason = p.GetVersion(), req.GetReason()
		a.also = append(a.also, func(ctx context.Context, pipe *pipeline) error {
			return s.q.SetPolicyVersion(ctx, pipe, a.c.PolicyVersion, a.c.ID)
		})
		return nil
	})
}

// pastComplaints reads complaints with what happened to them, for a dry run. No clause asks
// for a tier, so a filter by one lets none through.
func (s *Server) pastComplaints(ctx context.Context, on pgx.Tx, f policy.Filter, after uuid.UUID, size int32) ([]policy.Case, error) {
	if f.Facts.Tier != 0 {
		return nil, nil
	}
	rows, err := s.q.ListPastComplaints(ctx, on, db.ListPastComplaintsParams{
		After: after, CreateFrom: orNull(f.From), CreateTo: orNull(f.To), Severity: int16(complaint.SeverityOf(f.Facts.Severity)),
		Source: f.Source, Live: f.Origin != clockv1.DryRunOrigin_DRY_RUN_ORIGIN_IMPORTED,
		Imported: f.Origin != clockv1.DryRunOrigin_DRY_RUN_ORIGIN_LIVE, Size: size,
	})
	if err != nil {
		return nil, fmt.Errorf("read past complaints: %w", err)
	}
	out, pasts := make([]policy.Case, len(rows)), make([]complaint.Past, len(rows))
	at, ids := make(map[uuid.UUID]int, len(rows)), make([]uuid.UUID, len(rows))
	for i, row := range rows {
		at[row.ID], ids[i] = i, row.ID
		out[i] = policy.Case{
			ID: row.ID, Number: row.Number, Create: row.CreateTime.UTC(), Facts: policy.Facts{
				Channel: typev1.Channel(row.Channel), Severity: complaint.SeverityName(complaintv1.Severity(row.Severity)),
			},
		}
		pasts[i] = complaint.Past{Create: row.CreateTime.UTC()}
		if row.Source == nil {
			continue
		}
		out[i].Source, out[i].Untold = *row.Source, complaint.UntoldByImports()
		pasts[i].Told, pasts[i].Close = timeOf(row.FirstTellTime), timeOf(row.CloseTime)
	}
	if err := s.histories(ctx, on, ids, func(id uuid.UUID) *complaint.Past { return &pasts[at[id]] }); err != nil {
		return nil, err
	}
	for i := range out {
		out[i].Events, out[i].Holds = pasts[i].Events(), pasts[i].Holds()
	}
	return out, nil
}

// histories reads the moves of complaints.
func (s *Server) histories(ctx context.Context, on db.DBTX, ids []uuid.UUID, of func(id uuid.UUID) *complaint.Past) error {
	moves, err := s.q.ListPastTransitions(ctx, on, ids)
	if err != nil {
		return fmt.Errorf("read moves of past complaints: %w", err)
	}
	for _, m := range moves {
		past := of(m.ComplaintID)
		past.Moves = append(past.Moves, complaint.Moved{
			Verb: m.Verb, From: complaint.State(m.FromState), To: complaint.State(m.ToState), At: m.OccurTime.UTC(),
		})
	}
	return nil
}

// orNull is the time, nil for none.
func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// timeOf is the time, zero for none.
func timeOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}
