package clock_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/internal/clock"
)

func TestLadderFiresEachStepOnceWhateverRetargets(t *testing.T) {
	b := newBench(t)
	b.start("2026-03-02 09:00:00", hours(2))
	b.sweep("2026-03-02 10:00:00")
	b.retarget("2026-03-02 10:10:00", "priority-changed", hours(4))
	b.sweep("2026-03-02 11:30:00") // half of the new target is nothing new
	b.retarget("2026-03-02 11:40:00", "priority-changed", hours(3))
	b.sweep("2026-03-02 11:41:00")
	b.sweep("2026-03-02 18:00:00")
	want := "STARTED, WARNED warn-50, RETARGETED, RETARGETED, WARNED warn-80, MISSED, ESCALATED supervisor, ESCALATED manager"
	if got := strings.Join(b.types(), ", "); got != want {
		t.Errorf("log %s, want %s", got, want)
	}
}

func TestLateOnesFireOnReturnInOrderAndSayHowLate(t *testing.T) {
	b := newBench(t)
	b.start("2026-03-02 09:00:00", hours(2))
	if done := b.sweep("2026-03-02 11:45:00"); done.Fired != 4 {
		t.Fatalf("%d fired", done.Fired)
	}
	names, payloads := b.told()
	if got := strings.Join(names, " "); got != "clock.warned.v1 clock.warned.v1 clock.missed.v1 clock.escalated.v1" {
		t.Fatalf("told %s", got)
	}
	for i, want := range []time.Duration{105 * time.Minute, 69 * time.Minute, 45 * time.Minute} {
		if got := payloads[i].GetLate().AsDuration(); got != want {
			t.Errorf("%s is late by %v, want %v", names[i], got, want)
		}
	}
	if payloads[0].GetRole() != "service-agent" || payloads[3].GetRole() != "service-supervisor" {
		t.Errorf("went to %q and %q", payloads[0].GetRole(), payloads[3].GetRole())
	}
	var audits int
	err := b.db.Pool.QueryRow(t.Context(), `SELECT count(*) FROM audit_records WHERE object_type = 'clock'`).Scan(&audits)
	if err != nil || audits != 1 {
		t.Errorf("%d audit records, %v", audits, err)
	}
	b.wantPhase(clock.Missed)
}

// many starts n clocks of as many cases, due at times near each other.
func (b *bench) many(n int, terms clock.Terms) {
	b.t.Helper()
	terms.CalendarID = "china-standard"
	at := b.at("2026-03-02 09:00:00")
	specs := make([]clock.Spec, n)
	for i := range specs {
		specs[i] = clock.Spec{Subject: clock.Subject{Type: "ticket", ID: uuid.New()}, Kind: "resolution", Round: 1, At: at, Terms: terms}
	}
	b.do(func(ctx context.Context, tx *write.Tx) error {
		_, err := b.store.Start(ctx, tx, specs...)
		return err
	})
}

func TestTwoReplicasSweepAndEachThingFiresOnce(t *testing.T) {
	b := newBench(t)
	const n = 1200
	b.many(n, hours(2))
	b.at("2026-03-02 11:00:01")
	var wg sync.WaitGroup
	for range 2 {
		_, sweeper := b.replica()
		wg.Go(func() {
			if _, err := sweeper.Sweep(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	b.sweep("2026-03-02 11:00:02") // what both left to each other
	var events, distinct int
	err := b.db.Pool.QueryRow(t.Context(), `SELECT count(*), count(DISTINCT (subject_id, type)) FROM event_outbox WHERE type <> 'clock.warned.v1'`).
		Scan(&events, &distinct)
	if err != nil || events != 2*n || distinct != 2*n {
		t.Errorf("%d events, %d distinct, want %d, %v", events, distinct, 2*n, err)
	}
	if got := b.rebuild(); got != n {
		t.Errorf("%d clocks rebuilt", got)
	}
}

func TestPausesResumesAndSweepsOfOneClockRace(t *testing.T) {
	b := newBench(t)
	b.start("2026-03-02 09:00:00", hours(4))
	ctx, begin := t.Context(), b.clock.Now()
	var wg sync.WaitGroup
	for g := range 50 {
		store, sweeper := b.replica()
		random := rand.New(rand.NewPCG(uint64(g), 1))
		wg.Go(func() {
			for range 8 {
				b.clock.Set(begin.Add(time.Duration(random.IntN(9*60)) * time.Minute))
				verb := store.Pause
				switch g % 3 {
				case 0:
					if _, err := sweeper.Sweep(ctx); err != nil {
						t.Error(err)
					}
					continue
				case 1:
					verb = store.Resume
				}
				err := write.Job(ctx, b.path, "test", func(ctx context.Context, tx *write.Tx) error {
					tx.Audit("ticket", b.subject.ID, nil)
					_, err := verb(ctx, tx, b.all(), clock.Act{At: b.clock.Now(), Reason: clock.ReasonWaitingCustomer})
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	// Positions without gaps and a fold without error are what get checks.
	c := b.get()
	steps := map[string]int{}
	for _, f := range c.Fired {
		steps[f.Step]++
	}
	for step, n := range steps {
		if n != 1 {
			t.Errorf("%s fired %d times", step, n)
		}
	}
	if c.Position < 3 {
		t.Errorf("only %d entries: nothing raced", c.Position)
	}
	b.stop("2026-03-09 09:00:00")
	if got := b.get().Phase; got != clock.Met && got != clock.Missed {
		t.Errorf("ended %v", got)
	}
}

func TestLogIsAppendOnlyForTheRunRole(t *testing.T) {
	b := newBench(t)
	b.start("2026-03-02 09:00:00", hours(4))
	for _, sql := range []string{
		`UPDATE clock_log SET reason = 'x'`, `DELETE FROM clock_log`, `TRUNCATE clock_log`,
		`UPDATE clock_calendars SET version = 'x'`, `DELETE FROM clock_calendars`, `DELETE FROM clocks`, `TRUNCATE clocks CASCADE`,
	} {
		if _, err := b.db.Pool.Exec(t.Context(), sql); pg.Code(err) != "42501" {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

func TestAClockThatCannotBeComputedDoesNotStopTheOthers(t *testing.T) {
	b := newBench(t)
	b.many(3, hours(2))
	_, err := b.db.Owner(t).Exec(t.Context(), `
UPDATE clock_log SET terms = terms || '{"working_time": 0}' WHERE clock_id = (SELECT min(id::text)::uuid FROM clocks)`)
	if err != nil {
		t.Fatal(err)
	}
	if done := b.sweep("2026-03-02 10:00:00"); done.Fired != 2 {
		t.Errorf("%d fired", done.Fired)
	}
	if done := b.sweep("2026-03-02 10:00:01"); done.Fired != 0 {
		t.Errorf("%d fired again", done.Fired)
	}
}

func TestExplainTellsEverySegment(t *testing.T) {
	b := newBench(t)
	c := b.start("2026-02-13 17:50:00", days(2))
	b.pause("2026-02-14 10:00:00")
	b.resume("2026-02-14 10:30:00")
	e, err := b.store.Explain(t.Context(), b.db.Pool, c.ID)
	if err != nil {
		t.Fatal(err)
	}
	var whole, counted time.Duration
	texts := map[string]bool{}
	for _, g := range e.GetSegments() {
		whole += g.GetLength().AsDuration()
		if g.GetCounted() {
			counted += g.GetLength().AsDuration()
		}
		texts[g.GetText().GetEn()] = true
		texts[g.GetText().GetZh()] = true
	}
	var sums time.Duration
	for _, s := range e.GetSums() {
		sums += s.GetLength().AsDuration()
	}
	if counted != 16*time.Hour || counted != e.GetCounted().AsDuration() || counted != e.GetClock().GetWorkingTime().AsDuration() {
		t.Errorf("counted %v of %v", counted, e.GetClock().GetWorkingTime().AsDuration())
	}
	if due := e.GetClock().GetDueTime().AsTime(); sums != whole || whole != due.Sub(c.State.Start) {
		t.Errorf("segments last %v, sums %v, due %v", whole, sums, due)
	}
	for _, want := range []string{
		"working hours", "make-up workday: Spring Festival", "调休上班：春节", "holiday: Spring Festival", "节假日：春节",
		"break between shifts", "outside working hours", "paused: waiting for the customer (by service-ticket)", "暂停：等待客户（service-ticket）",
	} {
		if !texts[want] {
			t.Errorf("no segment says %q in %v", want, texts)
		}
	}
	if len(e.GetLog()) != 3 || len(e.GetAssumedYears()) != 0 || e.GetText().GetZh() == "" {
		t.Errorf("%v", e)
	}
	if _, err := b.store.Explain(t.Context(), b.db.Pool, uuid.New()); !errors.Is(err, clock.ErrNotFound) {
		t.Errorf("an unknown clock: %v", err)
	}
}

func TestReceiptOutlivesItsCalendar(t *testing.T) {
	b := newBench(t)
	c := b.start("2026-02-13 17:50:00", days(2))
	b.stop("2026-02-14 12:00:00")
	want := b.get().Due
	b.library.set("china-standard", without(t, 2026, ""))
	b.sweep("2026-03-01 12:00:00")
	fresh, _ := b.replica()
	got, _, err := fresh.Get(t.Context(), b.db.Pool, c.ID)
	if err != nil || !got.Due.Equal(want) {
		t.Errorf("due %v, was %v, %v", got.Due, want, err)
	}
}

func TestHandOver(t *testing.T) {
	b := newBench(t)
	b.start("2026-03-02 09:00:00", hours(4))
	to := clock.Owner{Role: "support-engineer", StaffID: uuid.New()}
	for range 2 {
		b.do(func(ctx context.Context, tx *write.Tx) error {
			_, err := b.store.HandOver(ctx, tx, b.all(), b.act("assigned"), to)
			return err
		})
	}
	if c := b.get(); c.Owner != to || c.Position != 2 {
		t.Errorf("owner %+v after %d entries", c.Owner, c.Position)
	}
}
