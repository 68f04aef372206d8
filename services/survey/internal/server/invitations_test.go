package server_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	"github.com/kefu-suite/kefu/services/internal/customerref"
)

const (
	pending  = surveyv1.InvitationState_INVITATION_STATE_PENDING
	answered = surveyv1.InvitationState_INVITATION_STATE_ANSWERED
	expired  = surveyv1.InvitationState_INVITATION_STATE_EXPIRED
	revoked  = surveyv1.InvitationState_INVITATION_STATE_REVOKED
)

func TestCreateInvitation(t *testing.T) {
	k := newKit(t)
	q, customer := k.published(question("a", rating)), k.customer()
	req := &surveyv1.CreateInvitationRequest{RequestId: "r", Invitation: &surveyv1.Invitation{
		QuestionnaireId: q.GetId(), CustomerId: customer, TicketId: uuid.NewString(), State: revoked, Version: 9}}
	link, err := k.invitations.CreateInvitation(k.crm(), req)
	if err != nil {
		t.Fatal(err)
	}
	i := link.GetInvitation()
	if i.GetState() != pending || i.GetVersion() != 1 || i.GetCustomerId() != customer || i.GetTicketId() != "" || i.GetRound() != 0 ||
		i.GetLanguage() != "en" || i.GetEtag() != "1" || !i.GetExpireTime().AsTime().Equal(k.Clock.Now().Add(30*24*time.Hour)) {
		t.Errorf("created %v", i)
	}
	if len(link.GetToken()) != 32 {
		t.Errorf("token of %d characters", len(link.GetToken()))
	}
	again, err := k.invitations.CreateInvitation(k.crm(), req)
	if err != nil || !proto.Equal(again, link) {
		t.Errorf("a repeated call gave %v, %v", again, err)
	}
	got, err := k.invitations.GetInvitation(k.crm(), &surveyv1.GetInvitationRequest{Id: i.GetId()})
	if err != nil || !proto.Equal(got, i) {
		t.Errorf("read %v, %v", got, err)
	}
	other := k.invite(q.GetId(), customer)
	if other.GetToken() == link.GetToken() {
		t.Error("two invitations with one token")
	}
	req = &surveyv1.CreateInvitationRequest{Invitation: &surveyv1.Invitation{QuestionnaireId: q.GetId(), CustomerId: customer,
		Language: "zh-CN", ExpireTime: timestamppb.New(k.Clock.Now().Add(time.Hour))}}
	if link, err = k.invitations.CreateInvitation(k.crm(), req); err != nil || link.GetInvitation().GetLanguage() != "zh-CN" ||
		!link.GetInvitation().GetExpireTime().AsTime().Equal(k.Clock.Now().Add(time.Hour)) {
		t.Errorf("created %v, %v", link, err)
	}
}

func TestNothingHoldsTheToken(t *testing.T) {
	k := newKit(t)
	q, customer := k.published(question("a", rating)), k.customer()
	link, err := k.invitations.CreateInvitation(k.crm(), &surveyv1.CreateInvitationRequest{RequestId: "r",
		Invitation: &surveyv1.Invitation{QuestionnaireId: q.GetId(), CustomerId: customer}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = k.answers.GetAnswerForm(k.AsPublic(), &surveyv1.GetAnswerFormRequest{Token: link.GetToken() + "x"})
	if refused(t, err, codes.NotFound, "INVITATION_NOT_FOUND"); strings.Contains(err.Error(), link.GetToken()) {
		t.Errorf("the refusal repeats the token: %v", err)
	}
	tables, err := k.Pool.Query(t.Context(), `SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE '%_goose'`)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for tables.Next() {
		var name string
		if err := tables.Scan(&name); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	if len(names) < 8 {
		t.Fatalf("tables %q", names)
	}
	for _, name := range names {
		n := k.count(`SELECT count(*) FROM `+name+` AS r WHERE r::text LIKE '%' || $1 || '%' OR r::text LIKE '%' || encode($1::bytea, 'hex') || '%'`, link.GetToken())
		if n != 0 {
			t.Errorf("%s holds the token", name)
		}
	}
	if strings.Contains(k.log.String(), link.GetToken()) {
		t.Error("the log holds the token")
	}
}

func TestCreateInvitationRefuses(t *testing.T) {
	k := newKit(t)
	q, draft, customer := k.published(question("a", rating)).GetId(), k.draft().GetId(), k.customer()
	withdrawn := uuid.NewString()
	if _, err := customerref.Apply(t.Context(), k.Pool, ref(withdrawn, false, 1)); err != nil {
		t.Fatal(err)
	}
	retired := ref(uuid.NewString(), true, 1)
	retired.Status = customerv1.CustomerStatus_CUSTOMER_STATUS_RETIRED
	if _, err := customerref.Apply(t.Context(), k.Pool, retired); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		i      *surveyv1.Invitation
		code   codes.Code
		reason string
		fields []string
	}{
		"nothing":           {nil, codes.InvalidArgument, "VALIDATION_FAILED", []string{"invitation"}},
		"bad ids":           {&surveyv1.Invitation{QuestionnaireId: "x", CustomerId: "y"}, codes.InvalidArgument, "VALIDATION_FAILED", []string{"invitation.questionnaire_id", "invitation.customer_id"}},
		"bad language":      {&surveyv1.Invitation{QuestionnaireId: q, CustomerId: customer, Language: "de"}, codes.InvalidArgument, "VALIDATION_FAILED", []string{"invitation.language"}},
		"unknown customer":  {&surveyv1.Invitation{QuestionnaireId: q, CustomerId: uuid.NewString()}, codes.InvalidArgument, "VALIDATION_FAILED", []string{"invitation.customer_id"}},
		"retired customer":  {&surveyv1.Invitation{QuestionnaireId: q, CustomerId: retired.GetId()}, codes.FailedPrecondition, "CUSTOMER_RETIRED", nil},
		"past expiry":       {&surveyv1.Invitation{QuestionnaireId: q, CustomerId: customer, ExpireTime: timestamppb.New(k.Clock.Now())}, codes.InvalidArgument, "VALIDATION_FAILED", []string{"invitation.expire_time"}},
		"impossible expiry": {&surveyv1.Invitation{QuestionnaireId: q, CustomerId: customer, ExpireTime: &timestamppb.Timestamp{Seconds: 1 << 40}}, codes.InvalidArgument, "VALIDATION_FAILED", []string{"invitation.expire_time"}},
		"no questionnaire":  {&surveyv1.Invitation{QuestionnaireId: uuid.NewString(), CustomerId: customer}, codes.NotFound, "QUESTIONNAIRE_NOT_FOUND", nil},
		"only a draft":      {&surveyv1.Invitation{QuestionnaireId: draft, CustomerId: customer}, codes.FailedPrecondition, "QUESTIONNAIRE_NOT_PUBLISHED", nil},
		"consent withdrawn": {&surveyv1.Invitation{QuestionnaireId: q, CustomerId: withdrawn}, codes.FailedPrecondition, "CONSENT_WITHDRAWN", nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := k.invitations.CreateInvitation(k.crm(), &surveyv1.CreateInvitationRequest{Invitation: c.i})
			refused(t, err, c.code, c.reason, c.fields...)
		})
	}
	k.registry.set(func(r *registry) { r.down = true })
	_, err := k.invitations.CreateInvitation(k.crm(), &surveyv1.CreateInvitationRequest{
		Invitation: &surveyv1.Invitation{QuestionnaireId: q, CustomerId: uuid.NewString()}})
	refused(t, err, codes.Unavailable, "DEPENDENCY_UNAVAILABLE")
	if n := k.count(`SELECT count(*) FROM invitations`); n != 0 {
		t.Errorf("%d invitations", n)
	}
}

func TestCreateInvitationAsksTheRegistry(t *testing.T) {
	k := newKit(t)
	q, id := k.published(question("a", rating)), uuid.NewString()
	k.registry.set(func(r *registry) { r.known[id] = ref(id, true, 3) })
	if link := k.invite(q.GetId(), id); link.GetInvitation().GetCustomerId() != id {
		t.Errorf("invited %v", link)
	}
}

func TestIssueLink(t *testing.T) {
	k := newKit(t)
	first := k.invite(k.published(question("a", rating)).GetId(), k.customer())
	req := &surveyv1.IssueLinkRequest{Id: first.GetInvitation().GetId(), RequestId: "again"}
	second, err := k.invitations.IssueLink(k.crm(), req)
	if err != nil || second.GetToken() == first.GetToken() || second.GetInvitation().GetEtag() != "2" {
		t.Fatalf("reissued %v, %v", second, err)
	}
	repeated, err := k.invitations.IssueLink(k.crm(), req)
	if err != nil || !proto.Equal(repeated, second) {
		t.Errorf("a repeated call gave %v, %v", repeated, err)
	}
	_, err = k.answers.GetAnswerForm(k.AsPublic(), &surveyv1.GetAnswerFormRequest{Token: first.GetToken()})
	refused(t, err, codes.NotFound, "INVITATION_NOT_FOUND")
	k.submit(second.GetToken(), score("a", 5))
	for _, c := range []struct {
		id, reason string
		code       codes.Code
	}{
		{first.GetInvitation().GetId(), "INVITATION_WRONG_STATE", codes.FailedPrecondition},
		{uuid.NewString(), "INVITATION_NOT_FOUND", codes.NotFound},
		{"x", "VALIDATION_FAILED", codes.InvalidArgument},
	} {
		_, err = k.invitations.IssueLink(k.crm(), &surveyv1.IssueLinkRequest{Id: c.id})
		refused(t, err, c.code, c.reason)
	}
	want := []string{"questionnaire.drafted.v1", "questionnaire.published.v1", "invitation.created.v1",
		"invitation.reissued.v1", "answer.received.v1", "invitation.answered.v1"}
	if types := k.types(); !slices.Equal(types, want) {
		t.Errorf("events %q", types)
	}
}

func TestRevokeInvitation(t *testing.T) {
	k := newKit(t)
	link := k.invite(k.published(question("a", rating)).GetId(), k.customer())
	id := link.GetInvitation().GetId()
	for _, req := range []*surveyv1.RevokeInvitationRequest{{Id: id}, {Id: "x", Reason: "r"}, {Id: id, Reason: "a\x00"}, {Id: id, Reason: strings.Repeat("x", 501)}} {
		_, err := k.invitations.RevokeInvitation(k.crm(), req)
		refused(t, err, codes.InvalidArgument, "VALIDATION_FAILED")
	}
	got, err := k.invitations.RevokeInvitation(k.crm(), &surveyv1.RevokeInvitationRequest{Id: id, Reason: "asked by phone"})
	if err != nil || got.GetState() != revoked || got.GetAnswerTime() != nil || got.GetEtag() != "2" {
		t.Errorf("revoked %v, %v", got, err)
	}
	_, err = k.answers.GetAnswerForm(k.AsPublic(), &surveyv1.GetAnswerFormRequest{Token: link.GetToken()})
	refused(t, err, codes.FailedPrecondition, "INVITATION_REVOKED")
	_, err = k.answers.SubmitAnswer(k.AsPublic(), &surveyv1.SubmitAnswerRequest{Token: link.GetToken(), Responses: []*surveyv1.Response{score("a", 1)}})
	refused(t, err, codes.FailedPrecondition, "INVITATION_REVOKED")
	_, err = k.invitations.RevokeInvitation(k.crm(), &surveyv1.RevokeInvitationRequest{Id: id, Reason: "again"})
	refused(t, err, codes.FailedPrecondition, "INVITATION_WRONG_STATE")
	_, err = k.invitations.RevokeInvitation(k.crm(), &surveyv1.RevokeInvitationRequest{Id: uuid.NewString(), Reason: "r"})
	refused(t, err, codes.NotFound, "INVITATION_NOT_FOUND")
	if n := k.count(`SELECT count(*) FROM invitations WHERE end_reason = 'asked by phone' AND end_actor LIKE '%|tester-crm-specialist'`); n != 1 {
		t.Error("who revoked it and why is not kept")
	}
}

// One of answering, revoking and expiring ends an invitation, whatever comes together.
func TestOneEndOfMany(t *testing.T) {
	k := newKit(t)
	q := k.published(question("a", rating))
	for range 5 {
		link := k.invite(q.GetId(), k.customer())
		id := link.GetInvitation().GetId()
		errs := make(chan error, 6)
		for i := range cap(errs) {
			go func() {
				var err error
				if i%2 == 0 {
					_, err = k.answers.SubmitAnswer(k.AsPublic(), &surveyv1.SubmitAnswerRequest{Token: link.GetToken(), Responses: []*surveyv1.Response{score("a", 1)}})
				} else {
					_, err = k.invitations.RevokeInvitation(k.crm(), &surveyv1.RevokeInvitationRequest{Id: id, Reason: "r"})
				}
				errs <- err
			}()
		}
		won := 0
		for range cap(errs) {
			err := <-errs
			switch {
			case err == nil:
				won++
			case status.Code(err) != codes.FailedPrecondition:
				t.Errorf("lost by %v", err)
			}
		}
		if won != 1 {
			t.Errorf("%d won", won)
		}
		if ends := k.count(`SELECT count(*) FROM event_outbox WHERE subject_id = $1 AND type <> 'invitation.created.v1'`, id); ends != 1 {
			t.Errorf("%d events of the end", ends)
		}
	}
}

func TestExpiry(t *testing.T) {
	k := newKit(t)
	q := k.published(question("a", rating))
	link, later := k.invite(q.GetId(), k.customer()), k.invite(q.GetId(), k.customer())
	id := link.GetInvitation().GetId()
	k.Clock.Advance(30*24*time.Hour - time.Microsecond)
	if _, err := k.answers.GetAnswerForm(k.AsPublic(), &surveyv1.GetAnswerFormRequest{Token: link.GetToken()}); err != nil {
		t.Errorf("a microsecond before the end: %v", err)
	}
	if err := k.server.ExpireInvitations(t.Context()); err != nil {
		t.Fatal(err)
	}
	k.submit(later.GetToken(), score("a", 4))
	k.Clock.Advance(time.Microsecond)
	check := func(when string) {
		t.Helper()
		got, err := k.invitations.GetInvitation(k.crm(), &surveyv1.GetInvitationRequest{Id: id})
		if err != nil || got.GetState() != expired {
			t.Errorf("%s: %v, %v", when, got, err)
		}
		_, err = k.answers.GetAnswerForm(k.AsPublic(), &surveyv1.GetAnswerFormRequest{Token: link.GetToken()})
		refused(t, err, codes.FailedPrecondition, "INVITATION_EXPIRED")
		_, err = k.answers.SubmitAnswer(k.AsPublic(), &surveyv1.SubmitAnswerRequest{Token: link.GetToken(), Responses: []*surveyv1.Response{score("a", 1)}})
		refused(t, err, codes.FailedPrecondition, "INVITATION_EXPIRED")
		_, err = k.invitations.IssueLink(k.crm(), &surveyv1.IssueLinkRequest{Id: id})
		refused(t, err, codes.FailedPrecondition, "INVITATION_WRONG_STATE")
		_, err = k.invitations.RevokeInvitation(k.crm(), &surveyv1.RevokeInvitationRequest{Id: id, Reason: "r"})
		refused(t, err, codes.FailedPrecondition, "INVITATION_WRONG_STATE")
		for state, want := range map[surveyv1.InvitationState]int{0: 2, pending: 0, answered: 1, expired: 1, revoked: 0} {
			list, err := k.invitations.ListInvitations(k.crm(), &surveyv1.ListInvitationsRequest{State: state})
			if err != nil || len(list.GetInvitations()) != want {
				t.Errorf("%s: %v: %v, %v", when, state, list, err)
			}
		}
	}
	check("before the sweep")
	for range 2 {
		if err := k.server.ExpireInvitations(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	check("after the sweep")
	if n := k.count(`SELECT count(*) FROM event_outbox WHERE type = 'invitation.expired.v1' AND subject_id = $1 AND actor_id = 'survey'`, id); n != 1 {
		t.Errorf("%d events of the expiry", n)
	}
}

func TestManyOverdueInvitations(t *testing.T) {
	k := newKit(t)
	customer := k.customer()
	_, err := k.Pool.Exec(t.Context(), `
INSERT INTO invitations (id, questionnaire_id, questionnaire_version, customer_id, state, round, language, expire_time, create_actor, create_time, version)
SELECT gen_random_uuid(), $1, 1, $2, 1, 0, 'en', $3, 'x', $3, 1 FROM generate_series(1, 450)`, ticketSurvey, customer, k.Clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 3)
	for range cap(done) {
		go func() { done <- k.server.ExpireInvitations(t.Context()) }()
	}
	for range cap(done) {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if n := k.count(`SELECT count(*) FROM invitations WHERE state = 3`); n != 450 {
		t.Errorf("%d expired", n)
	}
	if n := k.count(`SELECT count(*) FROM event_outbox`); n != 450 {
		t.Errorf("%d events", n)
	}
}

func TestListInvitations(t *testing.T) {
	k := newKit(t)
	q := k.published(question("a", rating)).GetId()
	li, wang, ticket, complaint := k.customer(), k.customer(), uuid.NewString(), uuid.NewString()
	var all []string
	for i := range 6 {
		customer := li
		if i%2 == 1 {
			customer = wang
		}
		all = slices.Insert(all, 0, k.invite(q, customer).GetInvitation().GetId())
	}
	if _, err := k.Pool.Exec(t.Context(), `UPDATE invitations SET ticket_id = $2 WHERE id = $1`, all[0], ticket); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Pool.Exec(t.Context(), `UPDATE invitations SET complaint_id = $2 WHERE id = $1`, all[1], complaint); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		req  *surveyv1.ListInvitationsRequest
		want []string
	}{
		"all":                         {&surveyv1.ListInvitationsRequest{}, all},
		"pending":                     {&surveyv1.ListInvitationsRequest{State: pending}, all},
		"of a customer":               {&surveyv1.ListInvitationsRequest{CustomerId: li}, []string{all[1], all[3], all[5]}},
		"of a customer, pending":      {&surveyv1.ListInvitationsRequest{CustomerId: li, State: pending}, []string{all[1], all[3], all[5]}},
		"of a customer, answered":     {&surveyv1.ListInvitationsRequest{CustomerId: li, State: answered}, nil},
		"of a ticket":                 {&surveyv1.ListInvitationsRequest{TicketId: ticket}, all[:1]},
		"of a ticket and customer":    {&surveyv1.ListInvitationsRequest{TicketId: ticket, CustomerId: wang}, all[:1]},
		"of a ticket and stranger":    {&surveyv1.ListInvitationsRequest{TicketId: ticket, CustomerId: li}, nil},
		"of a ticket and complaint":   {&surveyv1.ListInvitationsRequest{TicketId: ticket, ComplaintId: complaint}, nil},
		"of a complaint":              {&surveyv1.ListInvitationsRequest{ComplaintId: complaint}, all[1:2]},
		"of a complaint and customer": {&surveyv1.ListInvitationsRequest{ComplaintId: complaint, CustomerId: li}, all[1:2]},
		"of a complaint and stranger": {&surveyv1.ListInvitationsRequest{ComplaintId: complaint, CustomerId: wang}, nil},
		"of a complaint, expired":     {&surveyv1.ListInvitationsRequest{ComplaintId: complaint, State: expired}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			c.req.PageSize = 2
			for {
				page, err := k.invitations.ListInvitations(k.crm(), c.req)
				if err != nil {
					t.Fatal(err)
				}
				for _, i := range page.GetInvitations() {
					got = append(got, i.GetId())
				}
				if c.req.PageToken = page.GetNextPageToken(); c.req.GetPageToken() == "" {
					break
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	for _, req := range []*surveyv1.ListInvitationsRequest{{CustomerId: "x"}, {TicketId: "x"}, {ComplaintId: "x"}, {State: 9}, {PageSize: 501}, {PageToken: "x"}} {
		_, err := k.invitations.ListInvitations(k.crm(), req)
		refused(t, err, codes.InvalidArgument, "VALIDATION_FAILED")
	}
	_, err := k.invitations.GetInvitation(k.crm(), &surveyv1.GetInvitationRequest{Id: uuid.NewString()})
	refused(t, err, codes.NotFound, "INVITATION_NOT_FOUND")
	_, err = k.invitations.GetInvitation(k.crm(), &surveyv1.GetInvitationRequest{Id: "x"})
	refused(t, err, codes.InvalidArgument, "VALIDATION_FAILED")
}
