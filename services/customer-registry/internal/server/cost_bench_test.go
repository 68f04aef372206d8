//go:build bench

package server_test

import (
	"context"
	"fmt"
	"testing"

	"google.golang.org/grpc"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/testkit"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/server"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/tier"
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
	go func() { _ = r.HoldReads(t.Context()) }() // a part of what records cost; it only ends with the test
	agent, specialist := r.As(access.ServiceAgent), r.As(access.CRMSpecialist)
	costtest.New(t, r.Service, postgres, r.Server.Register, r.unrecorded(t).Register).Run(
		costtest.Case{Name: "get-customer, masked", As: agent, Call: get, Recorded: true},
		costtest.Case{Name: "get-customer, shown", As: specialist, Call: get, Recorded: true},
		costtest.Case{Name: "list of 50 customers", As: agent, Call: summaries},
		costtest.Case{Name: "list of 50 contacts, masked", As: agent, Call: contacts, Recorded: true},
		costtest.Case{Name: "list of 50 contacts, shown", As: specialist, Call: contacts, Recorded: true},
	)
}

// unrecorded is another server of the registry on the same database.
func (r *registry) unrecorded(t *testing.T) *server.Server {
	t.Helper()
	s, err := newServer(t, r.Process, tier.Off)
	if err != nil {
		t.Fatal(err)
	}
	s.LeaveNoRecord()
	return s
}
