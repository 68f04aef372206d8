package server

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/page"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/customer"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
)

const (
	qualityEvery  = 10 * time.Second
	qualityBatch  = 500
	snapshotEvery = time.Hour
)

// SweepQuality scores files that changed or came due, and renews the month's snapshot, until
// ctx ends. Any number of replicas may: each takes rows that no other holds.
func (s *Server) SweepQuality(ctx context.Context) error {
	tick := time.NewTicker(qualityEvery)
	defer tick.Stop()
	var taken time.Time
	for {
		err := s.ScoreFiles(ctx)
		if now := s.now(); err == nil && now.Sub(taken) >= snapshotEvery {
			if err = s.SnapshotQuality(ctx); err == nil {
				taken = now
			}
		}
		if err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "sweep of quality failed; the next one tries again", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// ScoreFiles scores every file that changed or came due.
func (s *Server) ScoreFiles(ctx context.Context) error {
	for {
		scored, err := s.scoreFiles(ctx)
		if err != nil || scored < qualityBatch {
			return err
		}
	}
}

// scoreFiles scores some. A change that comes meanwhile waits for the row and marks it again.
func (s *Server) scoreFiles(ctx context.Context) (scored int, err error) {
	now := s.now()
	err = pg.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		ids, err := s.q.LockUnscored(ctx, tx, &now, qualityBatch)
		if err != nil {
			return fmt.Errorf("find files to score: %w", err)
		}
		if scored = len(ids); scored == 0 {
			return nil
		}
		facts, err := s.q.ListQualityFacts(ctx, tx, ids)
		if err != nil {
			return fmt.Errorf("read what files are scored by: %w", err)
		}
		rows := db.StoreQualitiesParams{Definition: customer.QualityDefinition, Now: now}
		for i := range facts {
			if err := addQuality(&rows, &facts[i], now); err != nil {
				return err
			}
		}
		if err := s.q.StoreQualities(ctx, tx, rows); err != nil {
			return fmt.Errorf("store scores: %w", err)
		}
		return nil
	})
	return scored, err
}

func addQuality(rows *db.StoreQualitiesParams, row *db.ListQualityFactsRow, now time.Time) error {
	quality, next, err := score(row, now)
	if err != nil {
		return err
	}
	reasons, err := proto.Marshal(&customerv1.CustomerQuality{Reasons: quality.GetReasons()})
	if err != nil {
		return fmt.Errorf("encode reasons: %w", err)
	}
	responsible := uuid.Nil
	if row.ResponsibleStaffID != nil {
		responsible = *row.ResponsibleStaffID
	}
	if next.IsZero() {
		next = time.Unix(0, 0).UTC()
	}
	rows.Ids, rows.Actives = append(rows.Ids, row.ID), append(rows.Actives, row.Active)
	rows.Responsibles, rows.Reasonses = append(rows.Responsibles, responsible), append(rows.Reasonses, reasons)
	rows.Completenesses = append(rows.Completenesses, int16(quality.GetCompleteness()))
	rows.Accuracies = append(rows.Accuracies, int16(quality.GetAccuracy()))
	rows.Timelinesses = append(rows.Timelinesses, int16(quality.GetTimeliness()))
	rows.Overalls = append(rows.Overalls, int16(quality.GetOverall()))
	rows.RescoreTimes = append(rows.RescoreTimes, next)
	return nil
}

// score scores one file.
func score(row *db.ListQualityFactsRow, now time.Time) (*customerv1.CustomerQuality, time.Time, error) {
	facts := customer.QualityFacts{
		Person: row.Party == int16(customerv1.Party_PARTY_PERSON), Phone: row.HasPhone, Email: row.HasEmail, Address: row.HasAddress,
		Owner: row.OwnerStaffID != nil, Region: row.Region != "", Industry: row.Industry != "", Responsible: row.ResponsibleStaffID != nil,
		Needs: row.HasNeeds, PhoneInvalid: row.PhoneQuality != 0, EmailInvalid: row.EmailQuality != 0,
		Contacts: row.Contacts, InvalidContacts: row.InvalidContacts, DecisionMakers: row.DecisionMakers,
		ReviewDue: row.ReviewDueTime, IntervalDays: row.UpdateIntervalDays,
	}
	states, err := fieldStates(row.ID, row.FieldStates)
	if err != nil {
		return nil, time.Time{}, err
	}
	verified := map[string]bool{}
	for _, state := range states.GetStates() {
		verified[state.GetField()] = state.GetVerified()
	}
	for field, has := range map[string]bool{"phone": row.HasPhone, "email": row.HasEmail, "address": row.HasAddress} {
		if has {
			facts.Verifiable++
		}
		if has && verified[field] {
			facts.Verified++
		}
	}
	facts.Verifiable, facts.Verified = facts.Verifiable+int(row.Points), facts.Verified+int(row.VerifiedPoints)
	out, next := customer.Score(facts, now)
	out.CustomerId, out.Number, out.ScoreTime = row.ID.String(), row.Number, timestamppb.New(now)
	out.ResponsibleStaffId = idString(row.ResponsibleStaffID)
	return out, next, nil
}

// SnapshotQuality renews the snapshot of the running month.
func (s *Server) SnapshotQuality(ctx context.Context) error {
	now := s.now()
	if err := s.q.TakeSnapshot(ctx, s.pool, now.In(s.disclosure.Zone).Format("2006-01"), customer.QualityDefinition, now); err != nil {
		return fmt.Errorf("take the month's snapshot: %w", err)
	}
	return nil
}

// GetCustomerQuality scores one file as it stands now.
func (s *Server) GetCustomerQuality(ctx context.Context, req *customerv1.GetCustomerQualityRequest) (*customerv1.CustomerQuality, error) {
	id, err := parseID("customer_id", req.GetCustomerId())
	if err != nil {
		return nil, err
	}
	rows, err := s.q.ListQualityFacts(ctx, s.pool, []uuid.UUID{id})
	if err != nil {
		return nil, fmt.Errorf("read what a file is scored by: %w", err)
	}
	if len(rows) == 0 {
		return nil, notFound(id)
	}
	out, _, err := score(&rows[0], s.now())
	return out, err
}

// ListCustomerQualities lists the scores of files in use, the worst first.
func (s *Server) ListCustomerQualities(ctx context.Context, req *customerv1.ListCustomerQualitiesRequest) (*customerv1.ListCustomerQualitiesResponse, error) {
	overall, after, err := s.scoreCursor(ctx, req, req.GetPageToken())
	if err != nil {
		return nil, err
	}
	size := page.Size(req.GetPageSize())
	filter := db.ListQualitiesParams{Overall: overall, After: after, Count: size + 1}
	if filter.ResponsibleStaffID, err = optionalID("responsible_staff_id", req.GetResponsibleStaffId()); err != nil {
		return nil, err
	}
	rows, err := s.q.ListQualities(ctx, planned{s.pool}, filter)
	if err != nil {
		return nil, fmt.Errorf("list scores: %w", err)
	}
	rows, next, err := cut(ctx, s, req, rows, size, func(r *db.ListQualitiesRow) string {
		return fmt.Sprintf("%d %s", r.CustomerQuality.Overall, r.CustomerQuality.CustomerID)
	})
	if err != nil {
		return nil, err
	}
	out := &customerv1.ListCustomerQualitiesResponse{NextPageToken: next}
	for i := range rows {
		quality, err := qualityProto(&rows[i])
		if err != nil {
			return nil, err
		}
		out.CustomerQualities = append(out.CustomerQualities, quality)
	}
	return out, nil
}

// scoreCursor reads a page token whose cursor is a score and an id.
func (s *Server) scoreCursor(ctx context.Context, req proto.Message, token string) (int16, uuid.UUID, error) {
	cursor, err := s.pages.Open(ctx, req, token)
	if err != nil || cursor == "" {
		return -1, uuid.Nil, err
	}
	overall, id, _ := strings.Cut(cursor, " ")
	score, err := strconv.ParseInt(overall, 10, 16)
	if err != nil {
		return 0, uuid.Nil, fmt.Errorf("cursor of a page token: %w", err)
	}
	after, err := uuid.Parse(id)
	if err != nil {
		return 0, uuid.Nil, fmt.Errorf("cursor of a page token: %w", err)
	}
	return int16(score), after, nil
}

func qualityProto(row *db.ListQualitiesRow) (*customerv1.CustomerQuality, error) {
	q := &row.CustomerQuality
	out := new(customerv1.CustomerQuality)
	if err := proto.Unmarshal(q.Reasons, out); err != nil {
		return nil, fmt.Errorf("decode the reasons of customer %s: %w", q.CustomerID, err)
	}
	out.CustomerId, out.Number, out.ResponsibleStaffId = q.CustomerID.String(), row.Number, idString(q.ResponsibleStaffID)
	out.Completeness, out.Accuracy, out.Timeliness = int32(q.Completeness), int32(q.Accuracy), int32(q.Timeliness)
	out.Overall, out.Definition, out.ScoreTime = int32(q.Overall), int32(q.Definition), timestamppb.New(q.ScoreTime)
	return out, nil
}

// ListQualitySnapshots lists the means of all files month by month, newest first.
func (s *Server) ListQualitySnapshots(ctx context.Context, req *customerv1.ListQualitySnapshotsRequest) (*customerv1.ListQualitySnapshotsResponse, error) {
	before, err := s.pages.Open(ctx, req, req.GetPageToken())
	if err != nil {
		return nil, err
	}
	if before == "" {
		before = "9999-99"
	}
	size := page.Size(req.GetPageSize())
	rows, err := s.q.ListSnapshots(ctx, s.pool, before, size+1)
	if err != nil {
		return nil, fmt.Errorf("list snapshots: %w", err)
	}
	rows, next, err := cut(ctx, s, req, rows, size, func(r *db.QualitySnapshot) string { return r.Month })
	if err != nil {
		return nil, err
	}
	out := &customerv1.ListQualitySnapshotsResponse{NextPageToken: next}
	for i := range rows {
		row := &rows[i]
		out.QualitySnapshots = append(out.QualitySnapshots, &customerv1.QualitySnapshot{
			Id: row.Month, Files: row.Files, Completeness: row.Completeness, Accuracy: row.Accuracy, Timeliness: row.Timeliness,
			Overall: row.Overall, Definition: int32(row.Definition), CreateTime: timestamppb.New(row.CreateTime),
		})
	}
	return out, nil
}
