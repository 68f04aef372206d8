package server_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/type/money"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/services/internal/access"
)

const tierKey, tierA, tierB, tierC = typev1.Tier_TIER_KEY, typev1.Tier_TIER_A, typev1.Tier_TIER_B, typev1.Tier_TIER_C

func tierModel() *customerv1.TierModel {
	return &customerv1.TierModel{
		Weights: &customerv1.TierWeights{Scale: 0.3, Length: 0.1, Profit: 0.2, Growth: 0.1, Frequency: 0.1, Volume: 0.05, Loyalty: 0.1, Referrals: 0.05},
		Limits:  &customerv1.TierLimits{Key: 85, A: 70, B: 40}, CurrencyCode: "CNY",
		Rates: []*customerv1.CurrencyRate{{CurrencyCode: "USD", Rate: "7.1384"}},
		Plans: []*customerv1.ResourcePlan{{Tier: tierKey, ManagerLoad: 7, Visits: 12, GiftBudget: yuan(100), TrainingSeats: 3}},
	}
}

func (r *registry) sales() context.Context { return r.As(access.SalesManager) }
func (r *registry) crm() context.Context   { return r.As(access.CRMSpecialist) }

// publishModel makes and publishes a model by two people.
func (r *registry) publishModel(t *testing.T, m *customerv1.TierModel) *customerv1.TierModel {
	t.Helper()
	draft, err := r.tiers.CreateTierModel(r.crm(), &customerv1.CreateTierModelRequest{TierModel: m})
	if err != nil {
		t.Fatal(err)
	}
	out, err := r.tiers.PublishTierModel(r.sales(), &customerv1.PublishTierModelRequest{Id: draft.GetId()})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// preview makes a run and computes it.
func (r *registry) preview(t *testing.T, run *customerv1.TierRun) *customerv1.TierRun {
	t.Helper()
	made, err := r.tiers.CreateTierRun(r.crm(), &customerv1.CreateTierRunRequest{TierRun: run})
	if err != nil {
		t.Fatal(err)
	}
	r.work(t)
	got, err := r.tiers.GetTierRun(r.sales(), &customerv1.GetTierRunRequest{Id: made.GetId()})
	if err != nil || got.GetState() != customerv1.TierRunState_TIER_RUN_STATE_PREVIEW {
		t.Fatalf("run %v, %v", got, err)
	}
	return got
}

func (r *registry) work(t *testing.T) {
	t.Helper()
	if err := r.WorkTiers(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// apply applies a run and moves everybody.
func (r *registry) apply(t *testing.T, id string) *customerv1.TierRun {
	t.Helper()
	if _, err := r.tiers.ApplyTierRun(r.sales(), &customerv1.ApplyTierRunRequest{Id: id}); err != nil {
		t.Fatal(err)
	}
	r.work(t)
	got, err := r.tiers.GetTierRun(r.sales(), &customerv1.GetTierRunRequest{Id: id})
	if err != nil || got.GetState() != customerv1.TierRunState_TIER_RUN_STATE_APPLIED || got.GetApplyTime() == nil {
		t.Fatalf("applied %v, %v", got, err)
	}
	return got
}

func (r *registry) worth(t *testing.T, id string) *customerv1.Standing {
	t.Helper()
	got, err := r.tiers.GetStanding(r.sales(), &customerv1.GetStandingRequest{CustomerId: id})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// ladder makes five customers who bought the more the later they come in the list.
func (r *registry) ladder(t *testing.T) []string {
	t.Helper()
	var ids []string
	for i := range 5 {
		c := r.make(t, file(fmt.Sprint("customer ", i)))
		ids = append(ids, c.GetId())
		for k := range i + 1 {
			o := r.order(fmt.Sprintf("S-%d-%d", i, k))
			o.OrderTime, o.ShipTime = r.ago(10*i+20), nil
			if _, err := r.upsert(c.GetId(), o); err != nil {
				t.Fatal(err)
			}
		}
	}
	return ids
}

func TestTierRun(t *testing.T) {
	r := start(t)
	r.publishModel(t, tierModel())
	ids := r.ladder(t)
	run := r.preview(t, nil)
	if run.GetScored() != 5 || run.GetMoves() < 2 || run.GetMoved() != 0 || len(run.GetTiers()) != 4 || run.GetTiers()[3].GetBefore() != 5 {
		t.Errorf("preview %v", run)
	}
	if got := r.worth(t, ids[4]); got.GetTier() != tierC || got.GetReason() != customerv1.TierReason_TIER_REASON_UNSCORED || got.GetScore() != nil {
		t.Errorf("a preview moved %v", got)
	}
	var moves []*customerv1.TierMove
	req := &customerv1.ListTierMovesRequest{TierRunId: run.GetId(), PageSize: 2}
	for {
		out, err := r.tiers.ListTierMoves(r.crm(), req)
		if err != nil {
			t.Fatal(err)
		}
		moves = append(moves, out.GetTierMoves()...)
		if req.PageToken = out.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	if int64(len(moves)) != run.GetMoves() {
		t.Errorf("%d moves listed, %d counted", len(moves), run.GetMoves())
	}
	best := moves[len(moves)-1]
	if best.GetCustomerId() != ids[4] || best.GetFrom() != tierC || best.GetTo() != best.GetScore().GetTier() || best.GetNumber() == "" ||
		best.GetReason() != customerv1.TierReason_TIER_REASON_SCORE || len(best.GetScore().GetParts()) != 8 || best.GetScore().GetParts()[0].GetRank() != 100 {
		t.Errorf("the best %v", best)
	}
	before := len(r.Events(t))
	done := r.apply(t, run.GetId())
	if done.GetMoved() != run.GetMoves() || done.GetApplier() == "" || done.GetAuthor() == done.GetApplier() {
		t.Errorf("applied %v", done)
	}
	got := r.worth(t, ids[4])
	if got.GetTier() != best.GetTo() || got.GetReason() != customerv1.TierReason_TIER_REASON_SCORE || got.GetTierRunId() != run.GetId() ||
		!proto.Equal(got.GetScore(), best.GetScore()) {
		t.Errorf("standing %v", got)
	}
	events := r.Events(t)[before:]
	if int64(len(events)) != 2*run.GetMoves() {
		t.Fatalf("%d events for %d moves", len(events), run.GetMoves())
	}
	changed, err := event.Unpack[*customerv1.TierChanged](events[len(events)-1])
	if err != nil || events[len(events)-1].GetType() != "tier.changed.v1" || changed.GetFrom() != tierC || changed.GetTo() != best.GetTo() || changed.GetTierRunId() != run.GetId() {
		t.Errorf("the last event %v, %v", changed, err)
	}
	if c := r.get(t, ids[4]); c.GetTier() != best.GetTo() {
		t.Errorf("the file says %v", c.GetTier())
	}
	if again := r.preview(t, nil); again.GetMoves() != 0 {
		t.Errorf("%d move though nothing happened", again.GetMoves())
	}
	list, err := r.tiers.ListTierRuns(r.crm(), &customerv1.ListTierRunsRequest{PageSize: 1})
	if err != nil || len(list.GetTierRuns()) != 1 || list.GetNextPageToken() == "" || list.GetTierRuns()[0].GetId() == run.GetId() {
		t.Errorf("listed %v, %v", list, err)
	}
}

func TestTierRunRefuses(t *testing.T) {
	r := start(t)
	ids := r.ladder(t)
	create := func(ctx context.Context, run *customerv1.TierRun) error {
		_, err := r.tiers.CreateTierRun(ctx, &customerv1.CreateTierRunRequest{TierRun: run})
		return err
	}
	refused(t, "future", create(r.crm(), &customerv1.TierRun{AsOfTime: r.ago(-1)}), codes.InvalidArgument, "VALIDATION_FAILED", "tier_run.as_of_time")
	refused(t, "no model", create(r.crm(), &customerv1.TierRun{TierModelId: newID(t)}), codes.NotFound, "TIER_MODEL_NOT_FOUND")
	refused(t, "a system", create(r.AsAccount("erp", "tiers.prepare"), nil), codes.PermissionDenied, "PEOPLE_ONLY")
	apply := func(ctx context.Context, id, etag string) error {
		_, err := r.tiers.ApplyTierRun(ctx, &customerv1.ApplyTierRunRequest{Id: id, Etag: etag})
		return err
	}
	first, second := r.preview(t, nil), r.preview(t, nil)
	refused(t, "unknown", apply(r.sales(), newID(t), ""), codes.NotFound, "TIER_RUN_NOT_FOUND")
	refused(t, "stale", apply(r.sales(), first.GetId(), "1"), codes.Aborted, "ETAG_MISMATCH")
	refused(t, "no right", apply(r.crm(), first.GetId(), ""), codes.PermissionDenied, "PERMISSION_DENIED")
	refused(t, "a system", apply(r.AsAccount("erp", "tiers.decide"), first.GetId(), ""), codes.PermissionDenied, "PEOPLE_ONLY")
	made, err := r.tiers.CreateTierRun(r.sales(), &customerv1.CreateTierRunRequest{})
	if err != nil {
		t.Fatal(err)
	}
	refused(t, "pending", apply(r.As(access.CompanyManager), made.GetId(), ""), codes.FailedPrecondition, "TIER_RUN_WRONG_STATE")
	r.work(t)
	refused(t, "one's own", apply(r.sales(), made.GetId(), ""), codes.PermissionDenied, "SECOND_PERSON_NEEDED")
	if err := apply(r.sales(), second.GetId(), ""); err != nil {
		t.Fatal(err)
	}
	refused(t, "another is being applied", apply(r.As(access.CompanyManager), made.GetId(), ""), codes.FailedPrecondition, "TIER_RUN_WRONG_STATE")
	r.work(t)
	refused(t, "overtaken", apply(r.sales(), first.GetId(), ""), codes.FailedPrecondition, "TIER_RUN_OVERTAKEN")
	refused(t, "again", apply(r.sales(), second.GetId(), ""), codes.FailedPrecondition, "TIER_RUN_WRONG_STATE")
	if _, err := r.tiers.ListTierMoves(r.crm(), &customerv1.ListTierMovesRequest{TierRunId: ids[0]}); err == nil {
		t.Error("moves of no run")
	}
	if got := r.worth(t, ids[0]); got.GetTierRunId() != second.GetId() {
		t.Errorf("standing %v", got)
	}
}

// Two managers apply at once, and one does.
func TestApplyRace(t *testing.T) {
	r := start(t)
	r.ladder(t)
	run := r.preview(t, nil)
	errs := make([]error, 6)
	var wg sync.WaitGroup
	for i := range errs {
		ctx := r.AsPerson(fmt.Sprint("manager ", i), access.SalesManager)
		wg.Go(func() { _, errs[i] = r.tiers.ApplyTierRun(ctx, &customerv1.ApplyTierRunRequest{Id: run.GetId()}) })
	}
	wg.Wait()
	won := 0
	for i, err := range errs {
		if err == nil {
			won++
		} else {
			refused(t, fmt.Sprint(i), err, codes.FailedPrecondition, "TIER_RUN_WRONG_STATE")
		}
	}
	if won != 1 {
		t.Errorf("%d applied it", won)
	}
}

func TestTierByHand(t *testing.T) {
	r := start(t)
	r.publishModel(t, tierModel())
	ids := r.ladder(t)
	mark := func(req *customerv1.MarkCustomerRequest) (*customerv1.Standing, error) {
		return r.tiers.MarkCustomer(r.sales(), req)
	}
	got, err := mark(&customerv1.MarkCustomerRequest{CustomerId: ids[0], Strategic: true, StrategicReason: "标杆客户", GrowthRating: 4, ReferrerCustomerId: ids[1]})
	if err != nil || got.GetTier() != tierKey || got.GetReason() != customerv1.TierReason_TIER_REASON_STRATEGIC ||
		got.GetKeyReason() != customerv1.KeyReason_KEY_REASON_STRATEGIC || got.GetPlan().GetManagerLoad() != 7 || got.GetEtag() != "1" {
		t.Fatalf("marked %v, %v", got, err)
	}
	again, err := mark(&customerv1.MarkCustomerRequest{CustomerId: ids[0], Strategic: true, StrategicReason: "标杆客户", GrowthRating: 4, ReferrerCustomerId: ids[1], Etag: "1"})
	if err != nil || !proto.Equal(again, got) {
		t.Errorf("the same again %v, %v", again, err)
	}
	// By hand goes before the mark, survives a run, and ends by itself.
	_, err = r.customers.SetTier(r.admin(), &customerv1.SetTierRequest{Id: ids[0], Tier: tierB, Reason: "paused", EndTime: r.ago(-2)})
	if err != nil {
		t.Fatal(err)
	}
	run := r.preview(t, nil)
	r.apply(t, run.GetId())
	if got = r.worth(t, ids[0]); got.GetTier() != tierB || got.GetReason() != customerv1.TierReason_TIER_REASON_OVERRIDE || got.GetOverrideEndTime() == nil || got.GetScore() == nil {
		t.Errorf("held %v", got)
	}
	if parts := got.GetScore().GetParts(); parts[3].GetRank() != 75 { // a rating of 4, for who bought nothing before
		t.Errorf("growth %v", parts[3])
	}
	if parts := r.worth(t, ids[1]).GetScore().GetParts(); parts[7].GetValue() != 1 || parts[7].GetRank() != 100 {
		t.Errorf("referrals %v", parts[7])
	}
	r.Clock.Advance(72 * time.Hour)
	if err := r.EndTiers(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got = r.worth(t, ids[0]); got.GetTier() != tierKey || got.GetReason() != customerv1.TierReason_TIER_REASON_STRATEGIC {
		t.Errorf("after the end %v", got)
	}
	if got, err = mark(&customerv1.MarkCustomerRequest{CustomerId: ids[0]}); err != nil || got.GetTier() != got.GetScore().GetTier() || got.GetStrategicReason() != "" {
		t.Errorf("unmarked %v, %v", got, err)
	}
	for field, req := range map[string]*customerv1.MarkCustomerRequest{
		"strategic_reason": {CustomerId: ids[0], Strategic: true}, "growth_rating": {CustomerId: ids[0], GrowthRating: 6},
		"referrer_customer_id": {CustomerId: ids[0], ReferrerCustomerId: ids[0]},
	} {
		_, err = mark(req)
		refused(t, field, err, codes.InvalidArgument, "VALIDATION_FAILED", field)
	}
	_, err = mark(&customerv1.MarkCustomerRequest{CustomerId: ids[0], ReferrerCustomerId: newID(t)})
	refused(t, "unknown referrer", err, codes.InvalidArgument, "VALIDATION_FAILED", "referrer_customer_id")
	_, err = mark(&customerv1.MarkCustomerRequest{CustomerId: newID(t)})
	refused(t, "unknown", err, codes.NotFound, "CUSTOMER_NOT_FOUND")
	_, err = mark(&customerv1.MarkCustomerRequest{CustomerId: ids[0], Etag: "77"})
	refused(t, "stale", err, codes.Aborted, "ETAG_MISMATCH")
	_, err = r.tiers.MarkCustomer(r.AsAccount("erp", "tiers.mark"), &customerv1.MarkCustomerRequest{CustomerId: ids[0]})
	refused(t, "a system", err, codes.PermissionDenied, "PEOPLE_ONLY")
	_, err = r.tiers.GetStanding(r.sales(), &customerv1.GetStandingRequest{CustomerId: newID(t)})
	refused(t, "standing of nobody", err, codes.NotFound, "CUSTOMER_NOT_FOUND")
}

func TestTierModels(t *testing.T) {
	r := start(t)
	bad := tierModel()
	bad.Weights.Scale, bad.Limits.B, bad.Rates[0].Rate = 0.9, 99, "0"
	_, err := r.tiers.CreateTierModel(r.crm(), &customerv1.CreateTierModelRequest{TierModel: bad})
	refused(t, "bad", err, codes.InvalidArgument, "VALIDATION_FAILED", "tier_model.weights", "tier_model.limits", "tier_model.rates[0].rate")
	_, err = r.tiers.CreateTierModel(r.crm(), &customerv1.CreateTierModelRequest{})
	refused(t, "nothing", err, codes.InvalidArgument, "VALIDATION_FAILED", "tier_model")
	_, err = r.tiers.CreateTierModel(r.AsAccount("erp", "tiers.prepare"), &customerv1.CreateTierModelRequest{TierModel: tierModel()})
	refused(t, "a system", err, codes.PermissionDenied, "PEOPLE_ONLY")
	made := r.publishModel(t, tierModel())
	got, err := r.tiers.GetTierModel(r.crm(), &customerv1.GetTierModelRequest{Id: made.GetId()})
	if err != nil || !proto.Equal(got, made) || got.GetVersion() != 2 {
		t.Errorf("read %v, %v", got, err)
	}
	list, err := r.tiers.ListTierModels(r.crm(), &customerv1.ListTierModelsRequest{})
	if err != nil || len(list.GetTierModels()) != 2 || list.GetTierModels()[1].GetWeights().GetScale() != 0.35 {
		t.Errorf("listed %v, %v", list, err)
	}
	_, err = r.tiers.GetTierModel(r.crm(), &customerv1.GetTierModelRequest{Id: newID(t)})
	refused(t, "unknown", err, codes.NotFound, "TIER_MODEL_NOT_FOUND")
	_, err = r.tiers.PublishTierModel(r.sales(), &customerv1.PublishTierModelRequest{Id: made.GetId()})
	refused(t, "again", err, codes.FailedPrecondition, "VERSION_PUBLISHED")
}

func TestScheduledTierRun(t *testing.T) {
	r := startWith(t, false, "monthly")
	r.ladder(t)
	for range 2 {
		r.work(t)
	}
	list, err := r.tiers.ListTierRuns(r.crm(), &customerv1.ListTierRunsRequest{})
	if err != nil || len(list.GetTierRuns()) != 1 {
		t.Fatalf("runs %v, %v", list, err)
	}
	run := list.GetTierRuns()[0]
	if run.GetSchedule() == "" || run.GetState() != customerv1.TierRunState_TIER_RUN_STATE_PREVIEW || run.GetScored() != 5 {
		t.Errorf("scheduled %v", run)
	}
	r.apply(t, run.GetId())
	r.Clock.Advance(32 * 24 * time.Hour)
	r.work(t)
	if n := r.count(t, `SELECT count(*) FROM tier_runs`); n != 2 {
		t.Errorf("%d runs after a month, want 2", n)
	}
}

// The statement gives what the rules say, on customers as they come.
func TestScoresEqualTheReference(t *testing.T) {
	r := start(t)
	m := r.publishModel(t, tierModel())
	asOf := r.Clock.Now().UTC().Truncate(time.Microsecond)
	var ids []string
	var buyers []buyer
	draw := rapid.Custom(func(t *rapid.T) buyer {
		b := buyer{rating: rapid.IntRange(0, 5).Draw(t, "rating")}
		for range rapid.IntRange(0, 5).Draw(t, "orders") {
			back := rapid.SampledFrom([]time.Duration{0, time.Hour, 365 * 24 * time.Hour, 730 * 24 * time.Hour}).Draw(t, "about") +
				time.Duration(rapid.Int64Range(0, 300*24*3600).Draw(t, "ago"))*time.Second
			o := &customerv1.Order{OrderTime: timestamppb.New(asOf.Add(-back))}
			cur := rapid.SampledFrom([]string{"CNY", "USD", "EUR"}).Draw(t, "currency")
			sum := func(name string) *money.Money {
				return &money.Money{CurrencyCode: cur, Units: rapid.Int64Range(0, 3).Draw(t, name), Nanos: rapid.SampledFrom([]int32{0, 1, 500_000_000}).Draw(t, name+" nanos")}
			}
			if rapid.Bool().Draw(t, "has amount") {
				o.Amount = sum("amount")
			}
			if rapid.Bool().Draw(t, "has cost") {
				o.Cost = sum("cost")
			}
			for range rapid.IntRange(0, 2).Draw(t, "lines") {
				o.Lines = append(o.Lines, &customerv1.OrderLine{ProductModel: "M", Quantity: rapid.Int32Range(1, 9).Draw(t, "quantity")})
			}
			b.orders = append(b.orders, o)
		}
		return b
	})
	referrer := ""
	for i := range 60 {
		b := draw.Example(i)
		c := r.make(t, file(fmt.Sprint("customer ", i)))
		for k, o := range b.orders {
			o.OrderNumber = fmt.Sprintf("S-%d-%d", i, k)
			if _, err := r.upsert(c.GetId(), o); err != nil {
				t.Fatal(err)
			}
		}
		if i%3 == 1 {
			referrer = c.GetId()
		}
		if b.rating > 0 || referrer != "" && referrer != c.GetId() {
			req := &customerv1.MarkCustomerRequest{CustomerId: c.GetId(), GrowthRating: int32(b.rating)}
			if referrer != "" && referrer != c.GetId() {
				req.ReferrerCustomerId = referrer
				buyers[slices.Index(ids, referrer)].referrals++
			}
			if _, err := r.tiers.MarkCustomer(r.sales(), req); err != nil {
				t.Fatal(err)
			}
		}
		ids, buyers = append(ids, c.GetId()), append(buyers, b)
	}
	run := r.preview(t, &customerv1.TierRun{AsOfTime: timestamppb.New(asOf)})
	if run.GetOrdersLeftOut() == 0 {
		t.Error("the orders in a currency without a rate are not counted")
	}
	r.equalScores(t, run.GetId(), ids, buyers, m, asOf)
}
