package server

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/page"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
)

// CreateBreakGlass opens a file to the caller in an emergency.
func (s *Server) CreateBreakGlass(ctx context.Context, req *customerv1.CreateBreakGlassRequest) (*customerv1.BreakGlass, error) {
	actor, err := person(ctx)
	if err != nil {
		return nil, err
	}
	customer, err := parseID("break_glass.customer_id", req.GetBreakGlass().GetCustomerId())
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*customerv1.BreakGlass, error) {
		if err := s.exists(ctx, tx, customer); err != nil {
			return nil, err
		}
		id, err := newID()
		if err != nil {
			return nil, err
		}
		now := s.now()
		row := &db.BreakGlass{
			ID: id, Actor: actor, CustomerID: customer, Reason: req.GetBreakGlass().GetReason(),
			EndTime: now.Add(s.disclosure.BreakGlass), CreateTime: now, Version: 1,
		}
		err = s.q.InsertBreakGlass(ctx, tx, db.InsertBreakGlassParams{
			ID: id, Actor: actor, CustomerID: customer, Reason: row.Reason, EndTime: row.EndTime, CreateTime: now,
		})
		if err != nil {
			return nil, fmt.Errorf("insert break glass: %w", err)
		}
		return glassChanged(tx, "breakglass.opened.v1", "open", row), nil
	})
}

// GetBreakGlass returns an opening.
func (s *Server) GetBreakGlass(ctx context.Context, req *customerv1.GetBreakGlassRequest) (*customerv1.BreakGlass, error) {
	id, err := parseID("id", req.GetId())
	if err != nil {
		return nil, err
	}
	row, err := s.q.GetBreakGlass(ctx, s.pool, id)
	if err := visible(ctx, err, row.Actor, "break glass", id); err != nil {
		return nil, err
	}
	return glassProto(&row), nil
}

// ListBreakGlasses lists openings, newest first.
func (s *Server) ListBreakGlasses(ctx context.Context, req *customerv1.ListBreakGlassesRequest) (*customerv1.ListBreakGlassesResponse, error) {
	before, err := s.idCursor(ctx, req, req.GetPageToken(), newestID)
	if err != nil {
		return nil, err
	}
	size := page.Size(req.GetPageSize())
	list := s.q.ListBreakGlasses
	if req.GetUnreviewed() {
		list = s.q.ListUnreviewedBreakGlasses
	}
	rows, err := list(ctx, planned{s.pool}, before, mine(ctx), size+1)
	if err != nil {
		return nil, fmt.Errorf("list broken glass: %w", err)
	}
	rows, next, err := cut(ctx, s, req, rows, size, func(r *db.BreakGlass) string { return r.ID.String() })
	if err != nil {
		return nil, err
	}
	out := &customerv1.ListBreakGlassesResponse{NextPageToken: next}
	for i := range rows {
		out.BreakGlasses = append(out.BreakGlasses, glassProto(&rows[i]))
	}
	return out, nil
}

// ReviewBreakGlass records what somebody else thinks of an opening, once.
func (s *Server) ReviewBreakGlass(ctx context.Context, req *customerv1.ReviewBreakGlassRequest) (*customerv1.BreakGlass, error) {
	reviewer, err := person(ctx)
	if err != nil {
		return nil, err
	}
	id, err := parseID("id", req.GetId())
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*customerv1.BreakGlass, error) {
		row, err := s.q.LockBreakGlass(ctx, tx, id)
		if err := visible(ctx, err, row.Actor, "break glass", id); err != nil {
			return nil, err
		}
		if err := authz.SecondPerson(ctx, row.Actor); err != nil {
			return nil, err
		}
		if row.Reviewer != nil {
			return nil, rpcerr.WrongState("BREAK_GLASS_REVIEWED", rpcerr.T(
				"The opening %[1]s was reviewed already; a review is not changed.", "该紧急查阅 %[1]s 已经复核过；复核结果不能更改。", id))
		}
		now := s.now()
		row.Reviewer, row.ReviewTime, row.Version = &reviewer, &now, row.Version+1
		row.Justified, row.Note = &req.Justified, &req.Note
		err = s.q.ReviewBreakGlass(ctx, tx, db.ReviewBreakGlassParams{
			ID: id, Reviewer: row.Reviewer, ReviewTime: row.ReviewTime, Justified: row.Justified, Note: row.Note,
		})
		if err != nil {
			return nil, fmt.Errorf("review break glass: %w", err)
		}
		state := "unjustified"
		if req.GetJustified() {
			state = "justified"
		}
		return glassChanged(tx, "breakglass.reviewed.v1", state, &row), nil
	})
}

// glassChanged tells and records that an opening changed.
func glassChanged(tx *write.Tx, kind, state string, row *db.BreakGlass) *customerv1.BreakGlass {
	out := glassProto(row)
	tx.Emit(event.Event{
		Type: kind, SubjectID: row.ID, SubjectVersion: row.Version, CustomerID: row.CustomerID,
		Payload: &customerv1.FileAccessChanged{CustomerIds: []string{out.GetCustomerId()}, State: state, EndTime: out.GetEndTime()},
	})
	tx.Audit("break_glass", row.ID, out)
	return out
}

func glassProto(row *db.BreakGlass) *customerv1.BreakGlass {
	out := &customerv1.BreakGlass{
		Id: row.ID.String(), CustomerId: row.CustomerID.String(), Reason: row.Reason, Actor: row.Actor,
		EndTime: timestamppb.New(row.EndTime), CreateTime: timestamppb.New(row.CreateTime), Etag: etag(row.Version),
	}
	if row.Reviewer != nil {
		out.Review = &customerv1.BreakGlassReview{
			Reviewer: *row.Reviewer, ReviewTime: timestamppb.New(*row.ReviewTime), Justified: *row.Justified, Note: *row.Note,
		}
	}
	return out
}
