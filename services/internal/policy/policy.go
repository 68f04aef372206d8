// Package policy holds the rules by which cases get their clocks, as versioned data: what a
// version says ([Pick]), whether it makes sense ([Validate]), how two differ ([Diff]), how
// past cases would have gone under one ([DryRun]), and where versions are kept ([Book]).
// All but the Book is free of I/O.
package policy

import (
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/internal/worktime"
)

// Facts are what a case is chosen a clause by. What is unset fits no condition.
type Facts struct {
	Tier     typev1.Tier
	Channel  typev1.Channel
	Priority string
	Severity string
}

// fits says whether every condition of a clause holds.
func (f Facts) fits(c *clockv1.PolicyClause) bool {
	return fits(c.GetTier(), f.Tier) && fits(c.GetChannel(), f.Channel) &&
		fits(c.GetPriority(), f.Priority) && fits(c.GetSeverity(), f.Severity)
}

func fits[T comparable](wanted, got T) bool {
	var none T
	return wanted == none || wanted == got
}

// conditions counts those of a clause.
func conditions(c *clockv1.PolicyClause) (n int) {
	for _, set := range []bool{c.GetTier() != 0, c.GetChannel() != 0, c.GetPriority() != "", c.GetSeverity() != ""} {
		if set {
			n++
		}
	}
	return n
}

// Choice is the clause that applies to a case, and the caps beside it.
type Choice struct {
	Clause *clockv1.PolicyClause
	Caps   []*clockv1.PolicyClause
}

// Pick chooses the clause of a kind that fits a case: the one with most conditions, the
// first of those. It is false where none fits or the one that does sets no deadline.
func Pick(p *clockv1.Policy, kind string, f Facts) (Choice, bool) {
	var out Choice
	for _, c := range p.GetClauses() {
		switch {
		case c.GetKind() != kind || !f.fits(c):
		case c.GetCap():
			out.Caps = append(out.Caps, c)
		case out.Clause == nil || conditions(c) > conditions(out.Clause):
			out.Clause = c
		}
	}
	if out.Clause.GetTarget() == nil {
		return Choice{}, false
	}
	return out, true
}

// Kinds lists the kinds of clocks a policy speaks of, in the order of the clauses.
func Kinds(p *clockv1.Policy) []string {
	var out []string
	for _, c := range p.GetClauses() {
		if !c.GetCap() && !slices.Contains(out, c.GetKind()) {
			out = append(out, c.GetKind())
		}
	}
	return out
}

// Calendars gives a calendar by its id.
type Calendars func(id string) (*worktime.Calendar, error)

// Terms gives the terms for a clock that starts at an instant, and the clause they come
// from: of the clause that applies and its caps the one that is due first. events tells when
// what floors count from happened; a floor whose event is not there is left out.
func (c Choice) Terms(p *clockv1.Policy, start time.Time, events map[string]time.Time, calendars Calendars) (clock.Terms, *clockv1.PolicyClause, error) {
	clause := c.Clause
	best := terms(p, clause, clause, events)
	if len(c.Caps) == 0 {
		return best, clause, nil
	}
	due, err := dueOf(best, start, calendars)
	if err != nil {
		return clock.Terms{}, nil, err
	}
	for _, limit := range c.Caps {
		t := terms(p, c.Clause, limit, events)
		at, err := dueOf(t, start, calendars)
		if err != nil {
			return clock.Terms{}, nil, err
		}
		if at.Before(due) {
			best, clause, due = t, limit, at
		}
	}
	return best, clause, nil
}

func dueOf(t clock.Terms, start time.Time, calendars Calendars) (time.Time, error) {
	cal, err := calendars(t.CalendarID)
	if err != nil {
		return time.Time{}, err
	}
	resolved, err := t.Resolve(cal, "", start)
	if err != nil {
		return time.Time{}, fmt.Errorf("clause %q: %w", t.ClauseID, err)
	}
	return cal.Add(start, resolved.WorkingTime)
}

// terms takes target and calendar from a clause or cap and the rest from the clause.
func terms(p *clockv1.Policy, clause, amount *clockv1.PolicyClause, events map[string]time.Time) clock.Terms {
	t := clock.Terms{
		Target: clock.TargetOf(amount.GetTarget()), CalendarID: amount.GetCalendarId(), PolicyVersion: p.GetVersion(),
		ClauseID: amount.GetClauseId(), PauseReasons: clause.GetPauseReasons(),
	}
	if id, err := uuid.Parse(p.GetId()); err == nil {
		t.PolicyID = id
	}
	if f := amount.GetFloor(); f != nil {
		if from, ok := events[f.GetStartEvent()]; ok {
			t.Floor = &clock.Floor{From: from, Target: clock.TargetOf(f.GetTarget())}
		}
	}
	for _, s := range clause.GetLadder() {
		t.Ladder = append(t.Ladder, clock.Step{
			ID: s.GetStepId(), Percent: s.GetPercent(), Role: s.GetRole(),
			Escalate: s.GetAction() == clockv1.ClockStepAction_CLOCK_STEP_ACTION_ESCALATE,
		})
	}
	return t
}
