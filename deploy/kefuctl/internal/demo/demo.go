// Package demo fills a running stack through its public API: with real data sets of a
// folder, or with samples of its own. A second run finds everything there and changes
// nothing.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"

	"github.com/kefu-suite/kefu/deploy/kefuctl/internal/progress"
)

// Run fills the stack that the client calls: with the data sets of the folder data, or
// with samples when data is empty. It reads all files before it sends anything, and
// tells on out what it did. Refused records are told and are no error.
func Run(ctx context.Context, c *Client, data string, out io.Writer) error {
	began := time.Now()
	s := &summary{}
	if err := c.reach(ctx); err != nil {
		return err
	}
	var err error
	if data == "" {
		err = loadSamples(ctx, c, out, s)
	} else {
		err = loadData(ctx, c, data, out, s)
	}
	if err != nil {
		return err
	}
	if err := s.count(ctx, c); err != nil {
		return err
	}
	s.took = time.Since(began)
	return s.print(out)
}

// dataSet is one that a folder may hold.
type dataSet struct {
	name string // of its file or folder
	// read reads it and tells what it holds.
	read func() (string, error)
	load func(ctx context.Context, p *progress.Progress) error
}

// dataSets are those that are known, with what was read of them told in the summary.
func dataSets(c *Client, dir string, s *summary) []dataSet {
	var shop *olist
	var town *nyc311
	var flights *airline
	return []dataSet{
		{"olist", func() (_ string, err error) {
			if shop, err = readOlist(filepath.Join(dir, "olist")); err != nil {
				return "", err
			}
			s.describeShop(shop)
			return fmt.Sprintf("%d customers, %d orders, %d reviews", len(shop.customers), len(shop.orders), len(shop.answers)), nil
		}, func(ctx context.Context, p *progress.Progress) error { return loadOlist(ctx, c, p, shop, s) }},
		{nycFile, func() (_ string, err error) {
			if town, err = readNYC311(dir); err != nil {
				return "", err
			}
			s.describeTown(town)
			return fmt.Sprintf("%d requests of 311", town.rows), nil
		}, func(ctx context.Context, p *progress.Progress) error { return loadNYC311(ctx, c, p, town, s) }},
		{airlineFile, func() (_ string, err error) {
			if flights, err = readAirline(dir); err != nil {
				return "", err
			}
			return fmt.Sprintf("%d answers of passengers", len(flights.answers)), nil
		}, func(ctx context.Context, p *progress.Progress) error { return loadAirline(ctx, c, p, flights, s) }},
	}
}

// loadData loads those data sets that the folder has.
func loadData(ctx context.Context, c *Client, data string, out io.Writer, s *summary) error {
	var there []dataSet
	var read, known []string
	for _, set := range dataSets(c, data, s) {
		known = append(known, set.name)
		if _, err := os.Stat(filepath.Join(data, set.name)); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		what, err := set.read()
		if err != nil {
			return err
		}
		there, read = append(there, set), append(read, what)
	}
	if len(there) == 0 {
		return fmt.Errorf("%s has none of %s", data, strings.Join(known, ", "))
	}
	_, _ = fmt.Fprintf(out, "read %s\n", strings.Join(read, ", "))
	p := progress.New(out)
	defer p.Wait()
	_, departments, staff, err := ensureDirectory(ctx, c, p)
	if err != nil {
		return err
	}
	s.add(departments, staff)
	var failed error
	for _, set := range there {
		failed = errors.Join(failed, set.load(ctx, p))
	}
	return failed
}

func loadOlist(ctx context.Context, c *Client, p *progress.Progress, shop *olist, s *summary) error {
	customers, err := importCustomers(olistSource, func(id string) origin { return shop.origins[id] }).run(ctx, c, p, shop.customers)
	s.add(customers)
	if err != nil {
		return err
	}
	orders, err := loadOrders(ctx, c, p, shop, customers)
	s.add(orders)
	if err != nil {
		return err
	}
	questionnaire, err := ensureQuestionnaire(ctx, c, olistReview())
	if err != nil {
		return err
	}
	s.questionnaires = append(s.questionnaires, questionnaire)
	records, origins := make([]*surveyv1.AnswerRecord, 0, len(shop.answers)), map[string]origin{}
	for _, a := range shop.answers {
		a.record.CustomerId = customers.id(a.person)
		records, origins[a.ID] = append(records, a.record), a.origin
	}
	answers, err := importAnswers("answers", questionnaire, olistSource, func(id string) origin { return origins[id] }).run(ctx, c, p, records)
	s.add(answers)
	return err
}

func importAnswers(name string, q *surveyv1.Questionnaire, source string, where func(string) origin) importer[*surveyv1.AnswerRecord] {
	return importer[*surveyv1.AnswerRecord]{
		name: name, path: "/v1/questionnaires/" + q.GetId() + "/answers:import", role: administrator, where: where,
		request: func(batch []*surveyv1.AnswerRecord) proto.Message {
			return &surveyv1.ImportAnswersRequest{Source: source, Records: batch}
		},
		response: func() (proto.Message, func() []*typev1.ImportResult) {
			m := &surveyv1.ImportAnswersResponse{}
			return m, m.GetResults
		},
	}
}

func importCustomers(source string, where func(string) origin) importer[*customerv1.CustomerRecord] {
	return importer[*customerv1.CustomerRecord]{
		name: "customers", path: "/v1/customers:import", role: administrator, where: where,
		request: func(batch []*customerv1.CustomerRecord) proto.Message {
			return &customerv1.ImportCustomersRequest{Source: source, Records: batch, Purpose: "demonstration"}
		},
		response: func() (proto.Message, func() []*typev1.ImportResult) {
			m := &customerv1.ImportCustomersResponse{}
			return m, m.GetResults
		},
	}
}

// loadOrders sends the orders one by one, as the system of origin would.
func loadOrders(ctx context.Context, c *Client, p *progress.Progress, shop *olist, customers *tally) (*tally, error) {
	t := newTally("orders", len(shop.orders))
	err := each(ctx, p, t.Name, shop.orders, func(ctx context.Context, o olistOrder) error {
		customer := customers.id(o.person)
		if customer == "" {
			t.reject(o.origin, "its customer was refused")
			return nil
		}
		return upsertOrder(ctx, c, t, o.origin, customer, o.order)
	})
	return t, err
}

// upsertOrder records an order and tells by its time of writing whether that changed
// anything: the same content again does not.
func upsertOrder(ctx context.Context, c *Client, t *tally, at origin, customer string, order *customerv1.Order) error {
	got := &customerv1.Order{}
	query := url.Values{"historic": {"true"}}
	err := c.do(ctx, administrator, http.MethodPost, "/v1/customers/"+customer+"/orders?"+query.Encode(), order, got)
	if why := reason(err); why != "" {
		t.reject(at, err.Error())
		return nil
	}
	if err != nil {
		return err
	}
	t.one(c.fresh(got.GetUpdateTime().AsTime()))
	return nil
}

func loadNYC311(ctx context.Context, c *Client, p *progress.Progress, city *nyc311, s *summary) error {
	where := func(id string) origin { return city.origins[id] }
	tickets, err := importer[*ticketv1.TicketRecord]{
		name: "tickets", path: "/v1/tickets:import", role: administrator, where: where,
		request: func(batch []*ticketv1.TicketRecord) proto.Message {
			return &ticketv1.ImportTicketsRequest{Source: nycSource, Records: batch}
		},
		response: func() (proto.Message, func() []*typev1.ImportResult) {
			m := &ticketv1.ImportTicketsResponse{}
			return m, m.GetResults
		},
	}.run(ctx, c, p, city.tickets)
	s.add(tickets)
	if err != nil {
		return err
	}
	complaints, err := importer[*complaintv1.ComplaintRecord]{
		name: "complaints", path: "/v1/complaints:import", role: administrator, where: where,
		request: func(batch []*complaintv1.ComplaintRecord) proto.Message {
			return &complaintv1.ImportComplaintsRequest{Source: nycSource, Records: batch}
		},
		response: func() (proto.Message, func() []*typev1.ImportResult) {
			m := &complaintv1.ImportComplaintsResponse{}
			return m, m.GetResults
		},
	}.run(ctx, c, p, city.complaints)
	s.add(complaints)
	return err
}
