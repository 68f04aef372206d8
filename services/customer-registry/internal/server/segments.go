package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/page"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpc"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/customer"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
	"github.com/kefu-suite/kefu/services/internal/fieldmask"
)

const (
	segmentKey = "segments_name_key"
	// streamBatch is how many members travel in one message.
	streamBatch = 500
)

// checkCondition refuses a condition that makes no sense.
func (s *Server) checkCondition(ctx context.Context, field string, c *customerv1.SegmentCondition) error {
	definitions, err := s.definitions(ctx)
	if err != nil {
		return err
	}
	return invalid("", customer.CheckCondition(field, c, definitions))
}

// CreateSegment saves a segment.
func (s *Server) CreateSegment(ctx context.Context, req *customerv1.CreateSegmentRequest) (*customerv1.Segment, error) {
	given := req.GetSegment()
	if err := s.checkCondition(ctx, "segment.condition", given.GetCondition()); err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*customerv1.Segment, error) {
		id, err := newID()
		if err != nil {
			return nil, err
		}
		now := s.now()
		row := &db.Segment{
			ID: id, Name: given.GetName(), Purpose: given.GetPurpose(), Creator: authn.FromContext(ctx).Actor(),
			CreateTime: now, UpdateTime: now, Version: 1,
		}
		if row.Condition, err = proto.Marshal(given.GetCondition()); err != nil {
			return nil, fmt.Errorf("encode a condition: %w", err)
		}
		err = s.q.InsertSegment(ctx, tx, db.InsertSegmentParams{
			ID: id, Name: row.Name, Purpose: row.Purpose, Condition: row.Condition, Creator: row.Creator, CreateTime: now, UpdateTime: now,
		})
		return storedSegment(tx, row, err)
	})
}

// storedSegment answers a segment that was written, or why it was not.
func storedSegment(tx *write.Tx, row *db.Segment, err error) (*customerv1.Segment, error) {
	if pg.Violates(err, segmentKey) {
		return nil, rpcerr.Exists("segment", "name", row.Name)
	}
	if err != nil {
		return nil, fmt.Errorf("store segment: %w", err)
	}
	out, err := segmentProto(row)
	if err != nil {
		return nil, err
	}
	tx.Audit("segment", row.ID, out)
	return out, nil
}

// segment reads one.
func (s *Server) segment(ctx context.Context, field, given string) (*customerv1.Segment, error) {
	id, err := parseID(field, given)
	if err != nil {
		return nil, err
	}
	row, err := s.q.GetSegment(ctx, s.pool, id)
	if err != nil {
		return nil, missingSegment(err, id)
	}
	return segmentProto(&row)
}

func missingSegment(err error, id uuid.UUID) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return rpcerr.NotFound("segment", id.String())
	}
	return fmt.Errorf("read segment: %w", err)
}

// GetSegment returns one segment.
func (s *Server) GetSegment(ctx context.Context, req *customerv1.GetSegmentRequest) (*customerv1.Segment, error) {
	return s.segment(ctx, "id", req.GetId())
}

// ListSegments lists segments, newest first.
func (s *Server) ListSegments(ctx context.Context, req *customerv1.ListSegmentsRequest) (*customerv1.ListSegmentsResponse, error) {
	before, err := s.idCursor(ctx, req, req.GetPageToken(), newestID)
	if err != nil {
		return nil, err
	}
	size := page.Size(req.GetPageSize())
	rows, err := s.q.ListSegments(ctx, s.pool, before, size+1)
	if err != nil {
		return nil, fmt.Errorf("list segments: %w", err)
	}
	rows, next, err := cut(ctx, s, req, rows, size, func(r *db.Segment) string { return r.ID.String() })
	if err != nil {
		return nil, err
	}
	out := &customerv1.ListSegmentsResponse{NextPageToken: next}
	for i := range rows {
		segment, err := segmentProto(&rows[i])
		if err != nil {
			return nil, err
		}
		out.Segments = append(out.Segments, segment)
	}
	return out, nil
}

// UpdateSegment changes the fields that the mask names.
func (s *Server) UpdateSegment(ctx context.Context, req *customerv1.UpdateSegmentRequest) (*customerv1.Segment, error) {
	given := req.GetSegment()
	id, err := parseID("segment.id", given.GetId())
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*customerv1.Segment, error) {
		row, err := s.q.LockSegment(ctx, tx, id)
		if err != nil {
			return nil, missingSegment(err, id)
		}
		if err := current(given.GetEtag(), row.Version, "segment", id); err != nil {
			return nil, err
		}
		before, err := segmentProto(&row)
		if err != nil {
			return nil, err
		}
		after := proto.CloneOf(before)
		if err := fieldmask.Apply(after, given, req.GetUpdateMask(), "id"); err != nil {
			return nil, err
		}
		if err := rpc.Check(s.validator, &customerv1.CreateSegmentRequest{Segment: after}); err != nil {
			return nil, err
		}
		if err := s.checkCondition(ctx, "segment.condition", after.GetCondition()); err != nil {
			return nil, err
		}
		if proto.Equal(before, after) {
			tx.Unchanged()
			return before, nil
		}
		row.Name, row.Purpose, row.UpdateTime, row.Version = after.GetName(), after.GetPurpose(), s.now(), row.Version+1
		if row.Condition, err = proto.Marshal(after.GetCondition()); err != nil {
			return nil, fmt.Errorf("encode a condition: %w", err)
		}
		err = s.q.UpdateSegment(ctx, tx, db.UpdateSegmentParams{
			ID: id, Name: row.Name, Purpose: row.Purpose, Condition: row.Condition, UpdateTime: row.UpdateTime,
		})
		return storedSegment(tx, &row, err)
	})
}

// DeleteSegment removes a segment.
func (s *Server) DeleteSegment(ctx context.Context, req *customerv1.DeleteSegmentRequest) (*emptypb.Empty, error) {
	id, err := parseID("id", req.GetId())
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*emptypb.Empty, error) {
		row, err := s.q.LockSegment(ctx, tx, id)
		if err != nil {
			return nil, missingSegment(err, id)
		}
		if err := current(req.GetEtag(), row.Version, "segment", id); err != nil {
			return nil, err
		}
		if err := s.q.DeleteSegment(ctx, tx, id); err != nil {
			return nil, fmt.Errorf("delete segment: %w", err)
		}
		tx.Audit("segment", id, map[string]any{"deleted": true})
		return &emptypb.Empty{}, nil
	})
}

// ComputeSegment counts the customers that fit a condition.
func (s *Server) ComputeSegment(ctx context.Context, req *customerv1.ComputeSegmentRequest) (*customerv1.SegmentCount, error) {
	if err := s.checkCondition(ctx, "condition", req.GetCondition()); err != nil {
		return nil, err
	}
	return s.countSegment(ctx, req.GetCondition())
}

// CountSegment counts the members of a segment.
func (s *Server) CountSegment(ctx context.Context, req *customerv1.CountSegmentRequest) (*customerv1.SegmentCount, error) {
	segment, err := s.segment(ctx, "id", req.GetId())
	if err != nil {
		return nil, err
	}
	return s.countSegment(ctx, segment.GetCondition())
}

func (s *Server) countSegment(ctx context.Context, c *customerv1.SegmentCondition) (*customerv1.SegmentCount, error) {
	n, err := db.CountSegment(ctx, planned{s.pool}, c, s.now())
	if err != nil {
		return nil, fmt.Errorf("count a segment: %w", err)
	}
	return &customerv1.SegmentCount{Count: n}, nil
}

// ListSegmentMembers lists the members of a segment in the order of their ids.
func (s *Server) ListSegmentMembers(ctx context.Context, req *customerv1.ListSegmentMembersRequest) (*customerv1.ListSegmentMembersResponse, error) {
	segment, err := s.segment(ctx, "id", req.GetId())
	if err != nil {
		return nil, err
	}
	after, err := s.idCursor(ctx, req, req.GetPageToken(), uuid.Nil)
	if err != nil {
		return nil, err
	}
	size := page.Size(req.GetPageSize())
	rows, err := s.members(ctx, segment, after, size+1)
	if err != nil {
		return nil, err
	}
	rows, next, err := cut(ctx, s, req, rows, size, func(r *db.SegmentMember) string { return r.ID.String() })
	if err != nil {
		return nil, err
	}
	return &customerv1.ListSegmentMembersResponse{Members: membersProto(rows), NextPageToken: next}, nil
}

func (s *Server) members(ctx context.Context, segment *customerv1.Segment, after uuid.UUID, count int32) ([]db.SegmentMember, error) {
	rows, err := db.ListSegment(ctx, planned{s.pool}, segment.GetCondition(), s.now(), after, count)
	if err != nil {
		return nil, fmt.Errorf("list the members of segment %s: %w", segment.GetId(), err)
	}
	return rows, nil
}

// StreamSegmentMembers streams the members of a segment to another service.
func (s *Server) StreamSegmentMembers(req *customerv1.StreamSegmentMembersRequest, to grpc.ServerStreamingServer[customerv1.StreamSegmentMembersResponse]) error {
	ctx := to.Context()
	segment := &customerv1.Segment{}
	if req.GetId() != "" {
		var err error
		if segment, err = s.segment(ctx, "id", req.GetId()); err != nil {
			return err
		}
	}
	after := uuid.Nil
	if last, err := optionalID("after_customer_id", req.GetAfterCustomerId()); err != nil {
		return err
	} else if last != nil {
		after = *last
	}
	for {
		rows, err := s.members(ctx, segment, after, streamBatch)
		if err != nil || len(rows) == 0 {
			return err
		}
		if err := to.Send(&customerv1.StreamSegmentMembersResponse{Members: membersProto(rows)}); err != nil {
			return fmt.Errorf("send members: %w", err)
		}
		if len(rows) < streamBatch {
			return nil
		}
		after = rows[len(rows)-1].ID
	}
}

func membersProto(rows []db.SegmentMember) []*customerv1.SegmentMember {
	out := make([]*customerv1.SegmentMember, 0, len(rows))
	for i := range rows {
		row := &rows[i]
		member := &customerv1.SegmentMember{
			CustomerId: row.ID.String(), Number: row.Number, Name: row.Name, Kind: customerv1.CustomerKind(row.Kind),
			Tier: typev1.Tier(row.Tier), Region: row.Region, OwnerStaffId: idString(row.OwnerStaffID), Language: row.Language,
		}
		if row.ServiceQuality {
			member.Consents = append(member.Consents, customerv1.ConsentPurpose_CONSENT_PURPOSE_SERVICE_QUALITY)
		}
		for _, purpose := range row.Consents {
			member.Consents = append(member.Consents, customerv1.ConsentPurpose(purpose))
		}
		if row.Phone {
			member.Reaches = append(member.Reaches, customerv1.SegmentReach_SEGMENT_REACH_PHONE)
		}
		if row.Email {
			member.Reaches = append(member.Reaches, customerv1.SegmentReach_SEGMENT_REACH_EMAIL)
		}
		out = append(out, member)
	}
	return out
}

func segmentProto(row *db.Segment) (*customerv1.Segment, error) {
	out := &customerv1.Segment{
		Id: row.ID.String(), Name: row.Name, Purpose: row.Purpose, Condition: new(customerv1.SegmentCondition), Creator: row.Creator,
		CreateTime: timestamppb.New(row.CreateTime), UpdateTime: timestamppb.New(row.UpdateTime), Etag: etag(row.Version),
	}
	if err := proto.Unmarshal(row.Condition, out.Condition); err != nil {
		return nil, fmt.Errorf("decode the condition of segment %s: %w", row.ID, err)
	}
	return out, nil
}
