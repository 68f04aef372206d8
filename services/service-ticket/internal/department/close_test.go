package department_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/department"
)

func TestCheckClose(t *testing.T) {
	id := uuid.UUID{1}
	full := department.Use{Members: 3, Below: 1, Tickets: 12, Waiting: 4, Tasks: 2, Routes: 5, Hotlines: 1, Rosters: 1, Shifts: 9, Stations: 6, CannedAnswers: 7}
	many := department.Use{Tickets: department.MaxMoved, Tasks: 1}
	for name, c := range map[string]struct {
		use       department.Use
		successor bool
		reason    string
		parts     []string
	}{
		"nothing":                    {department.Use{}, false, "", nil},
		"all of it with a successor": {full, true, "", nil},
		"as much as goes at once":    {department.Use{Tickets: department.MaxMoved - 1, Tasks: 1}, true, "", nil},
		"all of it": {full, false, "DEPARTMENT_IN_USE", []string{"3 members", "1 departments below", "12 open tickets, 4 of them in the queue",
			"2 open sub-tasks", "5 routes", "1 hotlines", "1 duty rosters with 9 shifts", "6 service stations", "7 canned answers", "successor_id"}},
		"one route":              {department.Use{Routes: 1}, false, "DEPARTMENT_IN_USE", []string{": 1 routes;"}},
		"too much":               {many, true, "DEPARTMENT_TOO_FULL", []string{"501", "at most 500"}},
		"too much, no successor": {many, false, "DEPARTMENT_IN_USE", []string{"500 open tickets"}},
	} {
		err := department.CheckClose(id, c.use, c.successor)
		if c.reason == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		var public *rpcerr.Error
		if !errors.As(err, &public) || public.Reason() != c.reason {
			t.Errorf("%s: %v, want %s", name, err, c.reason)
			continue
		}
		for _, part := range c.parts {
			if !strings.Contains(public.Text().EN, part) {
				t.Errorf("%s: %q does not tell %q", name, public.Text().EN, part)
			}
		}
	}
	var public *rpcerr.Error
	if err := department.CheckClose(id, full, false); !errors.As(err, &public) || rpcerr.Info(err).GetMetadata()["tickets"] != "12" || !strings.Contains(public.Text().ZH, "未结工单 12 张") {
		t.Errorf("%v", public)
	}
}

func TestCheckStateAndSuccessor(t *testing.T) {
	a, b := uuid.UUID{1}, uuid.UUID{2}
	for _, c := range []struct {
		closed, want bool
		reason       string
	}{{false, false, ""}, {true, true, ""}, {true, false, "DEPARTMENT_CLOSED"}, {false, true, "DEPARTMENT_NOT_CLOSED"}} {
		if got := rpcerr.Reason(department.CheckState(a, c.closed, c.want)); got != c.reason {
			t.Errorf("%v, wanted %v: %q, want %q", c.closed, c.want, got, c.reason)
		}
	}
	if err := department.CheckSuccessor(a, b); err != nil {
		t.Error(err)
	}
	if err := department.CheckSuccessor(a, a); rpcerr.Reason(err) != rpcerr.ReasonValidation {
		t.Error(err)
	}
}

// top ← closed ← a ← b, and closed ← c: whoever goes on, no circle is made.
func TestAbove(t *testing.T) {
	top, closed, a, b, c, other := uuid.UUID{1}, uuid.UUID{2}, uuid.UUID{3}, uuid.UUID{4}, uuid.UUID{5}, uuid.UUID{6}
	parents := map[uuid.UUID]uuid.UUID{top: uuid.Nil, closed: top, a: closed, b: a, c: closed, other: uuid.Nil}
	for _, x := range []struct{ successor, aGoes, cGoes uuid.UUID }{{other, other, other}, {top, top, top}, {a, top, a}, {b, top, b}} {
		if got := department.Above(a, closed, x.successor, parents); got != x.aGoes {
			t.Errorf("successor %v: a goes below %v, want %v", x.successor, got, x.aGoes)
		}
		if got := department.Above(c, closed, x.successor, parents); got != x.cGoes {
			t.Errorf("successor %v: c goes below %v, want %v", x.successor, got, x.cGoes)
		}
		after := map[uuid.UUID]uuid.UUID{top: uuid.Nil, other: uuid.Nil, b: a, a: x.aGoes, c: x.cGoes}
		for at := range after {
			steps := 0
			for up := at; up != uuid.Nil; up = after[up] {
				if steps++; steps > 6 {
					t.Fatalf("successor %v: a circle above %v", x.successor, at)
				}
			}
		}
	}
}
