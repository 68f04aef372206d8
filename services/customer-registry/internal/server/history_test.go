package server_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/services/internal/access"
)

// history reads all of a file's history, or of a field's, the oldest first.
func (r *registry) history(t *testing.T, id, field string) []*customerv1.CustomerChange {
	t.Helper()
	var out []*customerv1.CustomerChange
	req := &customerv1.ListCustomerChangesRequest{CustomerId: id, Field: field, PageSize: 3}
	for {
		page, err := r.files.ListCustomerChanges(r.admin(), req)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, page.GetChanges()...)
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
			slices.Reverse(out)
			return out
		}
	}
}

// lines are changes as "field: before → after".
func lines(changes []*customerv1.CustomerChange) []string {
	var out []string
	for _, c := range changes {
		out = append(out, fmt.Sprintf("%s: %s → %s", c.GetField(), c.GetBefore(), c.GetAfter()))
	}
	return out
}

func (r *registry) tells(t *testing.T, what, id, field string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, lines(r.history(t, id, field))); diff != "" {
		t.Errorf("the history of %s: %s", what, diff)
	}
}

// TestEveryFieldOfAFileHasAHistory goes through the fields of the contract, so that a new one
// is not forgotten.
func TestEveryFieldOfAFileHasAHistory(t *testing.T) {
	r := start(t)
	r.define(t, attribute("fleet", customerv1.AttributeType_ATTRIBUTE_TYPE_NUMBER))
	made := r.make(t, file("bare"))
	given := rich()
	given.Name, given.Phone, given.Tags, given.Language = "其他名称", "021 6888 1234 ext. 12", []string{"vip"}, "en"
	given.Kind, given.Party, given.Lifecycle = customerv1.CustomerKind_CUSTOMER_KIND_AGENT, customerv1.Party_PARTY_PERSON, customerv1.Lifecycle_LIFECYCLE_LAPSED
	given.ClassificationCode, given.Industry, given.SourceChannel, given.OwnerStaffId = "K-1", "机械", "fair", newID(t)
	given.Attributes = []*customerv1.AttributeValue{numberOf("fleet", 3)}
	given.Id = made.GetId()
	// What is not set by UpdateCustomer, and where the history tells of it; "" for what is
	// fixed or follows from the rest.
	elsewhere := map[string]string{
		"id": "", "number": "", "etag": "", "create_time": "", "update_time": "", "phone_quality": "", "email_quality": "",
		"phone_extension": "phone", "retire_reason": "status", "retire_time": "status", "status": "status", "consents": "consents.marketing",
		"tier": "tier", "tier_reason": "tier_reason", "tier_end_time": "tier_end_time", "review_due_time": "review_due_time",
	}
	var paths []string
	fields := made.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		if name := string(fields.Get(i).Name()); !hasKey(elsewhere, name) {
			paths = append(paths, name)
		}
	}
	r.update(t, given, customerv1.ValueSource_VALUE_SOURCE_ASKED, paths...)
	r.Clock.Advance(time.Hour)
	r.alter(t, made.GetId())
	told := map[string]*customerv1.CustomerChange{}
	for _, c := range r.history(t, made.GetId(), "") {
		field, _, _ := strings.Cut(c.GetField(), ".")
		told[c.GetField()], told[field] = c, c
	}
	for _, path := range paths {
		elsewhere[path] = path
	}
	for field, at := range elsewhere {
		if at != "" && (told[at].GetAfter() == "" || told[at].GetActor() == "" || told[at].GetChangeTime() == nil) {
			t.Errorf("the history tells of %s: %v", field, told[at])
		}
	}
	if phone := told["phone"]; phone.GetAfter() != "+862168881234;ext=12" || phone.GetSource() != customerv1.ValueSource_VALUE_SOURCE_ASKED {
		t.Errorf("the phone: %v", phone)
	}
	r.update(t, &customerv1.Customer{Id: made.GetId(), Phone: "021 6888 1234 ext. 13"}, 0, "phone")
	r.tells(t, "an extension", made.GetId(), "phone", "phone:  → +862168881234;ext=12", "phone: +862168881234;ext=12 → +862168881234;ext=13")
}

func hasKey(m map[string]string, key string) bool { _, ok := m[key]; return ok }

// alter changes of a file what UpdateCustomer does not.
func (r *registry) alter(t *testing.T, id string) {
	t.Helper()
	_, err := r.customers.SetTier(r.admin(), &customerv1.SetTierRequest{Id: id, Tier: tierA, Reason: "展会", EndTime: timestamppb.New(r.Clock.Now().Add(48 * time.Hour))})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.files.ConfirmCustomer(r.admin(), &customerv1.ConfirmCustomerRequest{Id: id}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.customers.SetConsent(r.crm(), consent(id, marketing, true)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.files.RetireCustomer(r.admin(), &customerv1.RetireCustomerRequest{Id: id, Reason: "重复"}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.files.RestoreCustomer(r.admin(), &customerv1.RestoreCustomerRequest{Id: id}); err != nil {
		t.Fatal(err)
	}
}

func TestHistoryOfConsentVerificationAndReview(t *testing.T) {
	r := start(t)
	made := r.make(t, rich())
	for _, granted := range []bool{true, false} {
		if _, err := r.customers.SetConsent(r.crm(), consent(made.GetId(), marketing, granted)); err != nil {
			t.Fatal(err)
		}
	}
	decided := r.history(t, made.GetId(), "consents")
	if len(decided) != 2 || decided[0].GetBefore() != "" || decided[1].GetBefore() != decided[0].GetAfter() || decided[1].GetField() != "consents.marketing" ||
		!strings.Contains(decided[0].GetAfter(), `"granted":true`) || strings.Contains(decided[1].GetAfter(), "granted") || decided[1].GetEtag() != "3" {
		t.Errorf("decisions: %v", decided)
	}
	for _, method := range []string{"called back", "licence seen"} {
		_, err := r.files.VerifyCustomer(r.admin(), &customerv1.VerifyCustomerRequest{Id: made.GetId(), Fields: []string{"phone", "credit.rating"}, Method: method})
		if err != nil {
			t.Fatal(err)
		}
	}
	r.tells(t, "verifications", made.GetId(), "verifications.phone", "verifications.phone:  → called back", "verifications.phone: called back → licence seen")
	due := r.get(t, made.GetId()).GetReviewDueTime().AsTime()
	r.Clock.Advance(24 * time.Hour)
	if _, err := r.files.ConfirmCustomer(r.admin(), &customerv1.ConfirmCustomerRequest{Id: made.GetId()}); err != nil {
		t.Fatal(err)
	}
	at := func(at time.Time) string { return `"` + at.UTC().Format(time.RFC3339) + `"` }
	r.tells(t, "a review", made.GetId(), "review_due_time", fmt.Sprintf("review_due_time: %s → %s", at(due), at(due.Add(24*time.Hour))))
}

func TestHistoryOfTierAndStanding(t *testing.T) {
	r := start(t)
	model := tierModel()
	model.Limits.Key, model.Limits.A = 70, 60
	r.publishModel(t, model)
	ids := r.ladder(t)
	run := r.preview(t, nil)
	r.apply(t, run.GetId())
	moved := 0
	for _, id := range ids {
		changes := r.history(t, id, "tier")
		moved += len(changes)
		if to := r.get(t, id).GetTier(); to == tierC && len(changes) != 0 || to != tierC && (len(changes) != 1 || changes[0].GetBefore() != "TIER_C" || changes[0].GetAfter() != to.String()) {
			t.Errorf("moved to %v by a run: %v", to, changes)
		}
	}
	if int64(moved) != run.GetMoves() || moved == 0 {
		t.Errorf("%d moves in the history, %d in the run", moved, run.GetMoves())
	}
	best := ids[4]
	if actor := r.history(t, best, "tier")[0].GetActor(); !strings.HasSuffix(actor, access.SalesManager) {
		t.Errorf("moved by %s, want who applied the run", actor)
	}
	r.tells(t, "why", best, "standing", "standing.reason: TIER_REASON_UNSCORED → TIER_REASON_SCORE", "standing.key_reason:  → "+r.worth(t, best).GetKeyReason().String())
	first := ids[0]
	_, err := r.tiers.MarkCustomer(r.sales(), &customerv1.MarkCustomerRequest{CustomerId: first, Strategic: true, StrategicReason: "标杆客户", GrowthRating: 4, ReferrerCustomerId: best})
	if err != nil {
		t.Fatal(err)
	}
	r.tells(t, "the marks", first, "standing",
		"standing.growth_rating:  → 4", "standing.referrer_customer_id:  → "+best, "standing.strategic:  → true", "standing.strategic_reason:  → 标杆客户",
		"standing.reason: TIER_REASON_SCORE → TIER_REASON_STRATEGIC", "standing.key_reason:  → KEY_REASON_STRATEGIC")
	end := timestamppb.New(r.Clock.Now().Add(48 * time.Hour))
	if _, err := r.customers.SetTier(r.admin(), &customerv1.SetTierRequest{Id: first, Tier: tierB, Reason: "paused", EndTime: end}); err != nil {
		t.Fatal(err)
	}
	r.Clock.Advance(72 * time.Hour)
	if err := r.EndTiers(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.tells(t, "the tier", first, "tier", "tier: TIER_C → TIER_KEY", "tier: TIER_KEY → TIER_B", "tier: TIER_B → TIER_KEY")
	r.tells(t, "the reason", first, "tier_reason", "tier_reason:  → paused", "tier_reason: paused → ")
	until := r.history(t, first, "tier_end_time")
	if len(until) != 2 || !strings.Contains(until[0].GetAfter(), "T") || until[0].GetAfter() != until[1].GetBefore() || until[1].GetAfter() != "" || !strings.Contains(until[1].GetActor(), "customer-registry") {
		t.Errorf("the end of what was set by hand: %v", until)
	}
	if n := r.count(t, `SELECT count(*) FROM customer_changes WHERE encode(coalesce(before, '') || coalesce(after, ''), 'escape') LIKE '%TIER_%'`); n != 0 {
		t.Error("the history of tiers is stored in plain")
	}
	// A second run tells what they came from by the first one's score.
	next := r.preview(t, nil)
	if _, err := r.Pool.Exec(t.Context(), `UPDATE tier_scores SET to_tier = 1, tier = 1 WHERE run_id = $1 AND customer_id = $2`, next.GetId(), best); err != nil {
		t.Fatal(err)
	}
	r.apply(t, next.GetId())
	changes := r.history(t, best, "")
	if got := lines(changes[len(changes)-2:]); got[0] != "tier: TIER_KEY → TIER_C" || !strings.HasPrefix(got[1], "standing.key_reason: KEY_REASON_") || !strings.HasSuffix(got[1], "→ ") {
		t.Errorf("the second run: %v", got)
	}
}

func TestHistoryOfContactsAndPurchases(t *testing.T) {
	r := start(t)
	made := r.make(t, full())
	id := made.GetId()
	contact := r.addContact(t, id, person("李四"))
	if _, err := r.contacts.DeleteContact(r.As(access.CRMSpecialist), &customerv1.DeleteContactRequest{CustomerId: id, Id: contact.GetId()}); err != nil {
		t.Fatal(err)
	}
	r.tells(t, "the contacts", id, "contacts", "contacts:  → "+contact.GetId(), "contacts: "+contact.GetId()+" → ")
	of := r.history(t, id, "contacts")
	if of[0].GetContactId() != contact.GetId() || of[1].GetContactId() != contact.GetId() || of[1].GetEtag() != "2" || !strings.HasSuffix(of[1].GetActor(), access.CRMSpecialist) {
		t.Errorf("who was removed by whom: %v", of)
	}
	order := r.order("H-1")
	for _, status := range []string{"paid", "paid", "shipped"} {
		order = proto.CloneOf(order)
		order.Status = status
		if _, err := r.upsert(id, order); err != nil {
			t.Fatal(err)
		}
	}
	order.Lines[0].Quantity++
	if _, err := r.upsert(id, order); err != nil {
		t.Fatal(err)
	}
	r.tells(t, "an order", id, "orders.H-1.status", "orders.H-1.status: paid → shipped")
	if changed := r.history(t, id, "orders.H-1.lines"); len(changed) != 1 || !strings.HasPrefix(changed[0].GetAfter(), `[{"`) || changed[0].GetBefore() == changed[0].GetAfter() {
		t.Errorf("the lines: %v", changed)
	}
	product := r.product("SN-H1")
	for _, model := range []string{"P-9", "P-10"} {
		product.ProductModel = model
		if _, err := r.install(id, product); err != nil {
			t.Fatal(err)
		}
	}
	r.tells(t, "a product", id, "installed_products", "installed_products.SN-H1.product_model: P-9 → P-10")
	if got := r.history(t, id, "installed_products")[0]; got.GetSource() != customerv1.ValueSource_VALUE_SOURCE_IMPORT || got.GetEtag() != "2" {
		t.Errorf("where the model came from: %v", got)
	}
}
