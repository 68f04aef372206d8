package server_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/internal/customerref"
)

func TestACampaignAsksRemindsAndEnds(t *testing.T) {
	k := newKit(t)
	ids := append(k.customers(4, typev1.Tier_TIER_KEY), k.customers(8, typev1.Tier_TIER_C)...)
	noMail, budget := ids[0], ids[5]
	k.registry.set(func(r *registry) {
		r.held[noMail], r.held[budget] = customerv1.HeldBack_HELD_BACK_NO_CHANNEL, customerv1.HeldBack_HELD_BACK_BUDGET_USED
	})
	c := k.campaign(func(c *surveyv1.Campaign) { c.ReminderDays = []int32{7, 14} })
	if c.GetState() != surveyv1.CampaignState_CAMPAIGN_STATE_DRAFT || c.GetAnswerDays() != 30 || c.GetFloorMonths() != 12 {
		t.Errorf("draft %v", c)
	}
	k.schedule(c.GetId())
	p := k.run(c.GetId())
	if got := short(p.GetCounts()); got != "audience 12, sampled 12, waiting 0, asked 10, held back 2, dropped 0, answered 0, unanswered 0, reminders 0" {
		t.Error(got)
	}
	if p.GetDriver() != "outbox" || p.GetMessages().GetLeft() != 10 || len(k.sender.sent) != 10 || p.GetListing() || len(p.GetHeldBack()) != 2 {
		t.Errorf("progress %v, sent %d", p, len(k.sender.sent))
	}
	members := k.members(c.GetId())
	if len(members) != 12 || members[0].GetCustomerId() != ids[0] || members[11].GetCustomerId() != ids[11] {
		t.Fatalf("members %v", members)
	}
	var answered int
	for _, m := range members {
		switch {
		case m.GetCustomerId() == noMail && m.GetHeldBack() == customerv1.HeldBack_HELD_BACK_NO_CHANNEL, m.GetCustomerId() == budget && m.GetHeldBack() == customerv1.HeldBack_HELD_BACK_BUDGET_USED:
		case m.GetState() != surveyv1.MemberState_MEMBER_STATE_ASKED || m.GetChannel() != surveyv1.SurveyChannel_SURVEY_CHANNEL_EMAIL:
			t.Errorf("member %v", m)
		case answered < 3:
			k.answer(m.GetInvitationId(), 4)
			answered++
		}
	}
	k.run(c.GetId())
	k.Clock.Advance(7 * day)
	if p = k.run(c.GetId()); p.GetCounts().GetReminders() != 7 || len(k.sender.sent) != 17 || !k.sender.sent[16].Reminder {
		t.Errorf("after a week %s, sent %d", short(p.GetCounts()), len(k.sender.sent))
	}
	k.Clock.Advance(7 * day)
	k.run(c.GetId())
	k.Clock.Advance(17 * day)
	if err := k.server.ExpireInvitations(t.Context()); err != nil {
		t.Fatal(err)
	}
	p = k.run(c.GetId())
	if got := short(p.GetCounts()); got != "audience 12, sampled 12, waiting 0, asked 10, held back 2, dropped 0, answered 3, unanswered 7, reminders 14" {
		t.Error(got)
	}
	after, err := k.campaigns().GetCampaign(k.crm(), &surveyv1.GetCampaignRequest{Id: c.GetId()})
	if err != nil || after.GetState() != surveyv1.CampaignState_CAMPAIGN_STATE_SCHEDULED ||
		!after.GetNextTime().AsTime().Equal(c.GetStartTime().AsTime().AddDate(0, 6, 0)) {
		t.Errorf("after the wave %v, %v", after, err)
	}
	// The next wave asks anew.
	k.Clock.Set(after.GetNextTime().AsTime())
	if p = k.run(c.GetId()); p.GetWave() != 2 || p.GetCounts().GetAsked() != 10 {
		t.Errorf("second wave %v", p)
	}
}

func TestTheSameSeedDrawsTheSameSample(t *testing.T) {
	k := newKit(t)
	k.customers(60, typev1.Tier_TIER_C)
	k.customers(30, typev1.Tier_TIER_B)
	k.customers(10, typev1.Tier_TIER_KEY)
	sample := func(s *surveyv1.Sampling) []string {
		c := k.campaign(func(c *surveyv1.Campaign) { c.Sampling = s })
		if c.GetSampling().GetSeed() == 0 {
			t.Error("no seed is kept")
		}
		k.schedule(c.GetId())
		p := k.run(c.GetId())
		if p.GetCounts().GetSampled() != 20 || p.GetCounts().GetAsked() != 20 {
			t.Errorf("%v: %s", s, short(p.GetCounts()))
		}
		if st := s.GetStratified(); st.GetTotal() > 0 {
			for i, want := range []int64{12, 6, 2} {
				if got := p.GetTiers()[i].GetCounts().GetAsked(); got != want {
					t.Errorf("tier %v: %d asked, want %d", p.GetTiers()[i].GetTier(), got, want)
				}
			}
		}
		var asked []string
		for _, m := range k.members(c.GetId()) {
			if m.GetState() == surveyv1.MemberState_MEMBER_STATE_ASKED {
				asked = append(asked, m.GetCustomerId())
			} else if m.GetState() != surveyv1.MemberState_MEMBER_STATE_NOT_SAMPLED {
				t.Errorf("member %v", m)
			}
		}
		return asked
	}
	simple := &surveyv1.Sampling{Kind: &surveyv1.Sampling_Simple{Simple: 20}, Seed: 7}
	stratified := &surveyv1.Sampling{Kind: &surveyv1.Sampling_Stratified{Stratified: &surveyv1.StratifiedSample{Total: 20}}, Seed: 7}
	if !slices.Equal(sample(simple), sample(simple)) || !slices.Equal(sample(stratified), sample(stratified)) {
		t.Error("the same seed draws another sample")
	}
	other := &surveyv1.Sampling{Kind: &surveyv1.Sampling_Simple{Simple: 20}, Seed: 8}
	if slices.Equal(sample(simple), sample(other)) {
		t.Error("another seed draws the same sample")
	}
	sample(&surveyv1.Sampling{Kind: &surveyv1.Sampling_Simple{Simple: 20}})
	sample(&surveyv1.Sampling{Kind: &surveyv1.Sampling_Stratified{Stratified: &surveyv1.StratifiedSample{Sizes: []*surveyv1.TierSize{
		{Tier: typev1.Tier_TIER_KEY, Size: 50}, {Tier: typev1.Tier_TIER_C, Size: 10}}}}})
}

// Steps that fail between any two things they do are taken again, and nobody is asked twice.
func TestNobodyIsAskedTwice(t *testing.T) {
	k := newKit(t)
	k.customers(250, typev1.Tier_TIER_C)
	c := k.campaign(nil)
	k.schedule(c.GetId())
	// The process ends at some moment again and again; four replicas run at once.
	for i := range 6 {
		ctx, kill := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() { _ = k.server.AdvanceCampaigns(ctx) }) // what it fails with is the kill
		}
		var killer sync.WaitGroup
		killer.Go(func() {
			// The kill comes at another point of the work each time.
			for k.count(`SELECT count(*) FROM campaign_members WHERE state <> 1`) < i*50 && ctx.Err() == nil {
			}
			kill()
		})
		all.Wait()
		kill()
		killer.Wait()
	}
	p := k.run(c.GetId())
	if got := short(p.GetCounts()); got != "audience 250, sampled 250, waiting 0, asked 250, held back 0, dropped 0, answered 0, unanswered 0, reminders 0" {
		t.Error(got)
	}
	if n := k.count(`SELECT count(*) FROM (SELECT customer_id FROM invitations GROUP BY customer_id HAVING count(*) <> 1) twice`); n != 0 {
		t.Errorf("%d customers have another number of invitations than one", n)
	}
	seen := map[uuid.UUID]bool{}
	for _, m := range k.sender.sent {
		if seen[m.CustomerID] {
			t.Errorf("customer %s got two messages", m.CustomerID)
		}
		seen[m.CustomerID] = true
	}
	// What was claimed when the process ended is given up, not given again.
	k.Clock.Advance(3 * time.Minute)
	p = k.run(c.GetId())
	if m := p.GetMessages(); m.GetLeft()+m.GetUnconfirmed() != 250 || m.GetDue() != 0 || int(m.GetLeft()) > len(seen) {
		t.Errorf("messages %v, the driver has %d", m, len(seen))
	}
	// Each reservation is asked for under one id however often.
	requests := map[string]string{}
	for _, r := range k.registry.reserved {
		if known := requests[r.GetCustomerId()]; known != "" && known != r.GetRequestId() {
			t.Errorf("customer %s is reserved under two ids", r.GetCustomerId())
		}
		requests[r.GetCustomerId()] = r.GetRequestId()
	}
}

func TestPauseResumeStop(t *testing.T) {
	k := newKit(t)
	k.customers(5, typev1.Tier_TIER_C)
	c := k.campaign(nil)
	client := k.campaigns()
	pause := func() error {
		_, err := client.PauseCampaign(k.crm(), &surveyv1.PauseCampaignRequest{Id: c.GetId()})
		return err
	}
	refused(t, pause(), codes.FailedPrecondition, "CAMPAIGN_WRONG_STATE")
	k.schedule(c.GetId())
	if err := pause(); err != nil {
		t.Fatal(err)
	}
	if err := k.server.AdvanceCampaigns(t.Context()); err != nil || k.count(`SELECT count(*) FROM campaign_waves`) != 0 {
		t.Errorf("a paused campaign began: %v", err)
	}
	resume := func() {
		t.Helper()
		if _, err := client.ResumeCampaign(k.crm(), &surveyv1.ResumeCampaignRequest{Id: c.GetId()}); err != nil {
			t.Fatal(err)
		}
	}
	resume()
	// The registry is away: those who are not asked wait, and the pause holds them.
	k.registry.set(func(r *registry) { r.down = true })
	if err := k.server.AdvanceCampaigns(t.Context()); err == nil {
		t.Error("a registry that is away is no failure")
	}
	if err := pause(); err != nil {
		t.Fatal(err)
	}
	k.registry.set(func(r *registry) { r.down = false })
	if p := k.run(c.GetId()); p.GetCounts().GetWaiting() != 5 || p.GetState() != surveyv1.CampaignState_CAMPAIGN_STATE_PAUSED {
		t.Errorf("paused %v", p)
	}
	resume()
	if p := k.run(c.GetId()); p.GetCounts().GetAsked() != 5 {
		t.Errorf("resumed %v", p)
	}
	answered := k.members(c.GetId())[0].GetInvitationId()
	k.answer(answered, 5)
	if _, err := client.StopCampaign(k.crm(), &surveyv1.StopCampaignRequest{Id: c.GetId()}); err != nil {
		t.Fatal(err)
	}
	p := k.run(c.GetId())
	if got := short(p.GetCounts()); got != "audience 5, sampled 5, waiting 0, asked 5, held back 0, dropped 0, answered 1, unanswered 4, reminders 0" ||
		p.GetState() != surveyv1.CampaignState_CAMPAIGN_STATE_STOPPED {
		t.Errorf("stopped %v", p)
	}
	if n := k.count(`SELECT count(*) FROM invitations WHERE state = 4 AND end_reason = 'campaign stopped'`); n != 4 {
		t.Errorf("%d invitations revoked", n)
	}
	_, err := client.StopCampaign(k.crm(), &surveyv1.StopCampaignRequest{Id: c.GetId()})
	refused(t, err, codes.FailedPrecondition, "CAMPAIGN_WRONG_STATE")
	_, err = client.ResumeCampaign(k.crm(), &surveyv1.ResumeCampaignRequest{Id: c.GetId()})
	refused(t, err, codes.FailedPrecondition, "CAMPAIGN_WRONG_STATE")
}

func TestWhoeverWithdrewIsHeldBack(t *testing.T) {
	k := newKit(t)
	ids := k.customers(4, typev1.Tier_TIER_C)
	k.registry.set(func(r *registry) {
		r.held[ids[0]] = customerv1.HeldBack_HELD_BACK_NO_CONSENT
		r.refused[ids[1]] = true
	})
	// Withdrawn here while the registry still grants.
	if _, err := customerref.Apply(t.Context(), k.Pool, ref(ids[2], false, 2)); err != nil {
		t.Fatal(err)
	}
	c := k.campaign(nil)
	k.schedule(c.GetId())
	p := k.run(c.GetId())
	if got := short(p.GetCounts()); got != "audience 4, sampled 4, waiting 0, asked 1, held back 2, dropped 1, answered 0, unanswered 0, reminders 0" {
		t.Error(got)
	}
	if h := p.GetHeldBack(); len(h) != 2 || h[0].GetReason() != customerv1.HeldBack_HELD_BACK_NO_CONSENT || h[1].GetReason() != customerv1.HeldBack_HELD_BACK_WITHDRAWN {
		t.Errorf("held back %v", h)
	}
}

func TestWhoWasNotAskedIsListed(t *testing.T) {
	k := newKit(t)
	keys, others := k.customers(2, typev1.Tier_TIER_KEY), k.customers(2, typev1.Tier_TIER_C)
	k.invite(ticketSurvey, keys[0])
	k.invite(ticketSurvey, others[0])
	k.registry.set(func(r *registry) {
		for _, id := range append(keys, others...) {
			r.held[id] = customerv1.HeldBack_HELD_BACK_BUDGET_USED
		}
	})
	c := k.campaign(nil)
	k.schedule(c.GetId())
	k.run(c.GetId())
	uncovered := func() []string {
		t.Helper()
		var out []string
		req := &surveyv1.ListUncoveredRequest{Id: c.GetId(), PageSize: 1}
		for {
			list, err := k.campaigns().ListUncovered(k.crm(), req)
			if err != nil {
				t.Fatal(err)
			}
			for _, customer := range list.GetCustomers() {
				if customer.GetHeldBack() != customerv1.HeldBack_HELD_BACK_BUDGET_USED {
					t.Errorf("uncovered %v", customer)
				}
				out = append(out, customer.GetCustomerId())
			}
			if req.PageToken = list.GetNextPageToken(); req.GetPageToken() == "" {
				slices.Sort(out)
				return out
			}
		}
	}
	sorted := func(ids ...string) []string { slices.Sort(ids); return ids }
	if got := uncovered(); !slices.Equal(got, sorted(keys[1], others[1])) {
		t.Errorf("at once %v", got)
	}
	k.Clock.Advance(200 * day)
	if got := uncovered(); !slices.Equal(got, sorted(keys[0], keys[1], others[1])) {
		t.Errorf("after 200 days %v", got)
	}
	k.Clock.Advance(200 * day)
	if got := uncovered(); len(got) != 4 {
		t.Errorf("after 400 days %v", got)
	}
}

func TestTheNextChannelIsTaken(t *testing.T) {
	k := newKit(t)
	k.customers(1, typev1.Tier_TIER_C)
	k.registry.set(func(r *registry) { r.without = typev1.Channel_CHANNEL_EMAIL })
	c := k.campaign(func(c *surveyv1.Campaign) {
		c.Channels = append(c.Channels, surveyv1.SurveyChannel_SURVEY_CHANNEL_TELEPHONE)
		c.ReminderDays, c.Interval = []int32{7}, surveyv1.CampaignInterval_CAMPAIGN_INTERVAL_ONCE
	})
	k.schedule(c.GetId())
	k.run(c.GetId())
	m := k.members(c.GetId())[0]
	if m.GetChannel() != surveyv1.SurveyChannel_SURVEY_CHANNEL_TELEPHONE {
		t.Errorf("member %v", m)
	}
	invitation, err := k.invitations.GetInvitation(k.crm(), &surveyv1.GetInvitationRequest{Id: m.GetInvitationId()})
	if err != nil || invitation.GetCampaignId() != c.GetId() || invitation.GetChannel() != m.GetChannel() {
		t.Errorf("invitation %v, %v", invitation, err)
	}
	k.Clock.Advance(31 * day)
	// Staff call: nothing leaves by itself.
	if p := k.run(c.GetId()); p.GetState() != surveyv1.CampaignState_CAMPAIGN_STATE_FINISHED || len(k.sender.sent) != 0 {
		t.Errorf("after the end %v, sent %v", p, k.sender.sent)
	}
}

func TestAMessageThatTheDriverRefusesIsTold(t *testing.T) {
	k := newKit(t)
	k.customers(2, typev1.Tier_TIER_C)
	k.sender.refuses = true
	c := k.campaign(nil)
	k.schedule(c.GetId())
	if p := k.run(c.GetId()); p.GetMessages().GetDropped() != 2 || p.GetMessages().GetLeft() != 0 {
		t.Errorf("messages %v", p.GetMessages())
	}
}

func TestCampaignsRefuse(t *testing.T) {
	k := newKit(t)
	client := k.campaigns()
	create := func(change func(*surveyv1.Campaign)) error {
		c := &surveyv1.Campaign{Name: "x", QuestionnaireId: ticketSurvey, StartTime: timestamppb.Now(), Channels: []surveyv1.SurveyChannel{surveyv1.SurveyChannel_SURVEY_CHANNEL_LINK}}
		change(c)
		_, err := client.CreateCampaign(k.crm(), &surveyv1.CreateCampaignRequest{Campaign: c})
		return err
	}
	refused(t, create(func(c *surveyv1.Campaign) { c.QuestionnaireId = uuid.NewString() }), codes.InvalidArgument, "VALIDATION_FAILED", "campaign.questionnaire_id")
	refused(t, create(func(c *surveyv1.Campaign) { c.ReminderDays = []int32{9, 3} }), codes.InvalidArgument, "VALIDATION_FAILED", "campaign.reminder_days")
	refused(t, create(func(c *surveyv1.Campaign) { c.Channels = nil }), codes.InvalidArgument, "VALIDATION_FAILED", "campaign.channels")
	_, err := client.GetCampaign(k.crm(), &surveyv1.GetCampaignRequest{Id: uuid.NewString()})
	refused(t, err, codes.NotFound, "CAMPAIGN_NOT_FOUND")
	draft := k.draft(question("a", rating)).GetId()
	c := k.campaign(func(c *surveyv1.Campaign) { c.QuestionnaireId = draft })
	_, err = client.ScheduleCampaign(k.crm(), &surveyv1.ScheduleCampaignRequest{Id: c.GetId()})
	refused(t, err, codes.FailedPrecondition, "QUESTIONNAIRE_NOT_PUBLISHED")
	_, err = client.GetCampaignProgress(k.crm(), &surveyv1.GetCampaignProgressRequest{Id: c.GetId()})
	refused(t, err, codes.NotFound, "CAMPAIGN_NOT_FOUND")
	change := func(etag, name string) (*surveyv1.Campaign, error) {
		return client.UpdateCampaign(k.crm(), &surveyv1.UpdateCampaignRequest{Campaign: &surveyv1.Campaign{Id: c.GetId(), Etag: etag, Name: name},
			UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"name"}}})
	}
	changed, err := change(c.GetEtag(), "other")
	if err != nil || changed.GetName() != "other" || changed.GetQuestionnaireId() != draft {
		t.Errorf("changed %v, %v", changed, err)
	}
	_, err = change(c.GetEtag(), "third")
	refused(t, err, codes.Aborted, "ETAG_MISMATCH")
	_, err = change("", "")
	refused(t, err, codes.InvalidArgument, "VALIDATION_FAILED", "campaign.name")
	k.publish(draft)
	k.schedule(c.GetId())
	_, err = change("", "too late")
	refused(t, err, codes.FailedPrecondition, "CAMPAIGN_WRONG_STATE")
	list, err := client.ListCampaigns(k.crm(), &surveyv1.ListCampaignsRequest{})
	if err != nil || len(list.GetCampaigns()) != 1 || list.GetCampaigns()[0].GetState() != surveyv1.CampaignState_CAMPAIGN_STATE_SCHEDULED {
		t.Errorf("listed %v, %v", list, err)
	}
}

func TestASegmentIsTheAudience(t *testing.T) {
	k := newKit(t)
	ids := k.customers(6, typev1.Tier_TIER_C)
	some := uuid.NewString()
	k.registry.set(func(r *registry) { r.segments = map[string][]string{some: ids[1:4]} })
	unknown := k.campaign(func(c *surveyv1.Campaign) { c.SegmentId = uuid.NewString() })
	_, err := k.campaigns().ScheduleCampaign(k.crm(), &surveyv1.ScheduleCampaignRequest{Id: unknown.GetId()})
	refused(t, err, codes.InvalidArgument, "VALIDATION_FAILED", "segment_id")
	c := k.campaign(func(c *surveyv1.Campaign) { c.SegmentId = some })
	k.schedule(c.GetId())
	if p := k.run(c.GetId()); p.GetCounts().GetAudience() != 3 || p.GetCounts().GetAsked() != 3 {
		t.Errorf("progress %v", p)
	}
	gone := k.campaign(func(c *surveyv1.Campaign) { c.SegmentId = some })
	k.schedule(gone.GetId())
	k.registry.set(func(r *registry) { r.segments = nil })
	if p := k.run(gone.GetId()); p.GetState() != surveyv1.CampaignState_CAMPAIGN_STATE_PAUSED || p.GetCounts().GetAudience() != 0 {
		t.Errorf("without its segment %v", p)
	}
}
