package server_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/internal/customerref"
)

// wallClock is an instant by the wall clock of the company.
func wallClock(t *testing.T, at string) time.Time {
	t.Helper()
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	out, err := time.ParseInLocation("2006-01-02 15:04:05", at, zone)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// explain gives the receipt of a ticket's clock and checks that it adds up: segments
// without gaps whose counted ones come to the target, sums that are theirs.
func (w *world) explain(id, kind string) *clockv1.ClockExplanation {
	w.t.Helper()
	got, err := w.tickets.ExplainTicketClock(w.manager(), &ticketv1.ExplainTicketClockRequest{TicketId: id, Clock: kind})
	if err != nil {
		w.t.Fatal(err)
	}
	var counted, all, sums time.Duration
	var end time.Time
	for i, g := range got.GetSegments() {
		start := g.GetStartTime().AsTime()
		if i > 0 && !start.Equal(end) {
			w.t.Errorf("%s: a gap before %v", kind, g)
		}
		end = g.GetEndTime().AsTime()
		length := end.Sub(start)
		if length <= 0 || length != g.GetLength().AsDuration() {
			w.t.Errorf("%s: segment %v", kind, g)
		}
		if all += length; g.GetCounted() {
			counted += length
		}
	}
	for _, s := range got.GetSums() {
		sums += s.GetLength().AsDuration()
	}
	c := got.GetClock()
	if sums != all || counted != got.GetCounted().AsDuration() {
		w.t.Errorf("%s: sums %v of %v, counted %v and %v", kind, sums, all, counted, got.GetCounted().AsDuration())
	}
	if c.GetDueTime() != nil && (counted != c.GetWorkingTime().AsDuration() || !end.Equal(c.GetDueTime().AsTime())) {
		w.t.Errorf("%s: counted %v to %v, want %v to %v", kind, counted, end, c.GetWorkingTime().AsDuration(), c.GetDueTime().AsTime())
	}
	return got
}

// due checks when a clock is due, by the wall clock; empty for not known.
func (w *world) due(id, kind, want string) *clockv1.ClockExplanation {
	w.t.Helper()
	got := w.explain(id, kind)
	var due string
	if at := got.GetClock().GetDueTime(); at != nil {
		due = at.AsTime().In(wallClock(w.t, "2026-01-01 00:00:00").Location()).Format("2006-01-02 15:04:05")
	}
	if due != want {
		w.t.Errorf("%s is due %q, want %q: %v", kind, due, want, got.GetText().GetEn())
	}
	return got
}

func (w *world) clocksOf(id string) map[string]*clockv1.Clock {
	w.t.Helper()
	got, err := w.tickets.ListTicketClocks(w.manager(), &ticketv1.ListTicketClocksRequest{TicketId: id})
	if err != nil {
		w.t.Fatal(err)
	}
	out := map[string]*clockv1.Clock{}
	for _, c := range got.GetClocks() {
		out[c.GetKind()] = c
	}
	return out
}

func (w *world) state(id, kind string, want clock.Phase) *clockv1.Clock {
	w.t.Helper()
	c := w.clocksOf(id)[kind]
	if c.GetState() != want {
		w.t.Errorf("%s is %v, want %v", kind, c.GetState(), want)
	}
	return c
}

func (w *world) must(t *ticketv1.Ticket, err error) *ticketv1.Ticket {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
	return t
}

func (w *world) set(at string) { w.Clock.Set(wallClock(w.t, at).UTC()) }

func (w *world) prioritize(id string, p ticketv1.Priority) {
	w.t.Helper()
	w.must(w.tickets.PrioritizeTicket(w.manager(), &ticketv1.PrioritizeTicketRequest{Id: id, Priority: p, Reason: "impact"}))
}

func (w *world) reply(id string, public bool) {
	w.t.Helper()
	if _, err := w.tickets.CreateComment(w.AsStaff(access.ServiceAgent, "agent-1"), &ticketv1.CreateCommentRequest{
		TicketId: id, Comment: &ticketv1.Comment{Body: "looking into it", Public: public},
	}); err != nil {
		w.t.Fatal(err)
	}
}

// promote tells the service of another tier of a customer.
func (w *world) promote(id string, tier typev1.Tier, version int64) error {
	packed, err := anypb.New(&customerv1.CustomerChanged{Customer: &customerv1.CustomerRef{
		Id: id, Number: "C-202611-000001", Kind: customerv1.CustomerKind_CUSTOMER_KIND_DIRECT_USER,
		Tier: tier, Status: customerv1.CustomerStatus_CUSTOMER_STATUS_ACTIVE, Language: "zh-CN", Version: version,
	}})
	if err != nil {
		return err
	}
	env := &eventv1.Envelope{
		Id: uuid.Must(uuid.NewV7()).String(), Position: version, Type: customerref.TypeChanged, SubjectId: id,
		SubjectVersion: version, CustomerId: id, Payload: packed, OccurTime: timestamppb.New(w.Clock.Now()),
	}
	ctx := w.t.Context()
	return pg.InTx(ctx, w.Pool, func(tx pgx.Tx) error { return w.server.HandleCustomer(ctx, tx, env) })
}

// rebuilt checks that what is stored of every clock is what its log comes to.
func (w *world) rebuilt() {
	w.t.Helper()
	rows, err := w.Pool.Query(w.t.Context(), "SELECT id, state, target, due_time, stop_time, next_step_time, version FROM clocks")
	if err != nil {
		w.t.Fatal(err)
	}
	type cache struct {
		ID                              uuid.UUID
		State                           int16
		Target                          int64
		DueTime, StopTime, NextStepTime *time.Time
		Version                         int64
	}
	stored, err := pgx.CollectRows(rows, pgx.RowToStructByPos[cache])
	if err != nil || len(stored) == 0 {
		w.t.Fatalf("%d clocks, %v", len(stored), err)
	}
	same := func(a *time.Time, b time.Time) bool { return a == nil && b.IsZero() || a != nil && a.Equal(b) }
	for _, row := range stored {
		c, log, err := w.clocks.Get(w.t.Context(), w.Pool, row.ID)
		if err != nil {
			w.t.Fatal(err)
		}
		if int16(c.Phase) != row.State || int64(c.Target) != row.Target || !same(row.DueTime, c.Due) ||
			!same(row.StopTime, c.Stop) || !same(row.NextStepTime, c.Next()) || row.Version != int64(len(log)) {
			w.t.Errorf("clock %s: stored %+v, its log says %v %v due %v", c.Kind, row, c.Phase, c.Target, c.Due)
		}
	}
}
