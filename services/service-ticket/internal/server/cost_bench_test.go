//go:build bench

package server_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/audit"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/testkit"
	"github.com/kefu-suite/kefu/runtime/testkit/measure"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/internal/costtest"
)

// TestBench measures what protection costs a call of service-ticket, for docs/performance.md;
// part of make bench.
func TestBench(t *testing.T) {
	postgres := t.TempDir()
	t.Setenv("KEFU_DATABASE_URL", testkit.Durable(t, postgres))
	w := bareWorld(t, true).settled(t)
	customers := make([]string, 200) // callers that take the same one hold each other up
	for i := range customers {
		customers[i] = w.customer(typev1.Tier_TIER_C)
	}
	agent := w.AsStaff(access.ServiceAgent, "agent-1")
	fresh := func() *ticketv1.CreateTicketRequest {
		return &ticketv1.CreateTicketRequest{RequestId: uuid.NewString(), Ticket: &ticketv1.Ticket{
			CustomerId: customers[rand.IntN(len(customers))], Channel: typev1.Channel_CHANNEL_PHONE,
			Title: "机器不启动", Description: "客户报修：开机后无反应，指示灯不亮。",
		}}
	}
	made, err := w.tickets.CreateTicket(agent, fresh())
	if err != nil {
		t.Fatal(err)
	}
	get := func(ctx context.Context, on grpc.ClientConnInterface) error {
		_, err := ticketv1.NewTicketServiceClient(on).GetTicket(ctx, &ticketv1.GetTicketRequest{Id: made.GetId()})
		return err
	}
	list := func(ctx context.Context, on grpc.ClientConnInterface) error {
		page, err := ticketv1.NewTicketServiceClient(on).ListTickets(ctx, &ticketv1.ListTicketsRequest{PageSize: 50})
		if err == nil && len(page.GetTickets()) != 50 {
			err = fmt.Errorf("a page of %d tickets", len(page.GetTickets()))
		}
		return err
	}
	create := func(ctx context.Context, on grpc.ClientConnInterface) error {
		_, err := ticketv1.NewTicketServiceClient(on).CreateTicket(ctx, fresh())
		return err
	}
	w.fill(t, func(ctx context.Context) error { return create(ctx, w.Conn) }, agent)
	rest, record := w.createdRows(t, made)
	costtest.New(t, w.Service, postgres, w.server.Register, nil).Run(
		costtest.Case{Name: "get-ticket, an agent's own", As: agent, Call: get},
		costtest.Case{Name: "list of 50 tickets, a manager's", As: w.manager(), Call: list},
		costtest.Case{Name: "list of 50 tickets, an agent's own", As: agent, Call: list},
		costtest.Case{Name: "create-ticket", As: agent, Call: create, Record: record, Rest: rest},
	)
}

// fill makes some thousand tickets and has Postgres look at them: what it plans for tables
// that are nearly empty it goes on to do when they have grown.
func (w *world) fill(t *testing.T, create func(context.Context) error, as context.Context) {
	t.Helper()
	callers := make([]func(context.Context) error, 4)
	for i := range callers {
		callers[i] = create
	}
	if _, _, err := measure.Drive(as, callers, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	if _, err := w.DB.Owner(t).Exec(t.Context(), `VACUUM (ANALYZE)`); err != nil {
		t.Fatal(err)
	}
}

// createdRows queues the event and the audit record of a new ticket.
func (w *world) createdRows(t *testing.T, made *ticketv1.Ticket) (rest, record func(context.Context, *pg.Batch) error) {
	t.Helper()
	id, err := uuid.Parse(made.GetId())
	if err != nil {
		t.Fatal(err)
	}
	customer, err := uuid.Parse(made.GetCustomerId())
	if err != nil {
		t.Fatal(err)
	}
	const actor = "http://127.0.0.1:9|agent-1"
	key, now := w.Process.Keyring.Derive(audit.KeyLabel), w.Clock.Now()
	rest = func(ctx context.Context, b *pg.Batch) error {
		return event.Insert(ctx, b,
			event.Event{Type: "bench.created.v1", SubjectID: id, SubjectVersion: 1, Payload: &ticketv1.TicketChanged{
				Number: made.GetNumber(), StateAfter: made.GetState(), Type: made.GetType(), Priority: made.GetPriority(),
				Channel: made.GetChannel(), Round: made.GetRound(), PolicyVersion: 1,
			}},
			event.Origin{ActorKind: eventv1.ActorKind_ACTOR_KIND_PERSON, ActorID: actor, RequestID: id.String(), RecordTime: now})
	}
	record = func(ctx context.Context, b *pg.Batch) error {
		return audit.Insert(ctx, b, key,
			audit.Entry{
				Action: ticketv1.TicketService_CreateTicket_FullMethodName, ObjectType: "ticket", ObjectID: id, CustomerID: customer,
				Right: "role:service-agent/tickets.create", Changes: made,
			},
			audit.Origin{Time: now, Actor: actor, ActorKind: eventv1.ActorKind_ACTOR_KIND_PERSON, RequestID: id.String()})
	}
	return rest, record
}
