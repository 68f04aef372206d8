package demo

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
)

// barWidth is the length of a bar of all answers.
const barWidth = 40

// summary is what is told at the end: what was sent, and what the suite then holds.
type summary struct {
	tallies        []*tally
	facts          []string
	notes          []note
	questionnaires []*surveyv1.Questionnaire
	customers      int
	tickets        map[string]int
	complaints     map[string]int
	results        []*surveyv1.Results
	took           time.Duration
}

func (s *summary) add(tallies ...*tally) { s.tallies = append(s.tallies, tallies...) }

// describe says what the files hold that their counts do not.
func (s *summary) describeShop(shop *olist) {
	s.fact("Olist: %d orders hold %d items, %d hold none; %d persons have no position, %d have several postcodes",
		len(shop.orders), shop.items, shop.empty, shop.unplaced, shop.mixed)
	s.fact("Olist: %d times were skipped by summer time, %d were shown twice", shop.skipped, shop.twice)
	s.notes = slices.Concat(s.notes, shop.notes)
}

func (s *summary) describeTown(city *nyc311) {
	s.fact("311: %d requests have no closing date, %d have one but another status than Closed, %d were closed before they were created",
		city.open, city.ended, city.backwards)
	s.notes = slices.Concat(s.notes, city.notes)
}

func (s *summary) fact(format string, args ...any) {
	s.facts = append(s.facts, fmt.Sprintf(format, args...))
}

// count asks the suite what it holds now.
func (s *summary) count(ctx context.Context, c *Client) error {
	s.tickets, s.complaints = map[string]int{}, map[string]int{}
	summaries := &customerv1.ListCustomerSummariesResponse{}
	if err := c.pages(ctx, crm, "/v1/customerSummaries", url.Values{}, summaries, func() string {
		s.customers += len(summaries.GetCustomerSummaries())
		return summaries.GetNextPageToken()
	}); err != nil {
		return err
	}
	tickets := &ticketv1.ListTicketsResponse{}
	if err := c.pages(ctx, manager, "/v1/tickets", url.Values{}, tickets, func() string {
		for _, t := range tickets.GetTickets() {
			s.tickets[word(t.GetState().String(), "TICKET_STATE_")]++
		}
		return tickets.GetNextPageToken()
	}); err != nil {
		return err
	}
	complaints := &complaintv1.ListComplaintsResponse{}
	if err := c.pages(ctx, manager, "/v1/complaints", url.Values{}, complaints, func() string {
		for _, x := range complaints.GetComplaints() {
			s.complaints[word(x.GetState().String(), "COMPLAINT_STATE_")]++
		}
		return complaints.GetNextPageToken()
	}); err != nil {
		return err
	}
	for _, q := range s.questionnaires {
		r := &surveyv1.Results{}
		if err := c.do(ctx, crm, http.MethodGet, "/v1/questionnaires/"+q.GetId()+"/results", nil, r); err != nil {
			return err
		}
		s.results = append(s.results, r)
	}
	return nil
}

// word makes a reader's word of an enum's name.
func word(name, prefix string) string {
	return strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(name, prefix), "_", " "))
}

func (s *summary) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) } // Flush tells
	row("\nsent\tread\tnew\tthere already\trefused\t")
	for _, t := range s.tallies {
		row("%s\t%d\t%d\t%d\t%d\t", t.Name, t.Read, t.Created, t.Exists, t.Refused)
	}
	row("")
	for _, fact := range s.facts {
		row("%s", fact)
	}
	row("the suite now holds %d customers", s.customers)
	row("tickets by state: %s", counts(s.tickets))
	row("complaints by state: %s", counts(s.complaints))
	if err := w.Flush(); err != nil {
		return err
	}
	for i, r := range s.results {
		printScores(out, s.questionnaires[i].GetTitle().GetEn(), r)
	}
	s.printNotes(out)
	s.printRefused(out)
	_, err := fmt.Fprintf(out, "\ndone in %.1f s\n", s.took.Seconds())
	return err
}

// counts is "closed 963, waiting 4 (967 in all)", the most first.
func counts(of map[string]int) string {
	names := slices.SortedFunc(maps.Keys(of), func(a, b string) int {
		return cmp.Or(cmp.Compare(of[b], of[a]), cmp.Compare(a, b))
	})
	all, parts := 0, []string{}
	for _, name := range names {
		all += of[name]
		parts = append(parts, fmt.Sprintf("%s %d", name, of[name]))
	}
	return fmt.Sprintf("%s (%d in all)", strings.Join(parts, ", "), all)
}

func printScores(out io.Writer, title string, r *surveyv1.Results) {
	for _, q := range r.GetQuestions() {
		if q.GetType() != surveyv1.QuestionType_QUESTION_TYPE_RATING || q.GetN() == 0 {
			continue
		}
		_, _ = fmt.Fprintf(out, "\nscores, %s: n %d, mean %.3f, sd %.3f, CSAT %.1f %%\n",
			title, q.GetN(), q.GetMean(), q.GetStandardDeviation(), 100*q.GetCsat())
		for _, b := range q.GetDistribution() {
			_, _ = fmt.Fprintf(out, "  %s  %5d  %5.1f %%  %s\n", b.GetValue(), b.GetCount(), 100*b.GetShare(),
				strings.Repeat("#", int(b.GetShare()*barWidth+0.5)))
		}
	}
}

func (s *summary) printNotes(out io.Writer) {
	if len(s.notes) == 0 {
		return
	}
	_, _ = fmt.Fprintf(out, "\ntaken with a remark (%d):\n", len(s.notes))
	for _, n := range s.notes {
		_, _ = fmt.Fprintf(out, "  %s line %d, %s: %s\n", n.File, n.Line, n.ID, n.Text)
	}
}

func (s *summary) printRefused(out io.Writer) {
	var all []rejected
	for _, t := range s.tallies {
		all = append(all, t.rejected...)
	}
	slices.SortFunc(all, func(a, b rejected) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	_, _ = fmt.Fprintf(out, "\nrefused (%d):\n", len(all))
	for _, r := range all {
		_, _ = fmt.Fprintf(out, "  %s line %d, %s: %s\n", r.File, r.Line, r.ID, strings.Join(r.Reasons, "; "))
	}
}
