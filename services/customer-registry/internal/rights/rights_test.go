package rights

import (
	"slices"
	"testing"
)

func TestFirst(t *testing.T) {
	for kind, want := range map[Kind]State{Export: Running, Erasure: Pending, Correction: Pending} {
		if got := First(kind); got != want || Decidable(got) != (want == Pending) {
			t.Errorf("a request of kind %d begins in state %d, want %d", kind, got, want)
		}
	}
	if !Held(Erasure) || Held(Export) || Held(Correction) {
		t.Error("a legal hold keeps data from erasure and from nothing else")
	}
}

// TestEveryServiceIsAsked: whatever number of parts each has, every service comes once, the
// registry last, and the end comes after it; an erasure of a customer goes round the others
// once more.
func TestEveryServiceIsAsked(t *testing.T) {
	once := []string{"service-ticket", "complaint", "survey", "customer-registry"}
	for _, c := range []struct {
		kind      Kind
		ofContact bool
		want      []string
	}{
		{Export, false, once}, {Correction, false, once}, {Erasure, true, once},
		{Erasure, false, append(slices.Clone(once), "service-ticket", "complaint", "survey")},
	} {
		for parts := 1; parts < 4; parts++ {
			var asked []string
			step, state := 0, Running
			for calls := 1; state == Running; calls++ {
				if calls > 100 {
					t.Fatal("it never ends")
				}
				if calls%parts != 0 {
					step, state = Next(c.kind, c.ofContact, step, true)
					continue
				}
				if Again(step) != (len(asked) >= len(once)) {
					t.Errorf("step %d is asked again: %v", step, Again(step))
				}
				asked = append(asked, Service(step))
				step, state = Next(c.kind, c.ofContact, step, false)
			}
			if state != Done || !slices.Equal(asked, c.want) {
				t.Errorf("kind %d in %d parts: state %d after %v", c.kind, parts, state, asked)
			}
		}
	}
}
