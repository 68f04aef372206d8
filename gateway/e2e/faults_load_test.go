//go:build faults

package e2e

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
)

// answersMax keeps the public calls of one run below the rate of an anonymous address.
const answersMax = 60

// cast are those who act in a load, and the customers acted for.
type cast struct {
	managers             []string // tokens
	agent, engineer, crm string
	admin                string
	staff, department    string
	engineerID           string
	customers            []string
}

// casting makes the people of a stack; it is done once, because every complaint needs
// them known at the complaint desk.
func casting(t *testing.T, s *stack) cast {
	t.Helper()
	admin := as(t, s, role("information-administrator")...)
	department := admin.post("/v1/departments", object{
		"code": unique("desk"), "name": object{"zh": "测试部", "en": "Test desk"}, "function": "DEPARTMENT_FUNCTION_AFTER_SALES",
	}).text("id")
	person := func(name, post string) string {
		return admin.post("/v1/staff", object{"name": name, "departmentId": department, "posts": []string{post}}).text("id")
	}
	agent, engineer := person("李雷", "POST_SERVICE_AGENT"), person("Han Mei", "POST_SUPPORT_ENGINEER")
	admin.patch("/v1/departments/"+department, object{"headStaffId": agent})
	c := cast{
		agent: s.token(t, staff("service-agent", agent)...), engineer: s.token(t, staff("support-engineer", engineer)...),
		crm: s.token(t, role("crm-specialist")...), admin: s.token(t, role("information-administrator")...),
		staff: agent, engineerID: engineer, department: department,
	}
	for i := range 4 {
		c.managers = append(c.managers, s.token(t, staff("service-manager", person(fmt.Sprintf("manager %d", i), "POST_SERVICE_MANAGER"))...))
	}
	manager := as(t, s, role("service-manager")...)
	complaint := manager.post("/v1/complaints", object{
		"customerId": newCustomerAt(t, s), "channel": "CHANNEL_PHONE", "title": "x", "category": "CATEGORY_AFTER_SALES_SERVICE"}).text("id")
	manager.post("/v1/complaints/"+complaint+":submit", object{})
	manager.post("/v1/complaints/"+complaint+":review", reviewOf(department))
	eventually(t, "the directory's copy at the complaint desk", func() bool {
		return manager.try("POST", "/v1/complaints/"+complaint+":assign", object{"handlerStaffId": engineer}).code == 200
	})
	return c
}

func newCustomerAt(t *testing.T, s *stack) string {
	t.Helper()
	return as(t, s, role("crm-specialist")...).post("/v1/customers", object{
		"name": unique("客户"), "kind": "CUSTOMER_KIND_DIRECT_USER", "party": "PARTY_PERSON"}).text("id")
}

func reviewOf(department string) object {
	return object{"category": "CATEGORY_AFTER_SALES_SERVICE", "quality": "QUALITY_NON_QUALITY", "severity": "SEVERITY_MAJOR",
		"validAtFirstSight": true, "departmentId": department}
}

// thing is one resource and what the acknowledged calls made of it.
type thing struct {
	kind     string // ticket, complaint, customer, invitation
	id       string
	customer string
	mark     string // in title or name, in no other thing
	verbs    []string
	events   []string
	state    string
	etag     string // "" where the last answer did not name it
	round    float64
	asked    int // invitations it must have caused
	comments []string
	orders   []string
	low      bool
	whole    bool // its script ran to its end, every call answered
}

// load is a run of the writers.
type load struct {
	h    *history
	cast cast
	stop atomic.Bool
	over chan struct{} // closed with stop, so that nobody sleeps on
	done sync.WaitGroup
	// mean is the mean time between two calls of one writer; pause, in nanoseconds, is what
	// it is now. hurried is closed when it ends, for those who wait.
	mean    time.Duration
	pause   atomic.Int64
	hurried atomic.Pointer[chan struct{}]
	// held keeps the writers from beginning a call while it is locked.
	held sync.RWMutex

	answers atomic.Int64

	mu     sync.Mutex
	things []*thing
}

// startLoad lets all writers begin. Those with the same seed make the same choices.
func startLoad(h *history, c cast, seed uint64, writers int, pause time.Duration) *load {
	l := &load{h: h, cast: c, over: make(chan struct{})}
	l.pace(pause)
	begin := make(chan struct{})
	for n := range writers {
		w := &writer{load: l, rng: rand.New(rand.NewPCG(seed, uint64(n))), n: n}
		l.done.Go(func() {
			<-begin
			for !l.stop.Load() {
				w.script()
			}
		})
	}
	close(begin)
	return l
}

// hurry lets every writer call at once and without pause, until they may relax.
func (l *load) hurry() {
	l.pause.Store(0)
	close(*l.hurried.Load())
}

// pace sets the mean pause of a writer.
func (l *load) pace(mean time.Duration) {
	l.mean = mean
	l.relax()
}

func (l *load) relax() {
	l.hurried.Store(new(make(chan struct{})))
	l.pause.Store(int64(l.mean))
}

// end lets every writer finish the call that it is at.
func (l *load) end() {
	if l.stop.CompareAndSwap(false, true) {
		close(l.over)
	}
	l.done.Wait()
}

// hush runs look while no call is under way and no connection of the load is open.
func (l *load) hush(t testing.TB, look func()) {
	t.Helper()
	l.held.Lock()
	defer l.held.Unlock()
	for deadline := time.Now().Add(settleWithin); l.h.flying() > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d calls are still under way after %v", l.h.flying(), settleWithin)
		}
	}
	l.h.client.CloseIdleConnections()
	look()
}

// writer works through one script after another.
type writer struct {
	load *load
	rng  *rand.Rand
	n    int
}

// script is the writer's trade. Each service has its share of the load: where it is the victim,
// so many of its writes are waited for that a rare kind would set the pace.
func (w *writer) script() {
	switch {
	case w.n%10 < 3:
		w.ticket()
	case w.n%10 < 5:
		w.complaint()
	case w.n%10 < 7:
		w.customer()
	default:
		w.survey()
	}
}

func (w *writer) key() string { return uuid.NewString() }

func (w *writer) manager() string { return w.load.cast.managers[w.rng.IntN(len(w.load.cast.managers))] }

func (w *writer) client() string {
	return w.load.cast.customers[w.rng.IntN(len(w.load.cast.customers))]
}

// rest is the writer's pause before a call.
func (w *writer) rest() {
	defer w.load.held.RUnlock()
	defer w.load.held.RLock()
	if p := w.load.pause.Load(); p > 0 {
		select {
		case <-time.After(time.Duration(w.rng.Int64N(2 * p))):
		case <-*w.load.hurried.Load():
		case <-w.load.over:
		}
	}
}

// call makes a call after a pause. It is nil where the call failed, which is noted, or the load
// is over: what the writer was at is left as it is.
func (w *writer) call(c *call) object {
	w.rest()
	if w.load.stop.Load() {
		return nil
	}
	return w.load.h.do(c)
}

func (w *writer) post(service, token, path string, body object) object {
	return w.call(&call{service: service, verb: "POST", path: path, key: w.key(), token: token, body: body})
}

func (w *writer) get(service, token, path string) object {
	return w.call(&call{service: service, verb: "GET", path: path, token: token})
}

func (w *writer) begin(th *thing) *thing {
	w.load.mu.Lock()
	defer w.load.mu.Unlock()
	w.load.things = append(w.load.things, th)
	return th
}

// step is one move of a ticket or complaint.
type step struct {
	token, verb string
	body        object
	event       string
}

// walk makes the moves and looks now and then whether the last answer can be read.
func (w *writer) walk(th *thing, service, at string, steps []step) bool {
	for _, s := range steps {
		answer := w.post(service, s.token, at+":"+s.verb, s.body)
		if answer == nil {
			return false
		}
		th.verbs, th.events = append(th.verbs, s.verb), append(th.events, s.event)
		th.saw(answer)
		if w.rng.IntN(3) > 0 {
			continue
		}
		got := w.get(service, w.manager(), at)
		if got == nil {
			return false
		}
		if got.text("etag") != th.etag || got.text("state") != th.state {
			w.load.h.violated("%s: acknowledged as %s version %s, then read as %s version %s", at, th.state, th.etag, got.text("state"), got.text("etag"))
		}
	}
	return true
}

func (th *thing) saw(answer object) {
	th.state, th.etag, th.round = answer.text("state"), answer.text("etag"), answer.number("round")
}

func (w *writer) ticket() {
	const service = "service-ticket"
	c, manager := w.load.cast, w.manager()
	th := w.begin(&thing{kind: "ticket", customer: w.client(), mark: "ticket " + w.key()})
	created := w.post(service, manager, "/v1/tickets", object{"customerId": th.customer, "channel": "CHANNEL_PHONE", "title": th.mark})
	if created == nil {
		return
	}
	th.id, th.verbs, th.events = created.text("id"), []string{"create"}, []string{"ticket.created.v1"}
	th.saw(created)
	at := "/v1/tickets/" + th.id
	steps := []step{
		{manager, "triage", object{"type": "TICKET_TYPE_REPAIR", "priority": "PRIORITY_P3", "departmentId": c.department}, "ticket.triaged.v1"},
		{manager, "assign", object{"staffId": c.staff}, "ticket.assigned.v1"},
		{manager, "start", object{}, "ticket.started.v1"},
	}
	if w.rng.IntN(2) == 0 {
		steps = append(steps, step{manager, "wait", object{"waitFor": "WAIT_FOR_CUSTOMER", "reason": "r"}, "ticket.waiting.v1"},
			step{manager, "resume", object{}, "ticket.resumed.v1"})
	}
	if !w.walk(th, service, at, steps) {
		return
	}
	comment := "comment " + w.key()
	if w.post(service, manager, at+"/comments", object{"body": comment, "public": true}) == nil {
		return
	}
	// A public comment is progress, and so a new version, which its answer does not name.
	th.comments, th.events, th.etag = append(th.comments, comment), append(th.events, "comment.added.v1"), ""
	steps, th.asked = []step{{manager, "resolve", object{"resolution": "r"}, "ticket.resolved.v1"}}, 1
	if w.rng.IntN(4) == 0 {
		th.asked = 2
		steps = append(steps, step{manager, "reopen", object{"reason": "r"}, "ticket.reopened.v1"}, step{manager, "start", object{}, "ticket.started.v1"},
			step{manager, "resolve", object{"resolution": "r"}, "ticket.resolved.v1"})
	}
	th.whole = w.walk(th, service, at, steps)
}

func (w *writer) complaint() {
	const service = "complaint"
	c, manager := w.load.cast, w.manager()
	th := w.begin(&thing{kind: "complaint", customer: w.client(), mark: "complaint " + w.key(), asked: 1})
	created := w.post(service, c.agent, "/v1/complaints", object{
		"customerId": th.customer, "channel": "CHANNEL_PHONE", "title": th.mark, "category": "CATEGORY_AFTER_SALES_SERVICE"})
	if created == nil {
		return
	}
	th.id, th.verbs, th.events = created.text("id"), []string{"create"}, []string{"complaint.received.v1"}
	th.saw(created)
	proposal := object{"findings": "f", "cause": "c", "validity": "VALIDITY_ESTABLISHED", "remedy": "REMEDY_REPAIR", "solution": "s"}
	th.whole = w.walk(th, service, "/v1/complaints/"+th.id, []step{
		{c.agent, "submit", object{}, "complaint.submitted.v1"},
		{manager, "review", reviewOf(c.department), "complaint.reviewed.v1"},
		{manager, "assign", object{"handlerStaffId": c.engineerID}, "complaint.assigned.v1"},
		{c.engineer, "recordContact", object{"channel": "CHANNEL_PHONE", "twoWay": true, "note": "n"}, "complaint.contacted.v1"},
		{c.engineer, "propose", object{"proposal": proposal}, "complaint.proposed.v1"},
		{manager, "approve", object{"decision": "DECISION_APPROVED"}, "complaint.approved.v1"},
		{c.engineer, "tell", object{"channel": "CHANNEL_PHONE", "told": "t"}, "complaint.told.v1"},
		{c.engineer, "recordAnswer", object{"satisfaction": "SATISFACTION_SATISFIED", "saidBy": "s", "channel": "CHANNEL_PHONE"}, "complaint.answered.v1"},
		{manager, "close", object{}, "complaint.closed.v1"},
	})
}

func (w *writer) customer() {
	const service = "customer-registry"
	th := w.begin(&thing{kind: "customer", mark: "客户" + strings.ReplaceAll(w.key(), "-", "")})
	created := w.post(service, w.load.cast.crm, "/v1/customers", object{
		"name": th.mark, "kind": "CUSTOMER_KIND_DIRECT_USER", "party": "PARTY_PERSON", "phone": "138 0013 8000"})
	if created == nil {
		return
	}
	th.id, th.events = created.text("id"), []string{"customer.created.v1"}
	th.saw(created)
	for range 3 {
		number := w.key()
		order := w.post(service, w.load.cast.admin, "/v1/customers/"+th.id+"/orders", object{
			"orderNumber": number, "orderTime": "2026-01-02T03:04:05Z", "status": "placed"})
		if order == nil {
			return
		}
		th.orders = append(th.orders, number)
		if w.rng.IntN(2) == 0 {
			listed := w.get(service, w.load.cast.admin, "/v1/customers/"+th.id+"/orders")
			if listed == nil {
				return
			}
			if !slices.ContainsFunc(listed.list("orders"), func(o object) bool { return o.text("id") == order.text("id") }) {
				w.load.h.violated("order %s was acknowledged and is not listed", number)
			}
		}
	}
	th.whole = true
}

// guest makes a customer who agreed to surveys: the contact budget lets nobody be invited
// by hand twice. It is "" where a call failed.
func (w *writer) guest() string {
	const service = "customer-registry"
	made := w.post(service, w.load.cast.crm, "/v1/customers", object{
		"name": "客人", "kind": "CUSTOMER_KIND_DIRECT_USER", "party": "PARTY_PERSON"})
	if made == nil {
		return ""
	}
	id := made.text("id")
	if w.post(service, w.load.cast.crm, "/v1/customers/"+id+":setConsent", object{"purpose": "CONSENT_PURPOSE_SURVEYS",
		"granted": true, "channel": "CHANNEL_PHONE", "wordingVersion": "v1"}) == nil {
		return ""
	}
	return id
}

// survey invites a customer by hand and answers for them, as long as answers are allowed.
func (w *writer) survey() {
	const service = "survey"
	guest := w.guest()
	if guest == "" {
		return
	}
	th := w.begin(&thing{kind: "invitation", customer: guest, low: w.rng.IntN(2) == 0})
	link := w.post(service, w.load.cast.crm, "/v1/invitations", object{
		"questionnaireId": "01900000-0000-7000-8000-000000000001", "customerId": th.customer})
	if link == nil {
		return
	}
	th.id, th.events = link.text("invitation", "id"), []string{"invitation.created.v1"}
	if w.load.answers.Add(1) > answersMax {
		return
	}
	score := 5
	if th.low {
		score = 1
	}
	receipt := w.post(service, w.load.cast.crm, "/v1/answers/"+link.text("token"), object{
		"responses": []object{{"questionKey": "overall", "score": score}}})
	if receipt == nil {
		return
	}
	th.mark, th.events = receipt.text("answerId"), append(th.events, "invitation.answered.v1")
	th.whole = true
}

// acked waits until a service has acknowledged that many writes from now on; for longer where
// the load is less.
func (l *load) acked(t testing.TB, service string, writes int) {
	t.Helper()
	before, _ := l.h.count(service)
	within := settleWithin * max(1, l.mean/calm)
	for deadline := time.Now().Add(within); ; time.Sleep(5 * time.Millisecond) {
		acked, _ := l.h.count(service)
		if acked >= before+writes {
			return
		}
		if time.Now().After(deadline) {
			l.end()
			l.h.report(t)
			t.Fatalf("void: %s acknowledged %d writes in %v, %d are needed; %s", service, acked-before, within, writes, l.h.summary())
		}
	}
}

// flying waits for a moment in which calls enough are under way.
func (l *load) flying(t testing.TB, s strike) {
	t.Helper()
	least, of := 0, leastInFlight
	if l.mean > calm {
		of = 1
	}
	if s.crowd {
		least = manyWriters / 2
	}
	most := 0
	for deadline := time.Now().Add(flyWithin); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if _, n := l.h.count(s.victim); n >= of && l.h.flying() >= least {
			return
		}
		most = max(most, l.h.flying())
	}
	t.Errorf("void: never %d calls of %s in flight and %d altogether, at most %d", of, s.victim, least, most)
}
