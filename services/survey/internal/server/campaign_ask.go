package server

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/internal/customerref"
	"github.com/kefu-suite/kefu/services/survey/internal/campaign"
	"github.com/kefu-suite/kefu/services/survey/internal/db"
	"github.com/kefu-suite/kefu/services/survey/internal/invitation"
)

const (
	// askStep bounds the customers that one transaction asks or reminds.
	askStep = 100
	// askers is how many of them the registry is asked about at once.
	askers = 8
	// messageLimit is when a message that was claimed is not waited for any more.
	messageLimit = 2 * time.Minute
)

// ofCampaigns names the requests of campaigns to the registry.
var ofCampaigns = uuid.MustParse("01900000-0000-7000-8000-00000000ca3a")

// judgement is what the registry says of a member.
type judgement struct {
	customer uuid.UUID
	channel  surveyv1.SurveyChannel
	held     customerv1.HeldBack
	dropped  bool
}

// askSome asks the next of those who are drawn, and notes when there is none any more. More is
// true while there may be others.
func (s *Server) askSome(ctx context.Context, r *running) (bool, error) {
	if r.wave.Phase != asking {
		return false, nil
	}
	for i, tier := range r.wave.Tiers {
		waiting, err := s.queries.ListWaiting(ctx, s.pool, db.ListWaitingParams{
			CampaignID: r.id, Wave: r.wave.Number, Tier: tier, Cutoff: r.wave.Cutoffs[i], Size: askStep,
		})
		if err != nil {
			return false, fmt.Errorf("list who waits: %w", err)
		}
		if len(waiting) == 0 {
			continue
		}
		judged, err := s.judgeAll(ctx, r, waiting)
		if err != nil {
			return false, err
		}
		return true, s.settleMembers(ctx, r, judged)
	}
	return true, s.inWave(ctx, r, func(tx pgx.Tx, wave db.CampaignWave) error {
		closing := s.moment().AddDate(0, 0, int(r.content.GetAnswerDays()))
		if err := s.queries.EndWave(ctx, tx, &closing, r.id, wave.Number); err != nil {
			return fmt.Errorf("end the asking: %w", err)
		}
		return nil
	})
}

// judgeAll asks the registry about some members.
func (s *Server) judgeAll(ctx context.Context, r *running, waiting []db.ListWaitingRow) ([]judgement, error) {
	ids := make([]uuid.UUID, len(waiting))
	for i, row := range waiting {
		ids[i] = row.CustomerID
	}
	refs, err := customerref.EnsureAll(ctx, s.pool, ids, s.registry)
	if err != nil {
		return nil, err
	}
	out, faults := make([]judgement, len(ids)), make([]error, len(ids))
	var all sync.WaitGroup
	free := make(chan struct{}, askers)
	for i, id := range ids {
		ref, known := refs[id]
		// The survivor of a merge is a member itself, or does not fit the segment.
		if !known || ref.ID != id || ref.Status != customerv1.CustomerStatus_CUSTOMER_STATUS_ACTIVE {
			out[i] = judgement{customer: id, dropped: true}
			continue
		}
		free <- struct{}{}
		all.Go(func() {
			defer func() { <-free }()
			out[i], faults[i] = s.judgeMember(ctx, r, id)
		})
	}
	all.Wait()
	for _, err := range faults {
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// judgeMember reserves the contact over the first channel by which the customer can be reached.
// Asked again, the registry answers the same.
func (s *Server) judgeMember(ctx context.Context, r *running, customer uuid.UUID) (judgement, error) {
	out := judgement{customer: customer}
	for _, channel := range r.content.GetChannels() {
		id := uuid.NewSHA1(ofCampaigns, fmt.Appendf(nil, "%s %d %s %d", r.id, r.wave.Number, customer, channel))
		answer, err := s.contacts.ReserveContact(ctx, &customerv1.ReserveContactRequest{
			CustomerId: customer.String(), Kind: kind, Purpose: surveys, Channel: reachedBy(channel), RequestId: id.String(),
		})
		switch code := status.Code(err); {
		case code == codes.NotFound || code == codes.InvalidArgument || code == codes.FailedPrecondition:
			s.log.WarnContext(ctx, "the registry does not judge a customer of a campaign; they are dropped", "campaign", r.id, "customer", customer, "reason", rpcerr.Reason(err))
			out.dropped = true
			return out, nil
		case err != nil:
			return out, fmt.Errorf("reserve a contact: %w", err)
		}
		out.channel, out.held = channel, answer.GetHeldBack()
		if out.held != customerv1.HeldBack_HELD_BACK_NO_CHANNEL {
			return out, nil
		}
	}
	return out, nil
}

// reachedBy is what the registry must know of a customer for a channel; unspecified where
// somebody hands the questions over.
func reachedBy(c surveyv1.SurveyChannel) typev1.Channel {
	switch c {
	case surveyv1.SurveyChannel_SURVEY_CHANNEL_EMAIL, surveyv1.SurveyChannel_SURVEY_CHANNEL_ONE_CLICK:
		return typev1.Channel_CHANNEL_EMAIL
	case surveyv1.SurveyChannel_SURVEY_CHANNEL_SMS:
		return typev1.Channel_CHANNEL_SMS
	case surveyv1.SurveyChannel_SURVEY_CHANNEL_TELEPHONE:
		return typev1.Channel_CHANNEL_PHONE
	}
	return typev1.Channel_CHANNEL_UNSPECIFIED
}

// settleMembers makes the invitations of those who may be asked, with their messages, and keeps
// why the others are not. Whoever another replica settled meanwhile is left as they are.
func (s *Server) settleMembers(ctx context.Context, r *running, judged []judgement) error {
	return write.Job(ctx, s.write, "ask-members", func(ctx context.Context, tx *write.Tx) error {
		going, err := s.hold(ctx, tx, r)
		if err != nil {
			return err
		}
		if !going {
			tx.Unchanged()
			return nil
		}
		asked, err := s.stillWaiting(ctx, tx, r, judged)
		if err != nil {
			return err
		}
		if len(asked) == 0 {
			tx.Unchanged()
			return nil
		}
		now := s.moment()
		invitations := db.InsertCampaignInvitationsParams{
			QuestionnaireID: r.wave.QuestionnaireID, QuestionnaireVersion: r.wave.QuestionnaireVersion, CampaignID: r.id,
			ExpireTime: now.AddDate(0, 0, int(r.content.GetAnswerDays())), CreateActor: authn.FromContext(ctx).Actor(), CreateTime: now,
		}
		messages := db.InsertMessagesParams{CampaignID: r.id, Wave: r.wave.Number, CreateTime: now}
		members := db.UpdateMembersAskedParams{CampaignID: r.id, Wave: r.wave.Number, RemindTime: s.remindTime(r, now, 0)}
		held := db.UpdateMembersHeldBackParams{CampaignID: r.id, Wave: r.wave.Number}
		var dropped []uuid.UUID
		for _, member := range asked {
			switch {
			case member.dropped:
				dropped = append(dropped, member.customer)
			case member.held != customerv1.HeldBack_HELD_BACK_UNSPECIFIED:
				held.CustomerIds, held.HeldBack = append(held.CustomerIds, member.customer), append(held.HeldBack, int16(member.held))
			default:
				id, err := newID()
				if err != nil {
					return err
				}
				invitations.Ids, invitations.CustomerIds = append(invitations.Ids, id), append(invitations.CustomerIds, member.customer)
				invitations.Languages, invitations.Channels = append(invitations.Languages, member.language), append(invitations.Channels, int16(member.channel))
				if campaign.Delivered(member.channel) {
					if err := addMessage(&messages, id, member.customer, member.channel); err != nil {
						return err
					}
				}
				members.Reminded = append(members.Reminded, campaign.Delivered(member.channel) && len(r.content.GetReminderDays()) > 0)
			}
		}
		members.CustomerIds, members.InvitationIds, members.Channels = invitations.CustomerIds, invitations.Ids, invitations.Channels
		if err := s.storeMembers(ctx, tx, invitations, messages, members, held, dropped); err != nil {
			return err
		}
		recordInvitations(tx, invitations)
		tx.Audit("campaign", r.id, struct{ Asked, HeldBack, Dropped int }{len(invitations.Ids), len(held.CustomerIds), len(dropped)})
		return nil
	})
}

// member is a judged customer whose row is locked.
type member struct {
	judgement
	language string
}

// stillWaiting locks those who wait, and holds back those who withdrew since the registry spoke.
func (s *Server) stillWaiting(ctx context.Context, tx *write.Tx, r *running, judged []judgement) ([]member, error) {
	ids, byID := make([]uuid.UUID, len(judged)), make(map[uuid.UUID]judgement, len(judged))
	for i, j := range judged {
		ids[i], byID[j.customer] = j.customer, j
	}
	rows, err := s.queries.LockWaiting(ctx, tx, r.id, r.wave.Number, ids)
	if err != nil {
		return nil, fmt.Errorf("lock members: %w", err)
	}
	consenting, err := s.queries.LockConsents(ctx, tx, ids)
	if err != nil {
		return nil, fmt.Errorf("read consents: %w", err)
	}
	consents := make(map[uuid.UUID]bool, len(consenting))
	for _, id := range consenting {
		consents[id] = true
	}
	out := make([]member, 0, len(rows))
	for _, row := range rows {
		m := member{byID[row.CustomerID], row.Language}
		if !m.dropped && m.held == customerv1.HeldBack_HELD_BACK_UNSPECIFIED && !consents[m.customer] {
			m.held = customerv1.HeldBack_HELD_BACK_WITHDRAWN
		}
		out = append(out, m)
	}
	return out, nil
}

func (s *Server) storeMembers(ctx context.Context, tx *write.Tx, invitations db.InsertCampaignInvitationsParams, messages db.InsertMessagesParams,
	members db.UpdateMembersAskedParams, held db.UpdateMembersHeldBackParams, dropped []uuid.UUID) error {
	if err := s.queries.InsertCampaignInvitations(ctx, tx, invitations); err != nil {
		return fmt.Errorf("insert invitations: %w", err)
	}
	if err := s.queries.InsertMessages(ctx, tx, messages); err != nil {
		return fmt.Errorf("insert messages: %w", err)
	}
	if err := s.queries.UpdateMembersAsked(ctx, tx, members); err != nil {
		return fmt.Errorf("update who is asked: %w", err)
	}
	if err := s.queries.UpdateMembersHeldBack(ctx, tx, held); err != nil {
		return fmt.Errorf("update who is held back: %w", err)
	}
	if err := s.queries.UpdateMembersDropped(ctx, tx, members.CampaignID, members.Wave, dropped); err != nil {
		return fmt.Errorf("update who is dropped: %w", err)
	}
	return nil
}

// recordInvitations says that invitations were made.
func recordInvitations(tx *write.Tx, p db.InsertCampaignInvitationsParams) {
	for i, id := range p.Ids {
		recordInvitation(tx, "invitation.created.v1", db.Invitation{
			ID: id, QuestionnaireID: p.QuestionnaireID, QuestionnaireVersion: p.QuestionnaireVersion, CustomerID: p.CustomerIds[i],
			State: int16(invitation.Pending), ExpireTime: p.ExpireTime, Version: 1,
		}, "")
	}
}

func addMessage(to *db.InsertMessagesParams, invitation, customer uuid.UUID, channel surveyv1.SurveyChannel) error {
	id, err := newID()
	if err != nil {
		return err
	}
	to.Ids, to.InvitationIds = append(to.Ids, id), append(to.InvitationIds, invitation)
	to.CustomerIds, to.Channels = append(to.CustomerIds, customer), append(to.Channels, int16(channel))
	return nil
}

// remindTime is when the reminder after so many is due, of an invitation of that time; the zero
// time for none.
func (s *Server) remindTime(r *running, invited time.Time, made int) time.Time {
	if days := r.content.GetReminderDays(); made < len(days) {
		return invited.AddDate(0, 0, int(days[made]))
	}
	return time.Time{}
}

// remindSome makes the reminders that are due now. More is true while there may be others.
func (s *Server) remindSome(ctx context.Context, r *running) (more bool, err error) {
	err = write.Job(ctx, s.write, "remind-members", func(ctx context.Context, tx *write.Tx) error {
		more = false
		going, err := s.hold(ctx, tx, r)
		if err != nil {
			return err
		}
		now := s.moment()
		var rows []db.LockRemindersRow
		if going {
			if rows, err = s.queries.LockReminders(ctx, tx, db.LockRemindersParams{CampaignID: r.id, Wave: r.wave.Number, Now: &now, Size: askStep}); err != nil {
				return fmt.Errorf("read reminders that are due: %w", err)
			}
		}
		if len(rows) == 0 {
			tx.Unchanged()
			return nil
		}
		more = len(rows) == askStep
		messages := db.InsertMessagesParams{CampaignID: r.id, Wave: r.wave.Number, CreateTime: now, Reminder: true}
		for _, row := range rows {
			update := db.UpdateMemberRemindedParams{CampaignID: r.id, Wave: r.wave.Number, CustomerID: row.CustomerID, Reminders: row.Reminders}
			if invitation.At(invitation.State(row.State), row.ExpireTime, now) == invitation.Pending {
				if err := addMessage(&messages, row.InvitationID, row.CustomerID, surveyv1.SurveyChannel(*row.Channel)); err != nil {
					return err
				}
				update.Reminders++
				if at := s.remindTime(r, row.CreateTime, int(update.Reminders)); !at.IsZero() {
					update.RemindTime = &at
				}
			}
			if err := s.queries.UpdateMemberReminded(ctx, tx, update); err != nil {
				return fmt.Errorf("update member: %w", err)
			}
		}
		if err := s.queries.InsertMessages(ctx, tx, messages); err != nil {
			return fmt.Errorf("insert reminders: %w", err)
		}
		tx.Audit("campaign", r.id, struct{ Reminded int }{len(messages.Ids)})
		return nil
	})
	return more, err
}

// sendSome gives the driver the messages that are due, each at most once: what was claimed when
// the process ended stays unconfirmed. More is true while there may be others.
func (s *Server) sendSome(ctx context.Context, r *running) (bool, error) {
	var claimed []db.SurveyMessage
	var pending []uuid.UUID
	now := s.moment()
	err := pg.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		claimed, pending = nil, nil
		going, err := s.hold(ctx, tx, r)
		if err != nil || !going {
			return err
		}
		claimed, err = s.queries.ClaimMessages(ctx, tx, db.ClaimMessagesParams{CampaignID: r.id, Driver: s.sender.Name(), Now: now, Size: askStep})
		if err != nil {
			return fmt.Errorf("claim messages: %w", err)
		}
		ids := make([]uuid.UUID, len(claimed))
		for i, row := range claimed {
			ids[i] = row.InvitationID
		}
		if pending, err = s.queries.ListPendingIDs(ctx, tx, ids, now); err != nil {
			return fmt.Errorf("read invitations: %w", err)
		}
		return nil
	})
	if err != nil || len(claimed) == 0 {
		return false, err
	}
	left, dropped := s.give(ctx, claimed, pending)
	for state, ids := range map[int16][]uuid.UUID{messageLeft: left, messageDropped: dropped} {
		if err := s.queries.SettleMessages(ctx, s.pool, state, ids); err != nil {
			return false, fmt.Errorf("settle messages: %w", err)
		}
	}
	return len(claimed) == askStep, nil
}

const (
	messageDue         = 1
	messageClaimed     = 2
	messageLeft        = 3
	messageUnconfirmed = 4
	messageDropped     = 5
)

// give hands messages to the driver, but for those whose invitation has ended.
func (s *Server) give(ctx context.Context, claimed []db.SurveyMessage, pending []uuid.UUID) (left, dropped []uuid.UUID) {
	still := make(map[uuid.UUID]bool, len(pending))
	for _, id := range pending {
		still[id] = true
	}
	for _, row := range claimed {
		if !still[row.InvitationID] {
			dropped = append(dropped, row.ID)
			continue
		}
		err := s.sender.Send(ctx, Message{
			ID: row.ID, InvitationID: row.InvitationID, CustomerID: row.CustomerID, Channel: surveyv1.SurveyChannel(row.Channel), Reminder: row.Reminder,
		})
		if err != nil {
			s.log.WarnContext(ctx, "the driver refused a message", "message", row.ID, "driver", s.sender.Name(), "error", err)
			dropped = append(dropped, row.ID)
			continue
		}
		left = append(left, row.ID)
	}
	return left, dropped
}
