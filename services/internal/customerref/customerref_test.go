package customerref_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/testkit"
	"github.com/kefu-suite/kefu/services/internal/customerref"
)

// registry answers what it was told to and counts how often it was asked.
type registry struct {
	refs  map[string]*customerv1.CustomerRef
	err   error
	asked int
}

func (r *registry) ResolveCustomer(_ context.Context, in *customerv1.ResolveCustomerRequest, _ ...grpc.CallOption) (*customerv1.CustomerRef, error) {
	r.asked++
	if r.err != nil {
		return nil, r.err
	}
	if ref, ok := r.refs[in.GetId()]; ok {
		return ref, nil
	}
	return nil, rpcerr.NotFound("customer", in.GetId()).GRPCStatus().Err()
}

func ref(id uuid.UUID, version int64) *customerv1.CustomerRef {
	return &customerv1.CustomerRef{
		Id: id.String(), Number: "C-202611-000001", Kind: customerv1.CustomerKind_CUSTOMER_KIND_DIRECT_USER,
		Tier: typev1.Tier_TIER_C, Region: "华东", Status: customerv1.CustomerStatus_CUSTOMER_STATUS_ACTIVE,
		OwnerStaffId: "01890a5d-ac96-774b-bcce-b302099a8057", ServiceQualityConsent: true,
		Language: "zh-CN", Version: version,
	}
}

func newID(t *testing.T) uuid.UUID {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func envelope(t *testing.T, kind string, payload *customerv1.CustomerRef) *eventv1.Envelope {
	t.Helper()
	packed, err := anypb.New(&customerv1.CustomerChanged{Customer: payload})
	if err != nil {
		t.Fatal(err)
	}
	return &eventv1.Envelope{Id: newID(t).String(), Type: kind, SubjectId: payload.GetId(), Payload: packed}
}

// TestRetire: closed here until a newer version says otherwise, and nobody else.
func TestRetire(t *testing.T) {
	ctx := t.Context()
	db := testkit.Database(t, customerref.Migrations())
	id, other := newID(t), newID(t)
	status := func(of uuid.UUID) customerv1.CustomerStatus {
		t.Helper()
		got, err := customerref.Get(ctx, db.Pool, of)
		if err != nil {
			t.Fatal(err)
		}
		return got.Status
	}
	apply := func(of uuid.UUID, version int64) {
		t.Helper()
		if _, err := customerref.Apply(ctx, db.Pool, ref(of, version)); err != nil {
			t.Fatal(err)
		}
	}
	apply(id, 3)
	apply(other, 3)
	if err := customerref.Retire(ctx, db.Pool, []uuid.UUID{id, newID(t)}); err != nil {
		t.Fatal(err)
	}
	apply(id, 3) // an event that comes again
	if status(id) != customerv1.CustomerStatus_CUSTOMER_STATUS_RETIRED || status(other) != customerv1.CustomerStatus_CUSTOMER_STATUS_ACTIVE {
		t.Errorf("retired %v, another %v", status(id), status(other))
	}
	apply(id, 4)
	if status(id) != customerv1.CustomerStatus_CUSTOMER_STATUS_ACTIVE {
		t.Errorf("what the registry said later does not count: %v", status(id))
	}
}

func TestApplyKeepsTheNewestVersion(t *testing.T) {
	ctx := t.Context()
	db := testkit.Database(t, customerref.Migrations())
	id := newID(t)
	for _, step := range []struct {
		version int64
		tier    typev1.Tier
		stored  bool
		want    typev1.Tier
	}{
		{2, typev1.Tier_TIER_B, true, typev1.Tier_TIER_B},
		{1, typev1.Tier_TIER_C, false, typev1.Tier_TIER_B},
		{2, typev1.Tier_TIER_A, false, typev1.Tier_TIER_B},
		{5, typev1.Tier_TIER_KEY, true, typev1.Tier_TIER_KEY},
	} {
		in := ref(id, step.version)
		in.Tier = step.tier
		stored, err := customerref.Apply(ctx, db.Pool, in)
		if err != nil {
			t.Fatal(err)
		}
		got, err := customerref.Get(ctx, db.Pool, id)
		if err != nil {
			t.Fatal(err)
		}
		if stored != step.stored || got.Tier != step.want {
			t.Errorf("version %d: stored %v tier %v, want %v %v", step.version, stored, got.Tier, step.stored, step.want)
		}
	}
	got, err := customerref.Get(ctx, db.Pool, id)
	if err != nil {
		t.Fatal(err)
	}
	want, err := customerref.FromProto(ref(id, 5))
	if err != nil {
		t.Fatal(err)
	}
	want.Tier = typev1.Tier_TIER_KEY
	if got != want {
		t.Errorf("stored %+v, want %+v", got, want)
	}
}

func TestApplyRefusesAMalformedReference(t *testing.T) {
	db := testkit.Database(t, customerref.Migrations())
	for name, spoil := range map[string]func(*customerv1.CustomerRef){
		"id":             func(r *customerv1.CustomerRef) { r.Id = "x" },
		"owner_staff_id": func(r *customerv1.CustomerRef) { r.OwnerStaffId = "x" },
		"merged_into":    func(r *customerv1.CustomerRef) { r.MergedInto = "x" },
	} {
		in := ref(newID(t), 1)
		spoil(in)
		if _, err := customerref.Apply(t.Context(), db.Pool, in); err == nil {
			t.Errorf("a reference with a bad %s was stored", name)
		}
	}
}

func TestHandleTakesCustomerEventsOnly(t *testing.T) {
	ctx := t.Context()
	db := testkit.Database(t, customerref.Migrations())
	handle := func(env *eventv1.Envelope) error {
		return pg.InTx(ctx, db.Pool, func(tx pgx.Tx) error { return customerref.Handle(ctx, tx, env) })
	}
	id := newID(t)
	created := envelope(t, customerref.TypeCreated, ref(id, 1))
	later := ref(id, 2)
	later.ServiceQualityConsent = false
	changed := envelope(t, customerref.TypeChanged, later)
	for _, env := range []*eventv1.Envelope{created, created, changed, created, changed} {
		if err := handle(env); err != nil {
			t.Fatal(err)
		}
	}
	got, err := customerref.Get(ctx, db.Pool, id)
	if err != nil {
		t.Fatal(err)
	}
	if got.Version != 2 || got.ServiceQualityConsent {
		t.Errorf("after replays: %+v, want version 2 without consent", got)
	}
	other := envelope(t, "order.recorded.v1", ref(newID(t), 1))
	if err := handle(other); err != nil {
		t.Fatal(err)
	}
	if _, err := customerref.Get(ctx, db.Pool, uuid.MustParse(other.GetSubjectId())); !errors.Is(err, customerref.ErrUnknown) {
		t.Errorf("an event of another type stored a customer: %v", err)
	}
	bad := envelope(t, customerref.TypeChanged, ref(id, 3))
	bad.Payload.Value = []byte{0xff}
	if err := handle(bad); err == nil {
		t.Error("a payload that cannot be read was accepted")
	}
}

func TestEnsure(t *testing.T) {
	ctx := t.Context()
	db := testkit.Database(t, customerref.Migrations())
	id := newID(t)
	reg := &registry{refs: map[string]*customerv1.CustomerRef{id.String(): ref(id, 1)}}
	for range 2 {
		got, err := customerref.Ensure(ctx, db.Pool, id, "ticket.customer_id", reg)
		if err != nil || got.ID != id || got.Number != "C-202611-000001" {
			t.Fatalf("Ensure: %+v, %v", got, err)
		}
	}
	if reg.asked != 1 {
		t.Errorf("the registry was asked %d times, want once", reg.asked)
	}

	_, err := customerref.Ensure(ctx, db.Pool, newID(t), "ticket.customer_id", reg)
	var public *rpcerr.Error
	if !errors.As(err, &public) || public.Code() != codes.InvalidArgument || !violates(public, "ticket.customer_id") {
		t.Errorf("an unknown customer: %v, want a violation of ticket.customer_id", err)
	}
	for _, code := range []codes.Code{codes.Unavailable, codes.DeadlineExceeded, codes.ResourceExhausted} {
		reg.err = status.Error(code, "down")
		_, err = customerref.Ensure(ctx, db.Pool, newID(t), "customer_id", reg)
		if !errors.As(err, &public) || public.Code() != codes.Unavailable || public.Reason() != rpcerr.ReasonDependency {
			t.Errorf("registry answers %v: %v, want UNAVAILABLE", code, err)
		}
	}
	reg.err = status.Error(codes.PermissionDenied, "no")
	if _, err = customerref.Ensure(ctx, db.Pool, newID(t), "customer_id", reg); err == nil || errors.As(err, &public) && public.Code() == codes.Unavailable {
		// A fault of ours is private, neither the caller's nor a passing one.
		t.Errorf("registry refuses us: %v, want a private error", err)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err = customerref.Ensure(ended, db.Pool, newID(t), "customer_id", reg); !errors.Is(err, context.Canceled) {
		t.Errorf("after the caller left: %v, want context.Canceled", err)
	}
}

func violates(err *rpcerr.Error, field string) bool {
	for _, v := range badRequest(err) {
		if v == field {
			return true
		}
	}
	return false
}

func TestEnsureFollowsMerges(t *testing.T) {
	ctx := t.Context()
	db := testkit.Database(t, customerref.Migrations())
	first, second, last := newID(t), newID(t), newID(t)
	reg := &registry{refs: map[string]*customerv1.CustomerRef{first.String(): ref(last, 1)}}
	merge := func(from, into uuid.UUID) {
		in := ref(from, 2)
		in.MergedInto = into.String()
		if _, err := customerref.Apply(ctx, db.Pool, in); err != nil {
			t.Fatal(err)
		}
	}
	merge(first, second)
	merge(second, last)
	// The survivor's own event has not come: the registry knows it.
	for range 2 {
		got, err := customerref.Ensure(ctx, db.Pool, first, "customer_id", reg)
		if err != nil || got.ID != last {
			t.Fatalf("Ensure: %v, %v, want %v", got.ID, err, last)
		}
	}
	if reg.asked != 1 {
		t.Errorf("the registry was asked %d times, want once", reg.asked)
	}
	merge(last, first)
	if _, err := customerref.Get(ctx, db.Pool, first); !errors.Is(err, customerref.ErrUnknown) {
		t.Errorf("a cycle of merges: %v, want ErrUnknown", err)
	}
}

func TestEnsureAllAsksOncePerUnknown(t *testing.T) {
	ctx := t.Context()
	db := testkit.Database(t, customerref.Migrations())
	here, there, nowhere := newID(t), newID(t), newID(t)
	if _, err := customerref.Apply(ctx, db.Pool, ref(here, 1)); err != nil {
		t.Fatal(err)
	}
	reg := &registry{refs: map[string]*customerv1.CustomerRef{there.String(): ref(there, 1)}}
	got, err := customerref.EnsureAll(ctx, db.Pool, []uuid.UUID{here, there, nowhere, nowhere, there}, reg)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[here].ID != here || got[there].ID != there {
		t.Errorf("got %v, want %v and %v", got, here, there)
	}
	if reg.asked != 2 {
		t.Errorf("the registry was asked %d times, want 2", reg.asked)
	}
	reg.err = status.Error(codes.Unavailable, "down")
	if _, err := customerref.EnsureAll(ctx, db.Pool, []uuid.UUID{newID(t)}, reg); err == nil {
		t.Error("an unreachable registry was passed over")
	}
}

func TestEnsureActive(t *testing.T) {
	db := testkit.Database(t, customerref.Migrations())
	used, retired := newID(t), newID(t)
	gone := ref(retired, 2)
	gone.Status = customerv1.CustomerStatus_CUSTOMER_STATUS_RETIRED
	r := &registry{refs: map[string]*customerv1.CustomerRef{used.String(): ref(used, 1), retired.String(): gone}}
	if _, err := customerref.EnsureActive(t.Context(), db.Pool, used, "customer_id", r); err != nil {
		t.Errorf("a file in use: %v", err)
	}
	for range 2 { // asked of the registry, then known here
		_, err := customerref.EnsureActive(t.Context(), db.Pool, retired, "customer_id", r)
		if status.Code(err) != codes.FailedPrecondition || rpcerr.Reason(err) != "CUSTOMER_RETIRED" {
			t.Errorf("a retired file: %v", err)
		}
	}
}
