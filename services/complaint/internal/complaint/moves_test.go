package complaint_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
)

// manual is the table of moves as the manual tells it, written down apart from the code:
// state, verb, end; "+" is one more round.
const manual = `
received  submit        submitted
submitted review        reviewed
reviewed  assign        assigned
assigned  assign        assigned
contacted assign        assigned
assigned  attempt       assigned
contacted attempt       contacted
proposed  attempt       proposed
approved  attempt       approved
told      attempt       told
assigned  contact       contacted
contacted propose       proposed
proposed  approve       approved
proposed  return        contacted
approved  tell          told
told      answer        told
told      close         closed
told      reopen        reviewed +
told      dispute       submitted +
received  retarget      received
submitted retarget      submitted
reviewed  retarget      reviewed
assigned  retarget      assigned
contacted retarget      contacted
proposed  retarget      proposed
approved  retarget      approved
told      retarget      told
assigned  investigate   assigned
contacted investigate   contacted
assigned  inspect       assigned
contacted inspect       contacted
approved  execute       approved
told      execute       told
told      remind        told
told      lapse         closed
closed    takeup        reviewed +
closed    takeupdispute submitted +
`

var verbs = map[string]complaint.Verb{
	"create": complaint.Create, "import": complaint.Import,
	"submit": complaint.Submit, "review": complaint.Review, "assign": complaint.Assign, "attempt": complaint.Attempt,
	"contact": complaint.Contact, "propose": complaint.Propose, "approve": complaint.Approve, "return": complaint.Return,
	"tell": complaint.Tell, "answer": complaint.Answer, "close": complaint.Close, "reopen": complaint.Reopen,
	"dispute": complaint.Dispute, "retarget": complaint.Retarget,
	"investigate": complaint.Investigate, "inspect": complaint.Inspect, "execute": complaint.Execute,
	"remind": complaint.Remind, "lapse": complaint.Lapse, "takeup": complaint.TakeUp, "takeupdispute": complaint.TakeUpDisputed,
}

func states() []complaint.State {
	var out []complaint.State
	for number := range complaintv1.ComplaintState_name {
		out = append(out, complaint.State(number))
	}
	return out
}

func TestEveryStateAndVerbIsAsTheManualSays(t *testing.T) {
	type end struct {
		state string
		round int32
	}
	want := map[[2]string]end{}
	for _, line := range strings.Split(strings.TrimSpace(manual), "\n") {
		f := strings.Fields(line)
		e := end{f[2], 3}
		if len(f) == 4 {
			e.round++
		}
		want[[2]string{f[0], f[1]}] = e
	}
	seen := 0
	for _, state := range states() {
		for name, verb := range verbs {
			from := complaint.StateName(state)
			step, err := complaint.Next(state, 3, verb)
			expected, legal := want[[2]string{from, name}]
			if !legal {
				var refusal *complaint.Refusal
				if !errors.As(err, &refusal) || refusal.Reason != complaint.ReasonWrongState {
					t.Errorf("%s in %s: got %v, want COMPLAINT_WRONG_STATE", name, from, err)
				} else if refusal.Facts["state"] != from || !strings.Contains(refusal.Text.EN, from) {
					t.Errorf("%s in %s: the refusal %q does not name the state", name, from, refusal.Text.EN)
				} else if zh := refusal.Text.ZH; foreign.MatchString(zh) {
					t.Errorf("%s in %s: %q is not all Chinese", name, from, zh)
				}
				continue
			}
			seen++
			if err != nil || complaint.StateName(step.To) != expected.state || step.Round != expected.round || step.From != state {
				t.Errorf("%s in %s: got %v in round %d, %v; want %v", name, from, step.To, step.Round, err, expected)
			}
		}
	}
	if seen != len(want) {
		t.Errorf("%d legal moves, want %d", seen, len(want))
	}
	if len(complaint.Verbs()) != len(verbs)-2 {
		t.Errorf("%d verbs in the code, %d in the manual", len(complaint.Verbs()), len(verbs)-2)
	}
}

func TestTheRefusalNamesTheStatesTheVerbStartsFrom(t *testing.T) {
	_, err := complaint.Next(complaint.Told, 1, complaint.Assign)
	var refusal *complaint.Refusal
	if !errors.As(err, &refusal) || refusal.Facts["allowed_states"] != "reviewed,assigned,contacted" {
		t.Fatalf("got %v", err)
	}
}

// A walk along legal moves, written down as history, leads by replay to where it ended;
// with one line changed it leads nowhere.
func TestReplayOfRandomWalks(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		state, round := complaint.Received, int32(1)
		history := []complaint.Recorded{{Version: 1, Verb: "create", To: state, Round: 1}}
		for len(history) < 2+random.IntN(40) {
			verb := complaint.Verbs()[random.IntN(len(complaint.Verbs()))]
			step, err := complaint.Next(state, round, verb)
			if err != nil {
				if state == complaint.Closed {
					break
				}
				continue
			}
			history = append(history, complaint.Recorded{
				Version: int64(len(history) + 1), Verb: verb.Name(), From: step.From, To: step.To, Round: step.Round,
			})
			state, round = step.To, step.Round
		}
		gotState, gotRound, err := complaint.Replay(history)
		if err != nil || gotState != state || gotRound != round {
			t.Fatalf("replay gives %v in round %d, %v; want %v in round %d", gotState, gotRound, err, state, round)
		}
		broken := append([]complaint.Recorded(nil), history...)
		i := random.IntN(len(broken))
		switch random.IntN(3) {
		case 0:
			broken[i].Round++
		case 1:
			broken[i].Version++
		default:
			broken[i].From = complaint.Closed
		}
		if _, _, err := complaint.Replay(broken); err == nil {
			t.Fatalf("replay took %+v", broken[i])
		}
	}
}

func TestReplayOfImportedHistory(t *testing.T) {
	for _, state := range states() {
		_, _, err := complaint.Replay([]complaint.Recorded{{Version: 1, Verb: "import", To: state, Round: 1}})
		name := complaint.StateName(state)
		possible := name != "unspecified" && name != "proposed" && name != "approved"
		if (err == nil) != possible {
			t.Errorf("imported as %s: %v", name, err)
		}
	}
}

// An end is an end to whoever follows the events, however it came about, and so is the next
// round.
func TestEveryMoveHasItsEvent(t *testing.T) {
	seen := map[string]complaint.Verb{}
	same := map[string]string{"lapse": "close", "reopen": "nextRound"}
	name := func(v complaint.Verb) string {
		if as, ok := same[v.Name()]; ok {
			return as
		}
		return v.Name()
	}
	for _, verb := range verbs {
		e := verb.Event()
		if !strings.HasPrefix(e, "complaint.") || !strings.HasSuffix(e, ".v1") {
			t.Errorf("%s has the event %q", verb.Name(), e)
		}
		if other, ok := seen[e]; ok && name(other) != name(verb) {
			t.Errorf("%s and %s share %s", verb.Name(), other.Name(), e)
		}
		seen[e] = verb
	}
}
