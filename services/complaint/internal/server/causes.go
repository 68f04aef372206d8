package server

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	"github.com/kefu-suite/kefu/runtime/rpc"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
	"github.com/kefu-suite/kefu/services/complaint/internal/db"
	"github.com/kefu-suite/kefu/services/internal/fieldmask"
)

// causeKind names root causes in errors and audit records.
const causeKind = "cause"

// maxCauses is how many the tree may have: it is read and listed as a whole.
const maxCauses = 1000

func causeMessage(c db.ComplaintCause) *complaintv1.Cause {
	return &complaintv1.Cause{
		Id: c.ID.String(), Code: c.Code, ParentId: text(c.ParentID), NameZh: c.NameZh, NameEn: c.NameEn,
		Retired: c.Retired, Etag: etag(c.Version),
	}
}

// CreateCause adds a root cause to the tree.
func (s *Server) CreateCause(ctx context.Context, req *complaintv1.CreateCauseRequest) (*complaintv1.Cause, error) {
	in := req.GetCause()
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*complaintv1.Cause, error) {
		tree, err := s.lockCauses(ctx, tx)
		if err != nil {
			return nil, err
		}
		newID, err := uuid.NewV7()
		if err != nil {
			return nil, fmt.Errorf("id of a cause: %w", err)
		}
		if len(tree) >= maxCauses {
			return nil, rpcerr.Invalid("cause", rpcerr.T(
				"there are %[1]d causes, which is all there can be; change one instead", "原因已达上限 %[1]d 个；请修改已有原因", maxCauses))
		}
		for _, c := range tree {
			if c.Code == in.GetCode() {
				return nil, rpcerr.Exists(causeKind, "cause.code", in.GetCode())
			}
		}
		row := db.ComplaintCause{
			ID: newID, Code: in.GetCode(), ParentID: optional(in.GetParentId()), NameZh: in.GetNameZh(), NameEn: in.GetNameEn(),
			Retired: in.GetRetired(), Version: 1,
		}
		if err := placed(row, tree); err != nil {
			return nil, err
		}
		if err := s.q.InsertCause(ctx, tx, db.InsertCauseParams{
			ID: row.ID, Code: row.Code, ParentID: row.ParentID, NameZh: row.NameZh, NameEn: row.NameEn, Retired: row.Retired,
		}); err != nil {
			return nil, fmt.Errorf("store a cause: %w", err)
		}
		out := causeMessage(row)
		tx.Audit(causeKind, row.ID, out)
		return out, nil
	})
}

// lockCauses reads the tree for change.
func (s *Server) lockCauses(ctx context.Context, tx db.DBTX) ([]db.ComplaintCause, error) {
	tree, err := s.q.LockCauses(ctx, tx)
	if err != nil {
		return nil, fmt.Errorf("lock the causes: %w", err)
	}
	return tree, nil
}

// placed checks that a cause stands below one that is there and not below itself.
func placed(row db.ComplaintCause, tree []db.ComplaintCause) error {
	if row.ParentID == nil {
		return nil
	}
	parents := make(map[uuid.UUID]uuid.UUID, len(tree))
	for _, c := range tree {
		parents[c.ID] = value(c.ParentID)
	}
	if _, ok := parents[*row.ParentID]; !ok {
		return rpcerr.Invalid("cause.parent_id", rpcerr.T(
			"there is no cause %[1]s; give the id of one in the tree of causes", "没有原因 %[1]s；请填写原因树中的 id", row.ParentID))
	}
	return complaint.Ancestry(row.ID, *row.ParentID, parents)
}

// UpdateCause changes named fields.
func (s *Server) UpdateCause(ctx context.Context, req *complaintv1.UpdateCauseRequest) (*complaintv1.Cause, error) {
	causeID, err := uuid.Parse(req.GetCause().GetId())
	if err != nil {
		return nil, rpcerr.Invalid("cause.id", rpcerr.T(
			"%[1]q is not a UUID; give the id of a cause", "%[1]q 不是 UUID；请填写原因的 id", req.GetCause().GetId()))
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*complaintv1.Cause, error) {
		tree, err := s.lockCauses(ctx, tx)
		if err != nil {
			return nil, err
		}
		row, err := s.q.GetCause(ctx, tx, causeID)
		if missing(err) {
			return nil, rpcerr.NotFound(causeKind, causeID.String())
		}
		if err != nil {
			return nil, fmt.Errorf("read a cause: %w", err)
		}
		if seen := req.GetCause().GetEtag(); seen != "" && seen != etag(row.Version) {
			return nil, rpcerr.Stale(causeKind, causeID.String())
		}
		merged := causeMessage(row)
		if err := fieldmask.Apply(merged, req.GetCause(), req.GetUpdateMask(), "id", "code"); err != nil {
			return nil, err
		}
		// The rules of a cause, with the paths of this request.
		if err := rpc.Check(s.validator, &complaintv1.CreateCauseRequest{Cause: merged}); err != nil {
			return nil, err
		}
		row.ParentID, row.NameZh, row.NameEn, row.Retired = optional(merged.GetParentId()), merged.GetNameZh(), merged.GetNameEn(), merged.GetRetired()
		if err := placed(row, tree); err != nil {
			return nil, err
		}
		row.Version++
		if err := s.q.UpdateCause(ctx, tx, db.UpdateCauseParams{
			ID: row.ID, ParentID: row.ParentID, NameZh: row.NameZh, NameEn: row.NameEn, Retired: row.Retired, Version: row.Version,
		}); err != nil {
			return nil, fmt.Errorf("change a cause: %w", err)
		}
		out := causeMessage(row)
		tx.Audit(causeKind, row.ID, out)
		return out, nil
	})
}

// GetCauseTree gives the tree.
func (s *Server) GetCauseTree(ctx context.Context, req *complaintv1.GetCauseTreeRequest) (*complaintv1.GetCauseTreeResponse, error) {
	rows, err := s.q.ListCauses(ctx, s.pool, req.GetInUse())
	if err != nil {
		return nil, fmt.Errorf("list causes: %w", err)
	}
	out := &complaintv1.GetCauseTreeResponse{}
	for _, row := range rows {
		out.Causes = append(out.Causes, causeMessage(row))
	}
	return out, nil
}
