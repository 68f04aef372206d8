package server_test

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/internal/clocktest"
)

// told gives what the events of a clock say, by type and step.
func (w *world) told(c *clockv1.Clock) map[string]*clockv1.ClockChanged {
	w.t.Helper()
	out := map[string]*clockv1.ClockChanged{}
	for _, e := range w.eventsOf(c.GetId()) {
		payload, err := event.Unpack[*clockv1.ClockChanged](e)
		if err != nil {
			w.t.Fatal(err)
		}
		name := e.GetType() + " " + payload.GetStepId()
		if out[name] != nil {
			w.t.Errorf("%s came twice", name)
		}
		out[name] = payload
	}
	return out
}

// Whatever number of replicas sweeps, each step fires once; late ones say how late.
func TestTwoReplicasSweeping(t *testing.T) {
	w := newWorld(t)
	w.set("2026-11-02 09:00:00")
	id := w.to(complaint.Reviewed).GetId()
	c := w.clockOf(id, "assigned") // 2 h
	w.set("2026-11-02 10:36:00")   // 80 %
	w.sweepAtOnce()
	got := w.told(c)
	if p := got[clock.TypeWarned+" warn-80"]; len(got) != 1 || p.GetRole() != complaint.RoleHead || p.GetLate().AsDuration() != 0 ||
		p.GetOwner().GetStaffId() != w.staff["head"].String() || p.GetSubjectId() != id {
		t.Errorf("at 80 %%: %v", got)
	}
	w.set("2026-11-02 11:00:00") // the last instant in time
	w.sweepAtOnce()
	w.set("2026-11-02 14:00:00") // nobody swept for three hours
	w.sweepAtOnce()
	got = w.told(c)
	missed, head, manager := got[clock.TypeMissed+" "], got[clock.TypeEscalated+" escalate-head"], got[clock.TypeEscalated+" escalate-manager"]
	if len(got) != 4 || missed.GetLate().AsDuration() != 3*time.Hour || missed.GetClauseId() != "assigned" ||
		head.GetRole() != complaint.RoleHead || manager.GetRole() != "service-manager" ||
		manager.GetLate().AsDuration().Round(time.Second) != 3*time.Hour {
		t.Errorf("after the miss: %v", got)
	}
	w.rebuilt()
}

// sweepAtOnce has several replicas sweep.
func (w *world) sweepAtOnce() {
	w.t.Helper()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if _, err := w.sweeper.Sweep(w.t.Context()); err != nil {
				w.t.Error(err)
			}
		})
	}
	wg.Wait()
}

// At 80 % of what was promised without a result told, the head of department and the
// manager are warned; nobody is escalated to, for it is nobody's own.
func TestThePromiseWarnsWhoCanStillKeepIt(t *testing.T) {
	w := newWorld(t)
	w.set("2026-11-02 09:00:00")
	id := w.to(complaint.Contacted).GetId()
	c := w.clocksOf(id, 0).GetPromise()
	w.set("2026-11-04 13:11:59")
	w.sweep()
	if got := w.told(c); len(got) != 0 {
		t.Errorf("before 80 %%: %v", got)
	}
	w.set("2026-11-04 13:12:00") // 19 h 12 min of 24 h
	w.sweep()
	got := w.told(c)
	if len(got) != 2 || got[clock.TypeWarned+" warn-80-head"].GetRole() != complaint.RoleHead || got[clock.TypeWarned+" warn-80-manager"].GetRole() != "service-manager" {
		t.Errorf("at 80 %%: %v", got)
	}
	w.set("2026-11-04 18:00:01")
	w.sweep()
	if got := w.told(c); len(got) != 3 || got[clock.TypeMissed+" "] == nil {
		t.Errorf("broken: %v", got)
	}
	w.on(w.get("manager", id), complaint.Told, "tech")
	if p := w.clocksOf(id, 0).GetPromise(); p.GetState() != clock.Missed || p.GetMissedBy().AsDuration() != time.Second {
		t.Errorf("reported as %v", p)
	}
	w.rebuilt()
}

// When a year's dates are loaded or changed, the open clocks move by themselves and say so;
// what ended stays.
func TestAYearsDatesLoadedWhileComplaintsAreOpen(t *testing.T) {
	w := newWorld(t)
	w.set("2026-12-31 09:00:00") // a Thursday; nothing is known of 2027 yet
	done, open := w.to(complaint.Told).GetId(), w.to(complaint.Contacted).GetId()
	hold := w.to(complaint.Proposed).GetId()
	got := w.due(open, "told", "2027-01-04 18:00:00")
	if len(got.GetAssumedYears()) != 1 || got.GetAssumedYears()[0] != 2027 {
		t.Errorf("assumed years %v", got.GetAssumedYears())
	}
	w.set("2026-12-31 10:00:00")
	w.loadYear(2027, 2, "2027-01-01")
	w.sweepAtOnce()
	got = w.due(open, "told", "2027-01-05 18:00:00")
	last := got.GetLog()[len(got.GetLog())-1]
	if last.GetType() != clock.EntryRetargeted || last.GetReason() != clock.ReasonCalendarChanged || last.GetCalendarVersion() != "2" || len(got.GetAssumedYears()) != 0 {
		t.Errorf("log %v, assumed %v", got.GetLog(), got.GetAssumedYears())
	}
	for _, kind := range []string{"told", "promise"} {
		c := w.clockOf(open, kind)
		p := w.told(c)[clock.TypeRetargeted+" "]
		if !p.GetDueTimeBefore().AsTime().Equal(clocktest.WallClock(t, "2027-01-04 18:00:00")) || !p.GetDueTime().AsTime().Equal(clocktest.WallClock(t, "2027-01-05 18:00:00")) ||
			p.GetReason() != clock.ReasonCalendarChanged {
			t.Errorf("%s: event %v", kind, p)
		}
	}
	// Hours by day and night are the same; what ended was judged by what was known.
	for _, c := range append(w.clocksOf(done, 0).GetClocks(), w.clockOf(open, "documented"), w.clocksOf(done, 0).GetPromise()) {
		if got := w.told(c); got[clock.TypeRetargeted+" "] != nil {
			t.Errorf("%s moved: %v", c.GetKind(), got)
		}
	}
	// A paused clock takes the new dates too.
	must[*complaintv1.Complaint](w)(w.client.ApproveSolution(w.as("supervisor"), approval(hold)))
	w.due(hold, "told", "2027-01-06 10:00:00")

	// The dates change once more: the holiday was none.
	w.loadYear(2027, 3)
	w.sweepAtOnce()
	w.due(open, "told", "2027-01-04 18:00:00")
	// The same again changes nothing.
	before := len(w.explain(open, "told").GetLog())
	w.loadYear(2027, 4)
	if swept := w.sweep(); swept.Moved != 0 || len(w.explain(open, "told").GetLog()) != before {
		t.Errorf("swept %+v", swept)
	}
	w.rebuilt()
}

// Of many who make the same move at once exactly one moves the clocks, and sweeps beside
// them change nothing of that.
func TestExactlyOneMovesTheClocks(t *testing.T) {
	w := newWorld(t)
	w.set("2026-11-02 09:00:00")
	id := w.create(nil).GetId()
	clocks := []int{3, 4, 7, 7, 8, 8, 8} // with the promise, after each move of the way
	for step, v := range verbs()[:7] {
		w.Clock.Advance(50 * time.Hour) // everything that runs is missed by now
		etag := w.get("manager", id).GetEtag()
		const racers = 6
		errs := make([]error, racers)
		var wg sync.WaitGroup
		for i := range racers {
			ctx := w.as(v.by)
			wg.Go(func() { errs[i] = v.call(w, ctx, id, etag) })
		}
		w.sweepAtOnce()
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else if reason := rpcerr.Reason(err); reason != "ETAG_MISMATCH" {
				t.Errorf("%s lost with %v", v.name, err)
			}
		}
		var n int
		if err := w.Pool.QueryRow(t.Context(), "SELECT count(*) FROM clocks WHERE subject_id = $1", id).Scan(&n); err != nil {
			t.Fatal(err)
		}
		if won != 1 || n != clocks[step] {
			t.Errorf("%s: %d won, %d clocks, want %d", v.name, won, n, clocks[step])
		}
		w.rebuilt()
	}
	for _, c := range w.clocksOf(id, 0).GetClocks() {
		if c.GetState() != clock.Missed {
			t.Errorf("%s is %v", c.GetKind(), c.GetState())
		}
	}
	w.checkHistory(id)
}

// Whatever is called in whatever order and however long it takes: logs make the rows,
// receipts add up, and of handler and approver at most one's time runs.
func TestClocksOfRandomLives(t *testing.T) {
	w := newWorld(t)
	random := rand.New(rand.NewPCG(21, 34))
	for range 3 {
		w.set("2026-02-12 16:00:00") // before a make-up workday and the Spring Festival
		id := w.create(nil).GetId()
		for range 60 {
			w.Clock.Advance(time.Duration(random.IntN(8*3600)) * time.Second)
			v := verbs()[random.IntN(len(verbs()))]
			call := func() error { return v.call(w, w.as(v.by), id, "") }
			if v.name == "approve" && random.IntN(2) == 0 {
				call = func() error {
					_, err := w.client.ApproveSolution(w.as("supervisor"), &complaintv1.ApproveSolutionRequest{
						Id: id, Decision: complaintv1.Decision_DECISION_RETURNED, Reason: "look closer",
					})
					return err
				}
			}
			if err := call(); status.Code(err) == codes.Internal {
				t.Fatalf("%s: %v", v.name, err)
			}
			if random.IntN(3) == 0 {
				w.sweep()
			}
			w.consistent(id)
		}
		w.rebuilt()
	}
}

// consistent checks what holds at any time of the clocks of a complaint.
func (w *world) consistent(id string) {
	w.t.Helper()
	c := w.get("manager", id)
	list := w.clocksOf(id, 0)
	running, kinds := map[string]bool{}, map[string]int{}
	for _, of := range list.GetClocks() {
		if of.GetRound() == c.GetRound() {
			kinds[of.GetKind()]++
		}
		if of.GetState() == clock.Pending {
			continue
		}
		if of.GetStopTime() == nil && len(of.GetPauses()) == 0 {
			running[of.GetKind()] = true
		}
		if of.GetStopTime() == nil && of.GetRound() != c.GetRound() {
			w.t.Errorf("%s of round %d is open in round %d", of.GetKind(), of.GetRound(), c.GetRound())
		}
		must[*clockv1.ClockExplanation](w)(w.client.ExplainComplaintClock(w.as("manager"),
			&complaintv1.ExplainComplaintClockRequest{ComplaintId: id, Clock: of.GetId()}))
	}
	if running["told"] && running["approved"] {
		w.t.Errorf("%v: the time of handler and approver runs at once", c.GetState())
	}
	if proposed := c.GetState() == complaint.Proposed; running["approved"] != proposed {
		w.t.Errorf("%v: the approver's clock runs: %v", c.GetState(), running["approved"])
	}
	want := map[bool]int{true: 7, false: 5}[c.GetRound() == 1]
	if c.GetState() == complaint.Told || c.GetState() == complaint.Closed {
		if len(running) != 0 {
			w.t.Errorf("%v: still running %v", c.GetState(), running)
		}
	}
	if len(kinds) != want {
		w.t.Errorf("%v in round %d: %v, want %d kinds", c.GetState(), c.GetRound(), kinds, want)
	}
	for kind, n := range kinds {
		if n != 1 && kind != complaint.ClockContacted {
			w.t.Errorf("%d clocks of %s in one round", n, kind)
		}
	}
	if p := list.GetPromise(); p == nil || len(p.GetPauses()) != 0 || (p.GetStopTime() == nil) != (c.GetRound() == 1 && c.GetState() < complaint.Told) {
		w.t.Errorf("%v in round %d: promise %v", c.GetState(), c.GetRound(), p)
	}
}
