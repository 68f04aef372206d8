package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/survey/internal/campaign"
	"github.com/kefu-suite/kefu/services/survey/internal/db"
	"github.com/kefu-suite/kefu/services/survey/internal/invitation"
)

// Audience is what campaigns need of the registry's segments.
type Audience interface {
	StreamSegmentMembers(ctx context.Context, in *customerv1.StreamSegmentMembersRequest, opts ...grpc.CallOption) (grpc.ServerStreamingClient[customerv1.StreamSegmentMembersResponse], error)
}

const (
	campaignEvery = time.Second
	// revokeStep bounds the invitations that one transaction revokes after a stop.
	revokeStep = 200

	reading = 1
	asking  = 2
)

// stoppedReason stands in the invitations that end with their campaign.
const stoppedReason = "campaign stopped"

// RunCampaigns advances campaigns until ctx ends. Any number of replicas may run it: each step is
// taken under the campaign's lock, and what a step asks of the registry has the same id whoever
// asks.
func (s *Server) RunCampaigns(ctx context.Context) error {
	return s.repeat(ctx, campaignEvery, "advancing campaigns failed", s.AdvanceCampaigns)
}

// AdvanceCampaigns does all that campaigns have to do now, a step of each in turn, so that a
// large one does not keep the others waiting.
func (s *Server) AdvanceCampaigns(ctx context.Context) error {
	now := s.moment()
	due, err := s.queries.ListDueCampaigns(ctx, s.pool, &now)
	if err != nil {
		return fmt.Errorf("list campaigns that are due: %w", err)
	}
	var failed []error
	for _, id := range due {
		failed = append(failed, s.beginWave(ctx, id))
	}
	long := now.Add(-messageLimit)
	if err := s.queries.GiveUpMessages(ctx, s.pool, &long); err != nil {
		failed = append(failed, fmt.Errorf("give up messages: %w", err))
	}
	open, err := s.queries.ListOpenCampaigns(ctx, s.pool)
	if err != nil {
		return fmt.Errorf("list running campaigns: %w", err)
	}
	for len(open) > 0 && ctx.Err() == nil {
		var busy []uuid.UUID
		for _, id := range open {
			more, err := s.advance(ctx, id)
			if err != nil {
				failed = append(failed, fmt.Errorf("campaign %s: %w", id, err))
			} else if more {
				busy = append(busy, id)
			}
		}
		open = busy
	}
	return errors.Join(failed...)
}

// beginWave starts the wave of a campaign that is due.
func (s *Server) beginWave(ctx context.Context, id uuid.UUID) error {
	return write.Job(ctx, s.write, "begin-wave", func(ctx context.Context, tx *write.Tx) error {
		row, err := s.queries.LockCampaign(ctx, tx, id)
		if err != nil {
			return fmt.Errorf("lock campaign: %w", err)
		}
		now := s.moment()
		next, possible := campaign.Next(campaign.State(row.State), campaign.Begin, row.Open, false)
		if !possible || row.NextTime == nil || row.NextTime.After(now) {
			tx.Unchanged() // another replica was faster, or it was paused
			return nil
		}
		c, err := campaignOf(row)
		if err != nil {
			return err
		}
		questionnaireID, err := uuid.Parse(c.GetQuestionnaireId())
		if err != nil {
			return fmt.Errorf("questionnaire of campaign %s: %w", id, err)
		}
		version, err := s.lastVersion(ctx, tx, questionnaireID)
		if err != nil {
			return err
		}
		row.State, row.Wave, row.Open, row.NextTime = int16(next), row.Wave+1, true, nil
		err = s.queries.InsertWave(ctx, tx, db.InsertWaveParams{
			CampaignID: id, Number: row.Wave, QuestionnaireID: questionnaireID, QuestionnaireVersion: version.GetVersion(), StartTime: now,
		})
		if err != nil {
			return fmt.Errorf("insert wave: %w", err)
		}
		_, err = s.storeCampaign(ctx, tx, row, "")
		return err
	})
}

// running is a campaign and its newest wave as they were when a step began.
type running struct {
	id      uuid.UUID
	content *surveyv1.Campaign
	wave    db.CampaignWave
}

// advance takes one step and tells whether there may be another one at once.
func (s *Server) advance(ctx context.Context, id uuid.UUID) (bool, error) {
	row, err := s.queries.GetCampaign(ctx, s.pool, id)
	if err != nil {
		return false, fmt.Errorf("read campaign: %w", err)
	}
	state := campaign.State(row.State)
	if !row.Open || state != campaign.Sending && state != campaign.Stopped {
		return false, nil
	}
	r := &running{id: id}
	if r.content, err = campaignOf(row); err != nil {
		return false, err
	}
	if r.wave, err = s.queries.GetWave(ctx, s.pool, id, row.Wave); err != nil {
		return false, fmt.Errorf("read wave: %w", err)
	}
	switch {
	case state == campaign.Stopped:
		return s.revokeSome(ctx, r)
	case r.wave.Phase == reading:
		return true, s.readAudience(ctx, r)
	}
	more := false
	for _, step := range []func(context.Context, *running) (bool, error){s.askSome, s.remindSome, s.sendSome, s.closeWave} {
		again, err := step(ctx, r)
		if err != nil {
			return false, err
		}
		more = more || again
	}
	return more, nil
}

// hold keeps the campaign sending this wave until the transaction ends; false where it does not
// any more.
func (s *Server) hold(ctx context.Context, tx db.DBTX, r *running) (bool, error) {
	row, err := s.queries.HoldCampaign(ctx, tx, r.id)
	if err != nil {
		return false, fmt.Errorf("hold campaign: %w", err)
	}
	return campaign.State(row.State) == campaign.Sending && row.Open && row.Wave == r.wave.Number, nil
}

// readAudience reads the members that the wave does not have yet, a message at a time, and draws
// the sample when it has them all.
func (s *Server) readAudience(ctx context.Context, r *running) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req := &customerv1.StreamSegmentMembersRequest{Id: r.content.GetSegmentId(), AfterCustomerId: text(r.wave.AfterID)}
	stream, err := s.audience.StreamSegmentMembers(ctx, req)
	if err != nil {
		return fmt.Errorf("read the audience: %w", err)
	}
	for {
		part, err := stream.Recv()
		switch {
		case ended(err):
			return s.draw(ctx, r)
		case status.Code(err) == codes.NotFound:
			return s.pauseWithout(ctx, r)
		case err != nil:
			return fmt.Errorf("read the audience: %w", err)
		}
		if going, err := s.addMembers(ctx, r, part.GetMembers()); err != nil || !going {
			return err
		}
	}
}

func ended(err error) bool { return errors.Is(err, io.EOF) }

// pauseWithout holds a campaign whose segment is gone.
func (s *Server) pauseWithout(ctx context.Context, r *running) error {
	return write.Job(ctx, s.write, "pause-campaign", func(ctx context.Context, tx *write.Tx) error {
		row, err := s.queries.LockCampaign(ctx, tx, r.id)
		if err != nil {
			return fmt.Errorf("lock campaign: %w", err)
		}
		next, possible := campaign.Next(campaign.State(row.State), campaign.Pause, row.Open, false)
		if !possible {
			tx.Unchanged()
			return nil
		}
		row.State = int16(next)
		_, err = s.storeCampaign(ctx, tx, row, "the segment "+r.content.GetSegmentId()+" is gone")
		return err
	})
}

// inWave runs fn while the campaign sends this wave, whose row is locked. What fn writes is
// derived from what is recorded already and leaves no event and no audit record.
func (s *Server) inWave(ctx context.Context, r *running, fn func(tx pgx.Tx, wave db.CampaignWave) error) error {
	return pg.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		going, err := s.hold(ctx, tx, r)
		if err != nil || !going {
			return err
		}
		wave, err := s.queries.LockWave(ctx, tx, r.id, r.wave.Number)
		if err != nil {
			return fmt.Errorf("lock wave: %w", err)
		}
		if wave.Phase != r.wave.Phase {
			return nil // another replica was faster
		}
		return fn(tx, wave)
	})
}

// addMembers keeps a run of members; false where the wave is not read any more.
func (s *Server) addMembers(ctx context.Context, r *running, members []*customerv1.SegmentMember) (going bool, err error) {
	if len(members) == 0 {
		return true, nil
	}
	p := db.InsertMembersParams{CampaignID: r.id, Wave: r.wave.Number}
	var last uuid.UUID
	for _, member := range members {
		if last, err = uuid.Parse(member.GetCustomerId()); err != nil {
			return false, fmt.Errorf("customer of a segment: %w", err)
		}
		p.CustomerIds, p.Tiers = append(p.CustomerIds, last), append(p.Tiers, int16(member.GetTier()))
		p.Languages = append(p.Languages, spoken(member.GetLanguage()))
		p.Ranks = append(p.Ranks, campaign.Rank(r.content.GetSampling().GetSeed(), r.wave.Number, last))
	}
	err = s.inWave(ctx, r, func(tx pgx.Tx, wave db.CampaignWave) error {
		going = true
		if err := s.queries.InsertMembers(ctx, tx, p); err != nil {
			return fmt.Errorf("insert members: %w", err)
		}
		if wave.AfterID != nil && bytes.Compare(wave.AfterID[:], last[:]) >= 0 {
			return nil
		}
		if err := s.queries.AdvanceWave(ctx, tx, &last, r.id, wave.Number); err != nil {
			return fmt.Errorf("advance wave: %w", err)
		}
		return nil
	})
	return going, err
}

// draw decides who is asked, of an audience that is whole.
func (s *Server) draw(ctx context.Context, r *running) error {
	return s.inWave(ctx, r, func(tx pgx.Tx, wave db.CampaignWave) error {
		if err := s.queries.AllowLong(ctx, tx, analysisLimit); err != nil {
			return fmt.Errorf("allow long statements: %w", err)
		}
		rows, err := s.queries.CountAudience(ctx, tx, r.id, wave.Number)
		if err != nil {
			return fmt.Errorf("count audience: %w", err)
		}
		p := db.DrawWaveParams{CampaignID: r.id, Number: wave.Number, Tiers: []int16{}, Cutoffs: []int64{}}
		audience, all := map[int16]int64{}, int64(0)
		for _, row := range rows {
			audience[row.Tier] = row.N
			all += row.N
		}
		simple := r.content.GetSampling().GetSimple()
		var stratified map[int16]int64
		if sample := r.content.GetSampling().GetStratified(); sample != nil {
			stratified = campaign.Sizes(sample, audience)
		}
		for _, row := range rows {
			cutoff := int64(math.MaxInt64)
			switch n := stratified[row.Tier]; {
			case stratified != nil && n == 0:
				continue
			case stratified != nil && n < row.N:
				cutoff, err = s.queries.GetCutoff(ctx, tx, db.GetCutoffParams{CampaignID: r.id, Wave: wave.Number, Tier: row.Tier, Place: int32(n - 1)})
			case simple > 0 && int64(simple) < all:
				cutoff, err = s.queries.GetSimpleCutoff(ctx, tx, r.id, wave.Number, simple-1)
			}
			if err != nil {
				return fmt.Errorf("draw sample: %w", err)
			}
			p.Tiers, p.Cutoffs = append(p.Tiers, row.Tier), append(p.Cutoffs, cutoff)
		}
		if err := s.queries.DrawWave(ctx, tx, p); err != nil {
			return fmt.Errorf("keep the draw: %w", err)
		}
		return nil
	})
}

// closeWave ends a wave whose last invitation can no longer be answered.
func (s *Server) closeWave(ctx context.Context, r *running) (bool, error) {
	if r.wave.CloseTime == nil || s.moment().Before(*r.wave.CloseTime) {
		return false, nil
	}
	return false, write.Job(ctx, s.write, "close-wave", func(ctx context.Context, tx *write.Tx) error {
		row, err := s.queries.LockCampaign(ctx, tx, r.id)
		if err != nil {
			return fmt.Errorf("lock campaign: %w", err)
		}
		once := campaign.Months(r.content) == 0
		next, possible := campaign.Next(campaign.State(row.State), campaign.Close, row.Open, once)
		if !possible || !row.Open || row.Wave != r.wave.Number {
			tx.Unchanged()
			return nil
		}
		row.State, row.Open = int16(next), false
		if !once {
			at := campaign.After(r.content, row.Wave, s.moment())
			row.NextTime = &at
		}
		_, err = s.storeCampaign(ctx, tx, row, "")
		return err
	})
}

// revokeSome revokes what is pending of a stopped campaign, some members further.
func (s *Server) revokeSome(ctx context.Context, r *running) (more bool, err error) {
	err = write.Job(ctx, s.write, "stop-campaign", func(ctx context.Context, tx *write.Tx) error {
		row, err := s.queries.LockCampaign(ctx, tx, r.id)
		if err != nil {
			return fmt.Errorf("lock campaign: %w", err)
		}
		wave, err := s.queries.LockWave(ctx, tx, r.id, r.wave.Number)
		if err != nil {
			return fmt.Errorf("lock wave: %w", err)
		}
		if !row.Open {
			tx.Unchanged()
			return nil
		}
		members, err := s.queries.ListMembersAfter(ctx, tx, db.ListMembersAfterParams{
			CampaignID: r.id, Wave: wave.Number, After: uuidOf(wave.AfterID), Size: revokeStep,
		})
		if err != nil {
			return fmt.Errorf("list members: %w", err)
		}
		var ids []uuid.UUID
		for _, member := range members {
			if invitation.State(member.InvitationState) == invitation.Pending {
				ids = append(ids, *member.InvitationID)
			}
		}
		if err := s.revokeThese(ctx, tx, ids); err != nil {
			return err
		}
		if more = len(members) == revokeStep; !more {
			row.Open = false
			_, err = s.storeCampaign(ctx, tx, row, "")
			return err
		}
		tx.Audit("campaign", r.id, struct{ Revoked int }{len(ids)})
		return s.queries.AdvanceWave(ctx, tx, &members[len(members)-1].CustomerID, r.id, wave.Number)
	})
	return more, err
}

func (s *Server) revokeThese(ctx context.Context, tx *write.Tx, ids []uuid.UUID) error {
	rows, err := s.queries.LockPendingOfCampaign(ctx, tx, ids)
	if err != nil {
		return fmt.Errorf("lock pending invitations: %w", err)
	}
	for _, row := range rows {
		if row, err = s.end(ctx, tx, row, invitation.Revoked, stoppedReason, nil); err != nil {
			return err
		}
		recordInvitation(tx, "invitation.revoked.v1", row, stoppedReason)
	}
	return nil
}
