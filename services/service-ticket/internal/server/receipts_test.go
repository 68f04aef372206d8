package server_test

import (
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
	"github.com/kefu-suite/kefu/services/internal/clocktest"
	"github.com/kefu-suite/kefu/services/internal/customerref"
)

// explain gives the receipt of a ticket's clock and checks that it adds up.
func (w *world) explain(id, kind string) *clockv1.ClockExplanation {
	w.t.Helper()
	got, err := w.tickets.ExplainTicketClock(w.manager(), &ticketv1.ExplainTicketClockRequest{TicketId: id, Clock: kind})
	if err != nil {
		w.t.Fatal(err)
	}
	clocktest.Receipt(w.t, got)
	return got
}

// due checks when a clock is due, by the wall clock; empty for not known.
func (w *world) due(id, kind, want string) *clockv1.ClockExplanation {
	w.t.Helper()
	got := w.explain(id, kind)
	clocktest.Due(w.t, got.GetClock(), want)
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

func (w *world) set(at string) { w.Clock.Set(clocktest.WallClock(w.t, at).UTC()) }

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
	clocktest.Rebuilt(w.t, w.Pool, w.clocks)
}
