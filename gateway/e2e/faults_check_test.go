//go:build faults

package e2e

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// checkers is how many things are looked at at once.
const checkers = 16

// check proves the run's history against the stack as it is now, in quiet.
type check struct {
	g      *ground
	h      *history
	c      cast
	ledger *ledger
	after  map[string]int64 // where the run began in each service's stream
	seed   uint64
}

// run notes all violations in the history.
func (c *check) run(t testing.TB, things []*thing) {
	t.Helper()
	if !c.ledger.settled(things, c.after) {
		c.h.violated("the events of all acknowledged calls were not streamed within 20 s")
	}
	c.await(things)
	// One more look of every sequencer and consumer: what comes twice comes now.
	time.Sleep(700 * time.Millisecond)
	c.ledger.verify(c.h, c.after)
	seen := c.ledger.bySubject(c.after)
	c.each(len(things), func(i int) {
		th := things[i]
		if th.id == "" {
			return // never acknowledged, noted already
		}
		if got := types(seen[th.id]); !slices.Equal(got, th.events) {
			c.h.violated("%s %s: events %v, expected %v", th.kind, th.id, got, th.events)
		}
		switch th.kind {
		case "ticket":
			c.moves(th, "/v1/tickets/", "service-ticket")
			c.comments(th)
			c.invitations(th, "ticketId")
		case "complaint":
			c.moves(th, "/v1/complaints/", "complaint")
			c.invitations(th, "complaintId")
		case "customer":
			c.file(th)
		case "invitation":
			c.answered(th)
		}
	})
	c.repeats()
	c.customers(things)
	for _, service := range serviceNames() {
		if err := c.audited(t.Context(), service); err != nil {
			c.h.violated("audit of %s: %v", service, err)
		}
	}
}

func (c *check) each(n int, look func(i int)) {
	var group sync.WaitGroup
	next := make(chan int)
	for range checkers {
		group.Go(func() {
			for i := range next {
				look(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	group.Wait()
}

func (c *check) get(service, token, path string) object {
	got := c.h.do(&call{service: service, verb: "GET", path: path, token: token})
	if got == nil {
		return object{}
	}
	return got
}

func (c *check) manager() string { return c.c.managers[rand.IntN(len(c.c.managers))] }

// await waits for the consumers: every invitation, every follow-up.
func (c *check) await(things []*thing) {
	deadline := time.Now().Add(20 * time.Second)
	for _, th := range things {
		for th.whole && time.Now().Before(deadline) {
			done := true
			switch {
			case th.kind == "ticket":
				done = len(c.get("survey", c.manager(), "/v1/invitations?ticketId="+th.id).list("invitations")) >= th.asked
			case th.kind == "complaint":
				done = len(c.get("survey", c.manager(), "/v1/invitations?complaintId="+th.id).list("invitations")) >= th.asked
			case th.kind == "invitation" && th.low:
				done = len(c.get("service-ticket", c.manager(), "/v1/tickets?answerId="+th.mark).list("tickets")) > 0
			}
			if done {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
}

// ways is where each verb leads, from domain.md and not from the code.
func ways(kind string) map[string]string {
	if kind == "ticket" {
		return map[string]string{"create": "NEW", "triage": "TRIAGED", "assign": "ASSIGNED", "start": "IN_PROGRESS", "wait": "WAITING",
			"resume": "IN_PROGRESS", "resolve": "RESOLVED", "reopen": "ASSIGNED", "confirm": "CLOSED"}
	}
	return map[string]string{"create": "RECEIVED", "submit": "SUBMITTED", "review": "REVIEWED", "assign": "ASSIGNED", "recordContact": "CONTACTED",
		"propose": "PROPOSED", "approve": "APPROVED", "tell": "TOLD", "recordAnswer": "TOLD", "close": "CLOSED"}
}

// plain makes verbs of REST and of the history alike.
func plain(verb string) string { return strings.ToLower(strings.ReplaceAll(verb, "_", "")) }

// moves checks that what was acknowledged is there, once, and that the history replayed
// by the table gives the state.
func (c *check) moves(th *thing, under, service string) {
	at := under + th.id
	now := c.get(service, c.manager(), at)
	if now.text("state") != th.state || (th.etag != "" && now.text("etag") != th.etag) || now.number("round") != th.round {
		c.h.violated("%s: acknowledged as %s version %s round %v, now %s version %s round %v",
			at, th.state, th.etag, th.round, now.text("state"), now.text("etag"), now.number("round"))
	}
	prefix := "TICKET_STATE_"
	if th.kind == "complaint" {
		prefix = "COMPLAINT_STATE_"
	}
	state, round := prefix+"UNSPECIFIED", 1.0
	var verbs []string
	for _, m := range c.get(service, c.manager(), at+"/transitions?pageSize=100").list("transitions") {
		verbs = append(verbs, m.text("verb"))
		if m.text("from") != state {
			c.h.violated("%s: %s goes from %s, but the ticket was %s", at, m.text("verb"), m.text("from"), state)
		}
		for verb, to := range ways(th.kind) {
			if plain(verb) == plain(m.text("verb")) {
				state = prefix + to
			}
		}
		if m.text("verb") == "reopen" {
			round++
		}
		if m.text("to") != state || m.number("round") != round {
			c.h.violated("%s: %s leads to %s in round %v, expected %s in round %v", at, m.text("verb"), m.text("to"), m.number("round"), state, round)
		}
	}
	same := func(a, b string) bool { return plain(a) == plain(b) }
	if !slices.EqualFunc(verbs, th.verbs, same) {
		c.h.violated("%s: moved by %v, acknowledged were %v", at, verbs, th.verbs)
	}
	if state != now.text("state") || round != now.number("round") {
		c.h.violated("%s: its history gives %s in round %v, it is %s in round %v", at, state, round, now.text("state"), now.number("round"))
	}
}

func (c *check) comments(th *thing) {
	var got []string
	for _, o := range c.get("service-ticket", c.manager(), "/v1/tickets/"+th.id+"/comments").list("comments") {
		got = append(got, o.text("body"))
	}
	if !slices.Equal(got, th.comments) {
		c.h.violated("ticket %s has comments %v, acknowledged were %v", th.id, got, th.comments)
	}
}

// invitations checks the survey's effect: one for each round.
func (c *check) invitations(th *thing, filter string) {
	if !th.whole {
		return
	}
	rounds := map[float64]int{}
	for _, o := range c.get("survey", c.manager(), "/v1/invitations?"+filter+"="+th.id).list("invitations") {
		rounds[o.number("round")]++
	}
	want := map[float64]int{}
	for r := range th.asked {
		want[float64(r+1)] = 1
	}
	if !maps.Equal(rounds, want) {
		c.h.violated("%s %s: invitations by round %v, expected %v", th.kind, th.id, rounds, want)
	}
}

func (c *check) file(th *thing) {
	now := c.get("customer-registry", c.c.crm, "/v1/customers/"+th.id)
	if now.text("name") != th.mark {
		c.h.violated("customer %s is not as acknowledged: %v", th.id, now)
	}
	hits := c.get("customer-registry", c.c.crm, "/v1/customerSummaries?query="+escape(th.mark)).list("customerSummaries")
	if len(hits) != 1 || hits[0].text("customerId") != th.id {
		c.h.violated("%d customers are named %s", len(hits), th.mark)
	}
	var got []string
	for _, o := range c.get("customer-registry", c.c.admin, "/v1/customers/"+th.id+"/orders").list("orders") {
		got = append(got, o.text("orderNumber"))
	}
	slices.Sort(got)
	if want := slices.Sorted(slices.Values(th.orders)); !slices.Equal(got, want) {
		c.h.violated("customer %s has orders %v, acknowledged were %v", th.id, got, want)
	}
}

// answered checks the answer and the ticket's effect: one follow-up for a low one.
func (c *check) answered(th *thing) {
	now := c.get("survey", c.manager(), "/v1/invitations/"+th.id)
	if th.mark != "" && (now.text("answerId") != th.mark || now.text("state") != "INVITATION_STATE_ANSWERED") {
		c.h.violated("invitation %s was answered by %s, now %v", th.id, th.mark, now)
	}
	if !th.whole {
		return
	}
	want := 0
	if th.low {
		want = 1
	}
	if got := len(c.get("service-ticket", c.manager(), "/v1/tickets?answerId="+th.mark).list("tickets")); got != want {
		c.h.violated("answer %s opened %d follow-ups, expected %d", th.mark, got, want)
	}
}

// repeats asks again for calls that had needed more than one attempt, and for some of
// the others: the first outcome must come back, and nothing may happen twice.
func (c *check) repeats() {
	rng := rand.New(rand.NewPCG(c.seed, 1))
	calls := slices.DeleteFunc(c.h.writes(), func(k *call) bool {
		return len(k.attempts) == 1 && rng.IntN(10) > 0 || strings.HasPrefix(k.path, "/v1/answers/") && len(k.attempts) == 1
	})
	c.each(len(calls), func(i int) {
		k := calls[i]
		for n := 0; ; n++ {
			a, body := c.h.again(k)
			if a.ok() {
				if !reflect.DeepEqual(body, k.answer) {
					c.h.violated("%s: repeated, it answered %v after %v", k, body, k.answer)
				}
				return
			}
			if !a.passing() || n == 20 {
				c.h.violated("%s: repeated, it answered %s", k, a)
				return
			}
			time.Sleep(200 * time.Millisecond)
		}
	})
}

// customers checks from the customers' side: what carries a mark exists once, and the
// projection comes to show every event exactly once.
func (c *check) customers(things []*thing) {
	marks := map[string]int{}
	var mu sync.Mutex
	c.each(len(c.c.customers), func(i int) {
		for path, list := range map[string]string{"/v1/tickets": "tickets", "/v1/complaints": "complaints"} {
			service := map[string]string{"tickets": "service-ticket", "complaints": "complaint"}[list]
			c.pages(service, c.manager(), path+"?customerId="+c.c.customers[i], list, func(o object) {
				mu.Lock()
				defer mu.Unlock()
				marks[o.text("title")]++
			})
		}
	})
	for _, th := range things {
		if (th.kind == "ticket" || th.kind == "complaint") && th.id != "" && marks[th.mark] != 1 {
			c.h.violated("there are %d of %q, which one acknowledged call created", marks[th.mark], th.mark)
		}
	}
	var wrong []string
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if wrong = c.timeline(); len(wrong) == 0 {
			return
		}
	}
	for _, w := range wrong {
		c.h.violated("timeline: %s", w)
	}
}

// timeline compares what the events told with what the customers' timelines show.
func (c *check) timeline() (wrong []string) {
	var mu sync.Mutex
	shown := map[string]int{}
	c.each(len(c.c.customers), func(i int) {
		c.pages("customer-registry", c.c.crm, "/v1/customers/"+c.c.customers[i]+"/profile?", "timeline", func(o object) {
			mu.Lock()
			defer mu.Unlock()
			shown[o.text("type")+" "+o.text("subjectId")]++
		})
	})
	told := map[string]int{}
	for subject, events := range c.ledger.bySubject(c.after) {
		for _, e := range events {
			kind, _, _ := strings.Cut(e.GetType(), ".")
			if slices.Contains(c.c.customers, e.GetCustomerId()) && slices.Contains([]string{"ticket", "comment", "complaint", "answer"}, kind) {
				told[e.GetType()+" "+subject]++
			}
		}
	}
	for key, n := range told {
		if shown[key] != n {
			wrong = append(wrong, fmt.Sprintf("%s stands there %d times, %d events told it", key, shown[key], n))
		}
	}
	for key, n := range shown {
		if n > 1 && told[key] != n {
			wrong = append(wrong, fmt.Sprintf("%s stands there %d times", key, n))
		}
	}
	return wrong
}

// pages walks a list to its end.
func (c *check) pages(service, token, path, list string, each func(object)) {
	next := ""
	for {
		page := c.get(service, token, fmt.Sprintf("%s&pageSize=500&pageToken=%s", path, escape(next)))
		for _, o := range page.list(list) {
			each(o)
		}
		if next = page.text("nextPageToken"); next == "" {
			return
		}
	}
}
