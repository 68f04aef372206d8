package server

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/page"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/survey/internal/analysis"
	"github.com/kefu-suite/kefu/services/survey/internal/db"
	"github.com/kefu-suite/kefu/services/survey/internal/invitation"
)

// The states of a member's row; who was not drawn is a row that nobody asked.
const (
	memberWaiting  = 1
	memberAsked    = 2
	memberHeldBack = 3
	memberDropped  = 4
)

// wave reads a campaign and one of its waves, the newest for 0.
func (s *Server) wave(ctx context.Context, from pg.DBTX, campaignID string, number int32) (*surveyv1.Campaign, db.CampaignWave, error) {
	var none db.CampaignWave
	id, err := parse("id", campaignID)
	if err != nil {
		return nil, none, err
	}
	row, err := s.queries.GetCampaign(ctx, from, id)
	if row, err = foundCampaign(row, err, id); err != nil {
		return nil, none, err
	}
	c, err := campaignOf(row)
	if err != nil {
		return nil, none, err
	}
	if number == 0 {
		number = row.Wave
	}
	wave, err := s.queries.GetWave(ctx, from, id, number)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, none, rpcerr.New(codes.NotFound, "CAMPAIGN_NOT_FOUND", rpcerr.T(
			"The campaign %[1]s has no wave %[2]d; its newest one is %[3]d, and 0 is none yet.",
			"调查活动 %[1]s 没有第 %[2]d 轮；最新一轮为 %[3]d，0 表示尚未开始。", id, number, row.Wave)).With("id", id.String())
	}
	if err != nil {
		return nil, none, fmt.Errorf("read wave: %w", err)
	}
	return c, wave, nil
}

// GetCampaignProgress counts how far a wave has come.
func (s *Server) GetCampaignProgress(ctx context.Context, req *surveyv1.GetCampaignProgressRequest) (*surveyv1.CampaignProgress, error) {
	var out *surveyv1.CampaignProgress
	// One snapshot: the numbers fit each other.
	err := pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if err := s.queries.AllowLong(ctx, tx, analysisLimit); err != nil {
			return fmt.Errorf("allow long statements: %w", err)
		}
		c, wave, err := s.wave(ctx, tx, req.GetId(), req.GetWave())
		if err != nil {
			return err
		}
		rows, err := s.queries.CountMembers(ctx, tx, db.CountMembersParams{CampaignID: wave.CampaignID, Wave: wave.Number, Tiers: wave.Tiers, Cutoffs: wave.Cutoffs})
		if err != nil {
			return fmt.Errorf("count members: %w", err)
		}
		messages, err := s.queries.CountMessages(ctx, tx, wave.CampaignID, wave.Number)
		if err != nil {
			return fmt.Errorf("count messages: %w", err)
		}
		out = &surveyv1.CampaignProgress{
			CampaignId: c.GetId(), Wave: wave.Number, State: c.GetState(), Listing: wave.Phase == reading, Driver: s.sender.Name(),
			QuestionnaireVersion: wave.QuestionnaireVersion, StartTime: timestamppb.New(wave.StartTime), CloseTime: instant(wave.CloseTime),
			Messages: messageCounts(messages),
		}
		addMembers(out, rows)
		return nil
	})
	return out, err
}

func messageCounts(rows []db.CountMessagesRow) *surveyv1.MessageCounts {
	out := new(surveyv1.MessageCounts)
	for _, row := range rows {
		switch row.State {
		case messageDue, messageClaimed:
			out.Due += row.N
		case messageLeft:
			out.Left += row.N
		case messageUnconfirmed:
			out.Unconfirmed += row.N
		case messageDropped:
			out.Dropped += row.N
		}
	}
	return out
}

// addMembers adds the counts of all tiers, of each, and of the reasons to hold back.
func addMembers(out *surveyv1.CampaignProgress, rows []db.CountMembersRow) {
	out.Counts = new(surveyv1.CampaignCounts)
	byTier, held := map[int16]*surveyv1.CampaignCounts{}, map[int16]int64{}
	for _, row := range rows {
		if byTier[row.Tier] == nil {
			byTier[row.Tier] = new(surveyv1.CampaignCounts)
		}
		addCounts(byTier[row.Tier], row)
		addCounts(out.Counts, row)
		if row.State == memberHeldBack {
			held[row.HeldBack] += row.N
		}
	}
	for _, tier := range slices.Sorted(maps.Keys(byTier)) {
		counts := byTier[tier]
		out.Tiers = append(out.Tiers, &surveyv1.TierProgress{
			Tier: typev1.Tier(tier), Counts: counts, AudienceShare: analysis.Part(counts.GetAudience(), out.GetCounts().GetAudience()),
			AnsweredShare: analysis.Part(counts.GetAnswered(), out.GetCounts().GetAnswered()),
		})
	}
	for _, reason := range slices.Sorted(maps.Keys(held)) {
		out.HeldBack = append(out.HeldBack, &surveyv1.HeldBackCount{Reason: customerv1.HeldBack(reason), Count: held[reason]})
	}
}

func addCounts(to *surveyv1.CampaignCounts, row db.CountMembersRow) {
	to.Audience += row.N
	to.Reminders += row.Reminders
	if row.Drawn {
		to.Sampled += row.N
	}
	switch row.State {
	case memberWaiting:
		if row.Drawn {
			to.Waiting += row.N
		}
	case memberAsked:
		to.Asked += row.N
		switch invitation.State(row.InvitationState) {
		case invitation.Answered:
			to.Answered += row.N
		case invitation.Expired, invitation.Revoked:
			to.Unanswered += row.N
		}
	case memberHeldBack:
		to.HeldBack += row.N
	case memberDropped:
		to.Dropped += row.N
	}
}

// drawn tells whether a member is in the sample of a wave.
func drawn(wave db.CampaignWave, tier int16, rank int64) bool {
	i := slices.Index(wave.Tiers, tier)
	return i >= 0 && rank <= wave.Cutoffs[i]
}

func memberState(wave db.CampaignWave, row db.ListMembersAfterRow) surveyv1.MemberState {
	switch {
	case row.State == memberAsked:
		return surveyv1.MemberState_MEMBER_STATE_ASKED
	case row.State == memberHeldBack:
		return surveyv1.MemberState_MEMBER_STATE_HELD_BACK
	case row.State == memberDropped:
		return surveyv1.MemberState_MEMBER_STATE_DROPPED
	case wave.Phase == reading || drawn(wave, row.Tier, row.Rank):
		return surveyv1.MemberState_MEMBER_STATE_WAITING
	}
	return surveyv1.MemberState_MEMBER_STATE_NOT_SAMPLED
}

func heldBackOf(row db.ListMembersAfterRow) customerv1.HeldBack {
	if row.HeldBack == nil {
		return customerv1.HeldBack_HELD_BACK_UNSPECIFIED
	}
	return customerv1.HeldBack(*row.HeldBack)
}

// after opens the page token of a list in rising order: the id that all of the page are above.
func (s *Server) after(ctx context.Context, req paged) (uuid.UUID, error) {
	cursor, err := s.pages.Open(ctx, req, req.GetPageToken())
	if err != nil || cursor == "" {
		return uuid.Nil, err
	}
	return uuid.Parse(cursor)
}

// ListCampaignMembers gives the audience of a wave.
func (s *Server) ListCampaignMembers(ctx context.Context, req *surveyv1.ListCampaignMembersRequest) (*surveyv1.ListCampaignMembersResponse, error) {
	_, wave, err := s.wave(ctx, s.pool, req.GetId(), req.GetWave())
	if err != nil {
		return nil, err
	}
	after, err := s.after(ctx, req)
	if err != nil {
		return nil, err
	}
	size := page.Size(req.GetPageSize())
	rows, err := s.queries.ListMembersAfter(ctx, s.pool, db.ListMembersAfterParams{CampaignID: wave.CampaignID, Wave: wave.Number, After: after, Size: size + 1})
	if err != nil {
		return nil, fmt.Errorf("list members: %w", err)
	}
	out := new(surveyv1.ListCampaignMembersResponse)
	rows, out.NextPageToken, err = cut(ctx, s.pages, req, rows, size, func(r db.ListMembersAfterRow) uuid.UUID { return r.CustomerID })
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		member := &surveyv1.CampaignMember{
			CustomerId: row.CustomerID.String(), Tier: typev1.Tier(row.Tier), State: memberState(wave, row), InvitationId: text(row.InvitationID), HeldBack: heldBackOf(row),
		}
		if row.Channel != nil {
			member.Channel = surveyv1.SurveyChannel(*row.Channel)
		}
		out.Members = append(out.Members, member)
	}
	return out, nil
}

const (
	// uncoveredStep and uncoveredSteps bound the customers that one page looks at.
	uncoveredStep  = 500
	uncoveredSteps = 10
)

// ListUncovered gives the customers of a wave's audience below the coverage floor.
func (s *Server) ListUncovered(ctx context.Context, req *surveyv1.ListUncoveredRequest) (*surveyv1.ListUncoveredResponse, error) {
	c, wave, err := s.wave(ctx, s.pool, req.GetId(), req.GetWave())
	if err != nil {
		return nil, err
	}
	after, err := s.after(ctx, req)
	if err != nil {
		return nil, err
	}
	out, size, now := new(surveyv1.ListUncoveredResponse), int(page.Size(req.GetPageSize())), s.now()
	for range uncoveredSteps {
		rows, err := s.queries.ListMembersAfter(ctx, s.pool, db.ListMembersAfterParams{CampaignID: wave.CampaignID, Wave: wave.Number, After: after, Size: uncoveredStep})
		if err != nil {
			return nil, fmt.Errorf("list members: %w", err)
		}
		last, err := s.lastAsked(ctx, rows)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			at, asked := last[row.CustomerID]
			if asked && at.After(now.AddDate(0, -floor(c, typev1.Tier(row.Tier)), 0)) {
				continue
			}
			if len(out.Customers) == size {
				out.NextPageToken, err = s.pages.Seal(ctx, req, after.String())
				return out, err
			}
			customer := &surveyv1.UncoveredCustomer{CustomerId: row.CustomerID.String(), Tier: typev1.Tier(row.Tier), State: memberState(wave, row), HeldBack: heldBackOf(row)}
			if asked {
				customer.LastAskTime = timestamppb.New(at)
			}
			out.Customers, after = append(out.Customers, customer), row.CustomerID
		}
		if len(rows) < uncoveredStep {
			return out, nil
		}
		after = rows[len(rows)-1].CustomerID
	}
	out.NextPageToken, err = s.pages.Seal(ctx, req, after.String())
	return out, err
}

// floor is how many months a customer of the tier may go without being asked.
func floor(c *surveyv1.Campaign, tier typev1.Tier) int {
	if tier == typev1.Tier_TIER_KEY {
		return int(c.GetKeyFloorMonths())
	}
	return int(c.GetFloorMonths())
}

func (s *Server) lastAsked(ctx context.Context, rows []db.ListMembersAfterRow) (map[uuid.UUID]time.Time, error) {
	ids := make([]uuid.UUID, len(rows))
	for i, row := range rows {
		ids[i] = row.CustomerID
	}
	asked, err := s.queries.ListLastAsked(ctx, s.pool, ids)
	if err != nil {
		return nil, fmt.Errorf("read when they were asked: %w", err)
	}
	out := make(map[uuid.UUID]time.Time, len(asked))
	for _, row := range asked {
		out[row.CustomerID] = row.AskTime
	}
	return out, nil
}
