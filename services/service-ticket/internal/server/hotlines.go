package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/internal/contactdata"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/department"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/organisation"
)

// CreateHotline adds a hotline.
func (s *Server) CreateHotline(ctx context.Context, req *ticketv1.CreateHotlineRequest) (*ticketv1.Hotline, error) {
	id, err := newID()
	if err != nil {
		return nil, err
	}
	now := s.now()
	row := &db.Hotline{ID: id, CreateTime: now, UpdateTime: now, Version: 1}
	if err := s.fillHotline(row, req.GetHotline()); err != nil {
		return nil, err
	}
	out, err := write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*ticketv1.Hotline, error) {
		if err := s.owns(ctx, tx, row); err != nil {
			return nil, err
		}
		tx.Audit("hotline", id, hotlineProto(row))
		return hotlineProto(row), s.q.InsertHotline(ctx, tx, db.InsertHotlineParams{
			ID: id, Number: row.Number, NameZh: row.NameZh, NameEn: row.NameEn, Hours: row.Hours, Purpose: row.Purpose,
			Line: row.Line, OwnerStaffID: row.OwnerStaffID, OwnerPosts: row.OwnerPosts, CreateTime: now,
		})
	})
	return out, hotlineRefused(err, row)
}

// UpdateHotline changes named fields.
func (s *Server) UpdateHotline(ctx context.Context, req *ticketv1.UpdateHotlineRequest) (*ticketv1.Hotline, error) {
	id, err := parseID("hotline.id", req.GetHotline().GetId())
	if err != nil {
		return nil, err
	}
	row := new(db.Hotline)
	out, err := write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*ticketv1.Hotline, error) {
		held, err := s.q.LockHotline(ctx, tx, id)
		if err != nil {
			return nil, missing(err, "hotline", id)
		}
		*row = held
		if err := current(req.GetHotline().GetEtag(), row.Version, "hotline", id); err != nil {
			return nil, err
		}
		before := row.OwnerStaffID
		merged := hotlineProto(row)
		if err := s.merge(merged, req.GetHotline(), req.GetUpdateMask(), &ticketv1.CreateHotlineRequest{Hotline: merged}); err != nil {
			return nil, err
		}
		if err := s.fillHotline(row, merged); err != nil {
			return nil, err
		}
		if row.OwnerStaffID != before {
			if err := s.owns(ctx, tx, row); err != nil {
				return nil, err
			}
		}
		if err := s.storeHotline(ctx, tx, row); err != nil {
			return nil, err
		}
		owner, err := s.q.GetStaff(ctx, tx, row.OwnerStaffID)
		if err != nil {
			return nil, fmt.Errorf("read the owner: %w", err)
		}
		tx.Audit("hotline", id, hotlineProto(row))
		return ownedProto(row, owner.Status, owner.Posts), nil
	})
	return out, hotlineRefused(err, row)
}

// owns makes somebody who has not left the owner of a hotline, as they stand.
func (s *Server) owns(ctx context.Context, tx *write.Tx, row *db.Hotline) error {
	owner, err := s.q.LockStaff(ctx, tx, row.OwnerStaffID)
	if errors.Is(err, pgx.ErrNoRows) {
		return unknownStaff("hotline.owner_staff_id", row.OwnerStaffID)
	}
	if err != nil {
		return fmt.Errorf("lock the owner: %w", err)
	}
	row.OwnerPosts, row.OwnerTold = owner.Posts, []int16{}
	return notLeft(&owner)
}

func (s *Server) storeHotline(ctx context.Context, tx *write.Tx, row *db.Hotline) error {
	row.UpdateTime, row.Version = s.now(), row.Version+1
	err := s.q.UpdateHotline(ctx, tx, db.UpdateHotlineParams{
		ID: row.ID, Number: row.Number, NameZh: row.NameZh, NameEn: row.NameEn, Hours: row.Hours, Purpose: row.Purpose,
		Line: row.Line, OwnerStaffID: row.OwnerStaffID, DeleteTime: row.DeleteTime, UpdateTime: row.UpdateTime, Version: row.Version,
		OwnerPosts: row.OwnerPosts, OwnerTold: row.OwnerTold,
	})
	if err != nil {
		return fmt.Errorf("update hotline: %w", err)
	}
	return nil
}

// DeleteHotline takes a hotline out of service.
func (s *Server) DeleteHotline(ctx context.Context, req *ticketv1.DeleteHotlineRequest) (*emptypb.Empty, error) {
	return s.remove(ctx, req, "hotline", req.GetId(), func(tx *write.Tx, id uuid.UUID) (int64, error) {
		row, err := s.q.LockHotline(ctx, tx, id)
		if errors.Is(err, pgx.ErrNoRows) {
			return 0, nil
		}
		if err != nil {
			return 0, err
		}
		now := s.now()
		row.DeleteTime = &now
		return 1, s.storeHotline(ctx, tx, &row)
	})
}

// ListHotlines lists hotlines in the order they were added.
func (s *Server) ListHotlines(ctx context.Context, req *ticketv1.ListHotlinesRequest) (*ticketv1.ListHotlinesResponse, error) {
	rows, next, err := byID(ctx, s, req, "hotlines", func(r db.ListHotlinesRow) uuid.UUID { return r.Hotline.ID }, func(after uuid.UUID, size int32) ([]db.ListHotlinesRow, error) {
		return s.q.ListHotlines(ctx, s.pool, after, size)
	})
	out := &ticketv1.ListHotlinesResponse{NextPageToken: next}
	for i := range rows {
		out.Hotlines = append(out.Hotlines, ownedProto(&rows[i].Hotline, rows[i].Status, rows[i].Posts))
	}
	return out, err
}

// PublishHotlines publishes the hotlines as the next version.
func (s *Server) PublishHotlines(ctx context.Context, req *ticketv1.PublishHotlinesRequest) (*ticketv1.HotlinePublication, error) {
	id, err := newID()
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*ticketv1.HotlinePublication, error) {
		if err := s.q.LockHotlinePublications(ctx, tx); err != nil {
			return nil, fmt.Errorf("lock the publications: %w", err)
		}
		rows, err := s.q.ListHotlinesToPublish(ctx, tx)
		if err != nil {
			return nil, fmt.Errorf("read hotlines: %w", err)
		}
		if err := organisation.CheckPublication(hotlineLines(rows)); err != nil {
			return nil, err
		}
		last, err := s.lastPublication(ctx, tx)
		if err != nil {
			return nil, err
		}
		now := s.now()
		out := &ticketv1.HotlinePublication{Version: last.Version + 1, PublishTime: timestamppb.New(now), Reason: req.GetReason()}
		for _, r := range rows {
			h := hotlineProto(&r.Hotline)
			out.Hotlines = append(out.Hotlines, &ticketv1.PublishedHotline{
				Number: h.GetNumber(), Name: h.GetName(), Hours: h.GetHours(), Purpose: h.GetPurpose(), Line: h.GetLine(),
				Department: &typev1.Text{Zh: r.DepartmentZh, En: r.DepartmentEn},
			})
		}
		content, err := proto.Marshal(out)
		if err != nil {
			return nil, fmt.Errorf("encode a publication: %w", err)
		}
		err = s.q.InsertPublication(ctx, tx, db.InsertPublicationParams{Version: out.GetVersion(), SubjectID: id, PublishTime: now, Content: content})
		if err != nil {
			return nil, fmt.Errorf("add publication: %w", err)
		}
		if err := s.q.ConfirmHotlineOwners(ctx, tx); err != nil {
			return nil, fmt.Errorf("confirm the owners: %w", err)
		}
		tx.Emit(event.Event{
			Type: "hotlines.published.v1", SubjectID: id, SubjectVersion: 1, OccurTime: now,
			Payload: &ticketv1.HotlinesPublished{Publication: out},
		})
		tx.Audit("hotline-publication", id, out)
		return out, nil
	})
}

// hotlineLines gives hotlines as the rules see them; who left holds no post.
func hotlineLines(rows []db.ListHotlinesToPublishRow) []organisation.Line {
	out := make([]organisation.Line, len(rows))
	for i, r := range rows {
		out[i] = organisation.Line{
			Hours: ticketv1.HotlineHours(r.Hotline.Hours), Purpose: ticketv1.HotlinePurpose(r.Hotline.Purpose),
			Line: ticketv1.HotlineLine(r.Hotline.Line),
		}
		if ticketv1.StaffStatus(r.Status) == ticketv1.StaffStatus_STAFF_STATUS_LEFT {
			continue
		}
		out[i].Posts = postsOf(r.Posts)
	}
	return out
}

// lastPublication is the present one, the zero row for none.
func (s *Server) lastPublication(ctx context.Context, on db.DBTX) (db.HotlinePublication, error) {
	row, err := s.q.GetLatestPublication(ctx, on)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return row, fmt.Errorf("read the last publication: %w", err)
	}
	return row, nil
}

// overdue tells why a publication after the given one is overdue; the rows are what would be
// published.
func (s *Server) overdue(ctx context.Context, on db.DBTX, rows []db.ListHotlinesToPublishRow, last *db.HotlinePublication, at time.Time) ([]ticketv1.HotlineOverdue, error) {
	changed, err := s.q.HotlinesChangedSince(ctx, on, last.PublishTime)
	if err != nil {
		return nil, fmt.Errorf("look for changed hotlines: %w", err)
	}
	ownerless := slices.ContainsFunc(rows, func(r db.ListHotlinesToPublishRow) bool { return len(ownerFaults(&r.Hotline, r.Status, r.Posts)) > 0 })
	return organisation.Overdue(last.PublishTime, s.policy.PublishEvery, changed, ownerless, at), nil
}

// GetHotlineStatus tells whether a publication is overdue.
func (s *Server) GetHotlineStatus(ctx context.Context, _ *ticketv1.GetHotlineStatusRequest) (*ticketv1.HotlineStatus, error) {
	last, err := s.lastPublication(ctx, s.pool)
	if err != nil {
		return nil, err
	}
	rows, err := s.q.ListHotlinesToPublish(ctx, s.pool)
	if err != nil {
		return nil, fmt.Errorf("read hotlines: %w", err)
	}
	out := &ticketv1.HotlineStatus{Version: last.Version, Missing: organisation.Missing(hotlineLines(rows))}
	if last.Version > 0 {
		out.PublishTime = timestamppb.New(last.PublishTime)
		out.DueTime = timestamppb.New(last.PublishTime.Add(s.policy.PublishEvery))
	}
	out.Overdue, err = s.overdue(ctx, s.pool, rows, &last, s.now())
	return out, err
}

// GetHotlinePublication returns a publication.
func (s *Server) GetHotlinePublication(ctx context.Context, req *ticketv1.GetHotlinePublicationRequest) (*ticketv1.HotlinePublication, error) {
	var row db.HotlinePublication
	var err error
	if req.GetVersion() == 0 {
		row, err = s.q.GetLatestPublication(ctx, s.pool)
	} else {
		row, err = s.q.GetPublication(ctx, s.pool, req.GetVersion())
	}
	if errors.Is(err, pgx.ErrNoRows) && req.GetVersion() == 0 {
		return nil, rpcerr.New(codes.NotFound, "HOTLINE_PUBLICATION_NOT_FOUND", rpcerr.T(
			"The hotlines have not been published yet; publish them first.", "尚未发布客服热线；请先发布。"))
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, rpcerr.NotFound("hotline publication", fmt.Sprint(req.GetVersion()))
	}
	if err != nil {
		return nil, fmt.Errorf("read publication: %w", err)
	}
	out := new(ticketv1.HotlinePublication)
	if err := proto.Unmarshal(row.Content, out); err != nil {
		return nil, fmt.Errorf("decode publication %d: %w", row.Version, err)
	}
	return out, nil
}

func hotlineRefused(err error, row *db.Hotline) error {
	switch {
	case pg.Violates(err, "hotlines_number_key"):
		return rpcerr.Exists("hotline", "number", row.Number)
	case pg.Violates(err, "hotlines_owner_staff_id_fkey"):
		return unknownStaff("hotline.owner_staff_id", row.OwnerStaffID)
	}
	return err
}

func (s *Server) fillHotline(row *db.Hotline, in *ticketv1.Hotline) error {
	if err := department.CheckName("hotline.name", in.GetName()); err != nil {
		return err
	}
	owner, err := parseID("hotline.owner_staff_id", in.GetOwnerStaffId())
	if err != nil {
		return err
	}
	row.Number = in.GetNumber()
	if !organisation.ShortNumber(row.Number) {
		phone, bad := contactdata.Phone(row.Number, s.region)
		if bad != nil {
			return rpcerr.Invalid("hotline.number", *bad)
		}
		if row.Number = phone; phone == "" {
			return rpcerr.Invalid("hotline.number", rpcerr.T(
				"it is blank; give a phone number, or a short one of 3 to 6 digits", "号码为空；请填写电话号码或 3 至 6 位短号"))
		}
	}
	row.NameZh, row.NameEn, row.OwnerStaffID = in.GetName().GetZh(), in.GetName().GetEn(), owner
	row.Hours, row.Purpose, row.Line = int16(in.GetHours()), int16(in.GetPurpose()), int16(in.GetLine())
	return nil
}

// ownerFaults tells what is wrong with the owner of a hotline, who is of a status and has posts.
func ownerFaults(row *db.Hotline, status int16, posts []int16) []ticketv1.HotlineOwnerFault {
	left := ticketv1.StaffStatus(status) == ticketv1.StaffStatus_STAFF_STATUS_LEFT
	return organisation.OwnerFaults(ticketv1.HotlinePurpose(row.Purpose), left, postsOf(row.OwnerPosts), postsOf(posts))
}

// ownedProto is hotlineProto with what is wrong with its owner.
func ownedProto(row *db.Hotline, status int16, posts []int16) *ticketv1.Hotline {
	out := hotlineProto(row)
	out.OwnerFaults = ownerFaults(row, status, posts)
	return out
}

func hotlineProto(row *db.Hotline) *ticketv1.Hotline {
	return &ticketv1.Hotline{
		Id: row.ID.String(), Number: row.Number, Name: &typev1.Text{Zh: row.NameZh, En: row.NameEn},
		Hours: ticketv1.HotlineHours(row.Hours), Purpose: ticketv1.HotlinePurpose(row.Purpose), Line: ticketv1.HotlineLine(row.Line),
		OwnerStaffId: row.OwnerStaffID.String(), CreateTime: timestamppb.New(row.CreateTime),
		UpdateTime: timestamppb.New(row.UpdateTime), Etag: etag(row.Version),
	}
}
