package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/internal/customerref"
	"github.com/kefu-suite/kefu/services/survey/internal/server"
)

// outbox is a driver that keeps what it is given.
type outbox struct {
	mu      sync.Mutex
	sent    []server.Message
	refuses bool
	// forgets keeps nothing of what it is given.
	forgets bool
}

func (o *outbox) Name() string { return "outbox" }

func (o *outbox) Send(_ context.Context, m server.Message) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.refuses {
		return errors.New("no route")
	}
	if !o.forgets {
		o.sent = append(o.sent, m)
	}
	return nil
}

// segment is a stream of the customers known here, as the registry would give it.
type segment struct {
	grpc.ServerStreamingClient[customerv1.StreamSegmentMembersResponse]
	ctx   context.Context
	r     *registry
	after string
	id    string
}

func (r *registry) StreamSegmentMembers(ctx context.Context, in *customerv1.StreamSegmentMembersRequest, _ ...grpc.CallOption) (grpc.ServerStreamingClient[customerv1.StreamSegmentMembersResponse], error) {
	return &segment{ctx: ctx, r: r, after: in.GetAfterCustomerId(), id: in.GetId()}, nil
}

// Recv gives a part; whoever is in no segment is in that of everybody.
func (s *segment) Recv() (*customerv1.StreamSegmentMembersResponse, error) {
	s.r.mu.Lock()
	members, gone := s.r.segments[s.id]
	s.r.mu.Unlock()
	if s.id != "" && !gone {
		return nil, status.Error(codes.NotFound, "unknown")
	}
	rows, err := s.r.pool.Query(s.ctx, `SELECT id::text, tier, language FROM customer_refs
		WHERE id > coalesce(nullif($1, ''), '00000000-0000-0000-0000-000000000000')::uuid AND status = 1 AND merged_into IS NULL
		AND ($2 = '' OR id::text = ANY($3)) ORDER BY id LIMIT 500`, s.after, s.id, members)
	if err != nil {
		return nil, err
	}
	out := new(customerv1.StreamSegmentMembersResponse)
	var id, language string
	var tier int32
	if _, err := pgx.ForEachRow(rows, []any{&id, &tier, &language}, func() error {
		out.Members = append(out.Members, &customerv1.SegmentMember{CustomerId: id, Tier: typev1.Tier(tier), Language: language})
		s.after = id
		return nil
	}); err != nil {
		return nil, err
	}
	if len(out.GetMembers()) == 0 {
		return nil, io.EOF
	}
	return out, nil
}

func (k *kit) campaigns() surveyv1.CampaignServiceClient {
	return surveyv1.NewCampaignServiceClient(k.Conn)
}

// customers makes so many of a tier.
func (k *kit) customers(n int, tier typev1.Tier) []string {
	k.t.Helper()
	ids := make([]string, n)
	for i := range ids {
		ids[i] = uuid.Must(uuid.NewV7()).String()
		c := ref(ids[i], true, 1)
		c.Tier = tier
		if _, err := customerref.Apply(k.t.Context(), k.Pool, c); err != nil {
			k.t.Fatal(err)
		}
	}
	return ids
}

// campaign makes a draft that starts now.
func (k *kit) campaign(change func(*surveyv1.Campaign)) *surveyv1.Campaign {
	k.t.Helper()
	c := &surveyv1.Campaign{
		Name: "half-yearly", QuestionnaireId: k.published(question("a", rating)).GetId(), StartTime: timestamppb.New(k.Clock.Now()),
		Channels: []surveyv1.SurveyChannel{surveyv1.SurveyChannel_SURVEY_CHANNEL_EMAIL},
	}
	if change != nil {
		change(c)
	}
	out, err := k.campaigns().CreateCampaign(k.crm(), &surveyv1.CreateCampaignRequest{Campaign: c})
	if err != nil {
		k.t.Fatal(err)
	}
	return out
}

func (k *kit) schedule(id string) *surveyv1.Campaign {
	k.t.Helper()
	out, err := k.campaigns().ScheduleCampaign(k.crm(), &surveyv1.ScheduleCampaignRequest{Id: id})
	if err != nil {
		k.t.Fatal(err)
	}
	return out
}

// run advances all campaigns and gives the progress of one.
func (k *kit) run(id string) *surveyv1.CampaignProgress {
	k.t.Helper()
	if err := k.server.AdvanceCampaigns(k.t.Context()); err != nil {
		k.t.Fatal(err)
	}
	return k.progress(id)
}

func (k *kit) progress(id string) *surveyv1.CampaignProgress {
	k.t.Helper()
	out, err := k.campaigns().GetCampaignProgress(k.crm(), &surveyv1.GetCampaignProgressRequest{Id: id})
	if err != nil {
		k.t.Fatal(err)
	}
	return out
}

// short gives counts as "audience 9, sampled 9, …".
func short(c *surveyv1.CampaignCounts) string {
	return fmt.Sprintf("audience %d, sampled %d, waiting %d, asked %d, held back %d, dropped %d, answered %d, unanswered %d, reminders %d",
		c.GetAudience(), c.GetSampled(), c.GetWaiting(), c.GetAsked(), c.GetHeldBack(), c.GetDropped(), c.GetAnswered(), c.GetUnanswered(), c.GetReminders())
}

func (k *kit) members(id string) []*surveyv1.CampaignMember {
	k.t.Helper()
	var out []*surveyv1.CampaignMember
	req := &surveyv1.ListCampaignMembersRequest{Id: id, PageSize: 7}
	for {
		list, err := k.campaigns().ListCampaignMembers(k.crm(), req)
		if err != nil {
			k.t.Fatal(err)
		}
		out = append(out, list.GetMembers()...)
		if req.PageToken = list.GetNextPageToken(); req.GetPageToken() == "" {
			return out
		}
	}
}

func (k *kit) answer(invitationID string, n int32) {
	k.t.Helper()
	link, err := k.invitations.IssueLink(k.crm(), &surveyv1.IssueLinkRequest{Id: invitationID})
	if err != nil {
		k.t.Fatal(err)
	}
	k.submit(link.GetToken(), score("a", n))
}
