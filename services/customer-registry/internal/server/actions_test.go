package server_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/services/internal/access"
)

func (r *registry) tier(id string, days int) *customerv1.SetTierRequest {
	return &customerv1.SetTierRequest{
		Id: id, Tier: typev1.Tier_TIER_KEY, Reason: "strategic",
		EndTime: timestamppb.New(r.Clock.Now().AddDate(0, 0, days)),
	}
}

func TestSetTier(t *testing.T) {
	r := start(t)
	made := r.make(t, full())
	got, err := r.customers.SetTier(r.admin(), r.tier(made.GetId(), 30))
	if err != nil {
		t.Fatal(err)
	}
	if got.GetTier() != typev1.Tier_TIER_KEY || got.GetTierReason() != "strategic" || got.GetEtag() != "2" ||
		!got.GetTierEndTime().AsTime().Equal(r.Clock.Now().AddDate(0, 0, 30)) || got.GetPhone() != made.GetPhone() {
		t.Errorf("got %v", got)
	}
	if read := r.get(t, made.GetId()); !proto.Equal(read, got) {
		t.Errorf("read %v\nwant %v", read, got)
	}
	if s := r.profile(t, made.GetId()).GetSummary(); s.GetTier() != typev1.Tier_TIER_KEY {
		t.Errorf("summary %v", s)
	}
	if ref := lastRef(t, r.Events(t)); ref.GetTier() != typev1.Tier_TIER_KEY || ref.GetVersion() != 2 {
		t.Errorf("the others hear %v", ref)
	}
}

// lastRef is the customer in the last event that tells of one; moves to another tier come
// after it.
func lastRef(t *testing.T, events []*eventv1.Envelope) *customerv1.CustomerRef {
	t.Helper()
	for events[len(events)-1].GetType() == "tier.changed.v1" {
		events = events[:len(events)-1]
	}
	payload, err := event.Unpack[*customerv1.CustomerChanged](events[len(events)-1])
	if err != nil {
		t.Fatal(err)
	}
	return payload.GetCustomer()
}

func TestSetTierRefuses(t *testing.T) {
	r := start(t)
	made := r.make(t, full())
	set := func(ctx context.Context, spoil func(*customerv1.SetTierRequest)) error {
		req := r.tier(made.GetId(), 30)
		spoil(req)
		_, err := r.customers.SetTier(ctx, req)
		return err
	}
	for field, spoil := range map[string]func(*customerv1.SetTierRequest){
		"tier":     func(q *customerv1.SetTierRequest) { q.Tier = 0 },
		"reason":   func(q *customerv1.SetTierRequest) { q.Reason = "" },
		"end_time": func(q *customerv1.SetTierRequest) { q.EndTime = timestamppb.New(r.Clock.Now()) },
		"id":       func(q *customerv1.SetTierRequest) { q.Id = "x" },
	} {
		refused(t, field, set(r.admin(), spoil), codes.InvalidArgument, "VALIDATION_FAILED", field)
	}
	refused(t, "no end", set(r.admin(), func(q *customerv1.SetTierRequest) { q.EndTime = nil }), codes.InvalidArgument, "VALIDATION_FAILED", "end_time")
	refused(t, "unknown", set(r.admin(), func(q *customerv1.SetTierRequest) { q.Id = newID(t) }), codes.NotFound, "CUSTOMER_NOT_FOUND")
	refused(t, "stale", set(r.admin(), func(q *customerv1.SetTierRequest) { q.Etag = "9" }), codes.Aborted, "ETAG_MISMATCH")
	for _, role := range []string{access.CRMSpecialist, access.ServiceManager, access.SalesManager} {
		refused(t, role, set(r.As(role), func(*customerv1.SetTierRequest) {}), codes.PermissionDenied, "PERMISSION_DENIED")
	}
}

func TestTierRace(t *testing.T) {
	r := start(t)
	made := r.make(t, full())
	errs := make([]error, 6)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			req := r.tier(made.GetId(), 30)
			req.Etag = "1"
			_, errs[i] = r.customers.SetTier(r.admin(), req)
		})
	}
	wg.Wait()
	exactlyOne(t, errs, codes.Aborted, "ETAG_MISMATCH")
}

func TestEndTiers(t *testing.T) {
	r := start(t)
	soon, later, never := r.make(t, full()), r.make(t, file("later")), r.make(t, file("never"))
	for id, days := range map[string]int{soon.GetId(): 1, later.GetId(): 10} {
		if _, err := r.customers.SetTier(r.admin(), r.tier(id, days)); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.EndTiers(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := r.get(t, soon.GetId()).GetTier(); got != typev1.Tier_TIER_KEY {
		t.Errorf("before its time: %v", got)
	}
	r.Clock.Advance(25 * time.Hour)
	var wg sync.WaitGroup
	for range 4 { // as many replicas
		wg.Go(func() {
			if err := r.EndTiers(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got := r.get(t, soon.GetId())
	if got.GetTier() != typev1.Tier_TIER_C || got.GetTierReason() != "" || got.GetTierEndTime() != nil || got.GetEtag() != "3" {
		t.Errorf("after its time: %v", got)
	}
	if got := r.get(t, later.GetId()); got.GetTier() != typev1.Tier_TIER_KEY || got.GetEtag() != "2" {
		t.Errorf("one that goes on: %v", got)
	}
	if got := r.get(t, never.GetId()).GetEtag(); got != "1" {
		t.Errorf("one without an override has version %s", got)
	}
	events := r.Events(t)
	last := events[len(events)-1]
	if len(events) != 9 || last.GetActorKind() != eventv1.ActorKind_ACTOR_KIND_SERVICE || last.GetActorId() != "customer-registry" ||
		last.GetSubjectId() != soon.GetId() || lastRef(t, events).GetTier() != typev1.Tier_TIER_C {
		t.Errorf("%d events, the last %v", len(events), last)
	}
	if n := r.count(t, `SELECT count(*) FROM audit_records WHERE action = 'job/end-tiers' AND object_id = $1`, soon.GetId()); n != 1 {
		t.Errorf("%d audit records of the end, want 1", n)
	}
	if s := r.profile(t, soon.GetId()).GetSummary(); s.GetTier() != typev1.Tier_TIER_C {
		t.Errorf("summary %v", s)
	}
}

func consent(id string, purpose customerv1.ConsentPurpose, granted bool) *customerv1.SetConsentRequest {
	return &customerv1.SetConsentRequest{
		Id: id, Purpose: purpose, Granted: granted, Channel: typev1.Channel_CHANNEL_PHONE, WordingVersion: "v1",
	}
}

const (
	quality   = customerv1.ConsentPurpose_CONSENT_PURPOSE_SERVICE_QUALITY
	marketing = customerv1.ConsentPurpose_CONSENT_PURPOSE_MARKETING
)

func TestSetConsent(t *testing.T) {
	r := start(t)
	made := r.make(t, full())
	crm := r.As(access.CRMSpecialist)
	for _, step := range []struct {
		purpose customerv1.ConsentPurpose
		granted bool
		quality bool
	}{
		{marketing, true, true}, {quality, false, false}, {marketing, false, false}, {quality, true, true},
	} {
		r.Clock.Advance(time.Hour)
		got, err := r.customers.SetConsent(crm, consent(made.GetId(), step.purpose, step.granted))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range got.GetConsents() {
			if c.GetPurpose() == step.purpose && (c.GetGranted() != step.granted || !c.GetDecideTime().AsTime().Equal(r.Clock.Now()) ||
				c.GetChannel() != typev1.Channel_CHANNEL_PHONE || c.GetWordingVersion() != "v1") {
				t.Errorf("consent %v after %v", c, step)
			}
		}
		if ref := lastRef(t, r.Events(t)); ref.GetServiceQualityConsent() != step.quality {
			t.Errorf("after %v the others hear %v", step, ref)
		}
	}
	if got := r.get(t, made.GetId()); len(got.GetConsents()) != 2 || got.GetEtag() != "5" {
		t.Errorf("read %v; want one entry a purpose at version 5", got)
	}
	if n := r.count(t, `SELECT count(*) FROM consents`); n != 4 {
		t.Errorf("%d decisions kept, want 4", n)
	}
	mine, err := r.customers.SetConsent(r.AsCustomer(made.GetId()), consent(made.GetId(), marketing, true))
	if err != nil || !mine.GetConsents()[1].GetGranted() || mine.GetTags() != nil || mine.GetPhone() != made.GetPhone() {
		t.Errorf("a customer decides for themselves: %v, %v", mine, err)
	}
}

func TestSetConsentRefuses(t *testing.T) {
	r := start(t)
	made := r.make(t, full())
	crm := r.As(access.CRMSpecialist)
	for field, spoil := range map[string]func(*customerv1.SetConsentRequest){
		"purpose":         func(q *customerv1.SetConsentRequest) { q.Purpose = 0 },
		"channel":         func(q *customerv1.SetConsentRequest) { q.Channel = 0 },
		"wording_version": func(q *customerv1.SetConsentRequest) { q.WordingVersion = "" },
	} {
		req := consent(made.GetId(), marketing, true)
		spoil(req)
		_, err := r.customers.SetConsent(crm, req)
		refused(t, field, err, codes.InvalidArgument, "VALIDATION_FAILED", field)
	}
	_, err := r.customers.SetConsent(crm, consent(newID(t), marketing, true))
	refused(t, "unknown", err, codes.NotFound, "CUSTOMER_NOT_FOUND")
	_, err = r.customers.SetConsent(r.AsCustomer(newID(t)), consent(made.GetId(), marketing, true))
	refused(t, "another customer", err, codes.NotFound, "CUSTOMER_NOT_FOUND")
	stale := consent(made.GetId(), marketing, true)
	stale.Etag = "3"
	_, err = r.customers.SetConsent(crm, stale)
	refused(t, "stale", err, codes.Aborted, "ETAG_MISMATCH")
	_, err = r.customers.SetConsent(r.As(access.ServiceAgent), consent(made.GetId(), marketing, true))
	refused(t, "agent", err, codes.PermissionDenied, "PERMISSION_DENIED")
}

func TestConsentRace(t *testing.T) {
	r := start(t)
	made := r.make(t, full())
	errs := make([]error, 6)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			req := consent(made.GetId(), marketing, i%2 == 0)
			req.Etag = "1"
			_, errs[i] = r.customers.SetConsent(r.As(access.CRMSpecialist), req)
		})
	}
	wg.Wait()
	exactlyOne(t, errs, codes.Aborted, "ETAG_MISMATCH")
	if n := r.count(t, `SELECT count(*) FROM consents`); n != 1 {
		t.Errorf("%d decisions kept, want 1", n)
	}
}
