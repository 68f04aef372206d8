package rights

import "testing"

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
// registry last, and the end comes after it.
func TestEveryServiceIsAsked(t *testing.T) {
	for parts := 1; parts < 4; parts++ {
		var asked []string
		step, state := 0, Running
		for state == Running {
			if len(asked) > 100 {
				t.Fatal("it never ends")
			}
			asked = append(asked, Steps()[step])
			left := len(asked)%parts != 0
			step, state = Next(step, left)
		}
		if state != Done || len(asked) != 4*parts || asked[len(asked)-1] != "customer-registry" || asked[0] == "customer-registry" {
			t.Errorf("%d parts: state %d after %v", parts, state, asked)
		}
	}
}
