package demo

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"

	"github.com/kefu-suite/kefu/deploy/kefuctl/internal/progress"
)

// sampler makes the samples through the ordinary verbs.
type sampler struct {
	c         *Client
	p         *progress.Progress
	s         *summary
	directory *directory
	people    []person
	customers *tally
	// begun is when the directory was made: the services follow it by event, so for a
	// moment some do not know it.
	begun time.Time
}

func loadSamples(ctx context.Context, c *Client, out io.Writer, s *summary) error {
	p := progress.New(out)
	defer p.Wait()
	m := &sampler{c: c, p: p, s: s, people: people()}
	var err error
	var departments, staff *tally
	if m.directory, departments, staff, err = ensureDirectory(ctx, c, p); err != nil {
		return err
	}
	m.begun = time.Now()
	s.add(departments, staff)
	if s.questionnaires, err = triggered(ctx, c); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{m.files, m.contacts, m.trade, m.tickets, m.complaints} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (m *sampler) files(ctx context.Context) error {
	records := make([]*customerv1.CustomerRecord, 0, len(m.people))
	where := map[string]origin{}
	for _, p := range m.people {
		records, where[p.ID] = append(records, p.record), p.origin
	}
	var err error
	m.customers, err = importCustomers(sampleSource, func(id string) origin { return where[id] }).run(ctx, m.c, m.p, records)
	m.s.add(m.customers)
	if err == nil && m.customers.Refused > 0 {
		r := m.customers.rejected[0]
		err = fmt.Errorf("sample customer %s was refused: %v", r.ID, r.Reasons)
	}
	return err
}

// contacts adds those whom a customer's list does not name yet.
func (m *sampler) contacts(ctx context.Context) error {
	wanted := 0
	for _, p := range m.people {
		wanted += len(p.contacts)
	}
	t := newTally("contacts", wanted)
	m.s.add(t)
	return each(ctx, m.p, t.Name, m.people, func(ctx context.Context, p person) error {
		path := "/v1/customers/" + m.customers.id(p.ID) + "/contacts"
		list, known := &customerv1.ListContactsResponse{}, map[string]bool{}
		if err := m.c.pages(ctx, crm, path, url.Values{}, list, func() string {
			for _, c := range list.GetContacts() {
				known[c.GetEmail()] = true
			}
			return list.GetNextPageToken()
		}); err != nil {
			return err
		}
		for _, c := range p.contacts {
			t.one(!known[c.GetEmail()])
			if known[c.GetEmail()] {
				continue
			}
			if err := m.c.do(ctx, crm, http.MethodPost, path, c, &customerv1.Contact{}); err != nil {
				return err
			}
		}
		return nil
	})
}

// trade records orders and installed products; the same again changes nothing.
func (m *sampler) trade(ctx context.Context) error {
	orders, products := newTally("orders", 0), newTally("products", 0)
	for _, p := range m.people {
		orders.Read += len(p.orders)
		products.Read += len(p.products)
	}
	m.s.add(orders, products)
	return each(ctx, m.p, "purchases", m.people, func(ctx context.Context, p person) error {
		customer := m.customers.id(p.ID)
		for _, o := range p.orders {
			if err := upsertOrder(ctx, m.c, orders, p.origin, customer, o); err != nil {
				return err
			}
		}
		for _, product := range p.products {
			got := &customerv1.InstalledProduct{}
			err := m.c.do(ctx, administrator, http.MethodPost, "/v1/customers/"+customer+"/installedProducts", product, got)
			if err != nil {
				return err
			}
			products.one(m.c.fresh(got.GetUpdateTime().AsTime()))
		}
		return nil
	})
}

// settled tells whether a refusal is no longer explained by a service not knowing the
// new directory yet.
func (m *sampler) settled(err error) bool {
	const moment = 20 * time.Second
	switch reason(err) {
	case "VALIDATION_FAILED", "HANDLER_OF_OTHER_DEPARTMENT", "NOT_THE_HANDLER", "NOT_HEAD_OF_DEPARTMENT", "COMPLAINT_NOT_FOUND":
		return time.Since(m.begun) > moment
	}
	return true
}

// patiently repeats a call while it may be too early for it.
func (m *sampler) patiently(ctx context.Context, call func() error) error {
	for {
		err := call()
		if err == nil || m.settled(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(300 * time.Millisecond):
		}
	}
}
