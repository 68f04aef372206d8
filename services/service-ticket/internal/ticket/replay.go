package ticket

import (
	"fmt"
	"slices"
)

// Step is one recorded move.
type Step struct {
	Verb     Verb
	From, To State
	Round    int32
}

// Replay runs a recorded history through the transition table and gives the state and
// round it ends in. It fails at the first step that the table does not have, that does
// not begin where the one before ended, or whose round is not the one that follows.
func Replay(steps []Step) (State, int32, error) {
	state, round, merged := None, int32(0), None
	for i, s := range steps {
		if s.From != state {
			return None, 0, fmt.Errorf("step %d (%s) begins %s, but the ticket was %s", i+1, s.Verb, Name(s.From), Name(state))
		}
		to, err := replayed(s)
		if err != nil {
			return None, 0, fmt.Errorf("step %d: %w", i+1, err)
		}
		switch s.Verb {
		case Create, Import:
			round = 1
		case Reopen:
			round++
		case Merge:
			merged = s.From
		case Unmerge:
			to = merged
		}
		if s.To != to || s.Round != round {
			return None, 0, fmt.Errorf("step %d (%s) leads to %s, round %d, not to %s, round %d",
				i+1, s.Verb, Name(to), round, Name(s.To), s.Round)
		}
		state = to
	}
	return state, round, nil
}

func replayed(s Step) (State, error) {
	if s.Verb != Import {
		return Next(s.From, s.Verb)
	}
	importable := []State{New, Triaged, Assigned, InProgress, Waiting, Resolved, Closed, Cancelled}
	if s.From != None || !slices.Contains(importable, s.To) {
		return None, fmt.Errorf("import leads from nothing to a state of the source, not from %s to %s", Name(s.From), Name(s.To))
	}
	return s.To, nil
}
