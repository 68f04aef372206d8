package server

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/types/known/timestamppb"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
	"github.com/kefu-suite/kefu/services/complaint/internal/db"
)

// RecordExecution records that the approved remedy was carried out.
func (s *Server) RecordExecution(ctx context.Context, req *complaintv1.RecordExecutionRequest) (*complaintv1.Complaint, error) {
	return s.move(ctx, req, complaint.Execute, func(ctx context.Context, a *action) error {
		if err := complaint.Handling(a.who.Caller, value(a.c.HandlerStaffID)); err != nil {
			return err
		}
		approved, err := s.q.GetProposal(ctx, a.tx, a.c.ID, a.c.Round)
		if missing(err) {
			// An imported complaint was told without a proposal of ours.
			approved, err = db.ComplaintProposal{Remedy: int16(complaintv1.Remedy_REMEDY_NONE)}, nil
		}
		if err != nil {
			return fmt.Errorf("read the proposal: %w", err)
		}
		done, err := s.q.IsExecuted(ctx, a.tx, a.c.ID, a.c.Round)
		if err != nil {
			return fmt.Errorf("look for an execution: %w", err)
		}
		if err := complaint.Execution(a.who.Caller, complaint.ExecutionFacts{
			Remedy: complaintv1.Remedy(approved.Remedy), ApproverActor: approved.ApproverActor, Executed: done,
			Approved: complaint.Amount{Units: approved.AmountUnits, Nanos: approved.AmountNanos}, Currency: approved.Currency,
		}, req.GetAmount()); err != nil {
			return err
		}
		if err := authz.SecondPerson(ctx, approved.ApproverActor); err != nil {
			return err
		}
		at, err := a.when("execute_time", req.GetExecuteTime(), timeOf(approved.DecideTime), rpcerr.T("the approval", "批准"))
		if err != nil {
			return err
		}
		row := db.InsertExecutionParams{
			ComplaintID: a.c.ID, Round: a.c.Round, Reference: req.GetReference(), Currency: approved.Currency,
			AmountUnits: approved.AmountUnits, AmountNanos: approved.AmountNanos,
			ExecutorStaffID: pointer(a.who.Staff), ExecuteTime: at,
		}
		if req.GetAmount() != nil {
			row.Currency, row.AmountUnits, row.AmountNanos = sum(req.GetAmount())
		}
		a.occur = at
		a.also = append(a.also, func(ctx context.Context, p *pipeline) error { return s.q.InsertExecution(ctx, p, row) })
		return nil
	})
}

func executionMessage(row db.ComplaintExecution) *complaintv1.RemedyExecution {
	return &complaintv1.RemedyExecution{
		Reference: row.Reference, Amount: moneyMessage(row.Currency, row.AmountUnits, row.AmountNanos),
		ExecutorStaffId: text(row.ExecutorStaffID), ExecuteTime: timestamppb.New(row.ExecuteTime),
	}
}
