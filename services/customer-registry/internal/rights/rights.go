// Package rights has the rules of what people may ask for about the data that is held on
// them: their export, correction and erasure.
package rights

// Kind is what is asked for.
type Kind int16

// As the contract has them.
const (
	Export     Kind = 1
	Erasure    Kind = 2
	Correction Kind = 3
)

// State is where a request stands.
type State int16

// As the contract has them.
const (
	Pending State = 1
	Running State = 2
	Done    State = 3
	Refused State = 4
)

// First is the state of a new request: to look at data changes nothing, whatever changes or
// erases it waits for a second person.
func First(k Kind) State {
	if k == Export {
		return Running
	}
	return Pending
}

// Decidable tells whether a request waits for a decision.
func Decidable(s State) bool { return s == Pending }

// Held tells whether a legal hold stands in the way of a request.
func Held(k Kind) bool { return k == Erasure }

// Steps are the services in the order in which they are asked. The registry comes last: it
// knows by what the others find a person, until it has forgotten.
func Steps() []string {
	return []string{"service-ticket", "complaint", "survey", "customer-registry"}
}

// Next is where a request stands after a part of a step: at its next part, at the next step,
// or at its end.
func Next(step int, partsLeft bool) (next int, state State) {
	if partsLeft {
		return step, Running
	}
	if step+1 < len(Steps()) {
		return step + 1, Running
	}
	return step + 1, Done
}
