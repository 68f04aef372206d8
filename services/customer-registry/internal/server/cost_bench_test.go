//go:build bench

package server_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	"github.com/kefu-suite/kefu/runtime/audit"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/testkit"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/disclosure"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/internal/costtest"
)

// TestBench measures what protection costs a call of the registry, for docs/performance.md;
// part of make bench.
func TestBench(t *testing.T) {
	postgres := t.TempDir()
	t.Setenv("KEFU_DATABASE_URL", testkit.Durable(t, postgres))
	r := startWith(t, true)
	var id string
	for n := range 60 {
		c := file(fmt.Sprintf("武汉精工设备有限公司 %d", n))
		c.Phone, c.Email = fmt.Sprintf("138001380%02d", n), "info@jinggong.example"
		id = r.make(t, c).GetId()
	}
	for range 50 {
		r.addContact(t, id, person("李四"))
	}
	get := func(ctx context.Context, on grpc.ClientConnInterface) error {
		_, err := customerv1.NewCustomerServiceClient(on).GetCustomer(ctx, &customerv1.GetCustomerRequest{Id: id})
		return err
	}
	contacts := func(ctx context.Context, on grpc.ClientConnInterface) error {
		page, err := customerv1.NewContactServiceClient(on).ListContacts(ctx, &customerv1.ListContactsRequest{CustomerId: id, PageSize: 50})
		if err == nil && len(page.GetContacts()) != 50 {
			err = fmt.Errorf("a page of %d contacts", len(page.GetContacts()))
		}
		return err
	}
	summaries := func(ctx context.Context, on grpc.ClientConnInterface) error {
		page, err := customerv1.NewCustomerServiceClient(on).ListCustomerSummaries(ctx, &customerv1.ListCustomerSummariesRequest{PageSize: 50})
		if err == nil && len(page.GetCustomerSummaries()) != 50 {
			err = fmt.Errorf("a page of %d customers", len(page.GetCustomerSummaries()))
		}
		return err
	}
	agent, specialist, record := r.As(access.ServiceAgent), r.As(access.CRMSpecialist), r.readRecord(uuid.MustParse(id))
	costtest.New(t, r.Service, postgres, r.Server.Register).Run(
		costtest.Case{Name: "get-customer, masked", As: agent, Call: get, Record: record},
		costtest.Case{Name: "get-customer, shown", As: specialist, Call: get, Record: record},
		costtest.Case{Name: "list of 50 customers", As: agent, Call: summaries},
		costtest.Case{Name: "list of 50 contacts, masked", As: agent, Call: contacts, Record: record},
		costtest.Case{Name: "list of 50 contacts, shown", As: specialist, Call: contacts, Record: record},
	)
}

// readRecord queues what a read of a file leaves.
func (r *registry) readRecord(customer uuid.UUID) func(context.Context, *pg.Batch) error {
	q, key := db.New(), r.Process.Keyring.Derive(audit.KeyLabel)
	const actor = "http://127.0.0.1:9|tester-service-agent"
	return func(ctx context.Context, b *pg.Batch) error {
		id, err := uuid.NewV7()
		if err != nil {
			return err
		}
		now := r.Clock.Now()
		if err := q.InsertFileRead(ctx, b, db.InsertFileReadParams{
			ID: id, ReadTime: now, Reader: actor, CustomerID: customer, Basis: int16(disclosure.ByRole),
		}); err != nil {
			return err
		}
		return audit.Insert(ctx, b, key,
			audit.Entry{
				Action: customerv1.CustomerService_GetCustomer_FullMethodName, ObjectType: "customer", ObjectID: customer,
				Right: "role:service-agent/customers.readmasked",
			},
			audit.Origin{Time: now, Actor: actor, ActorKind: eventv1.ActorKind_ACTOR_KIND_PERSON, RequestID: id.String()})
	}
}
