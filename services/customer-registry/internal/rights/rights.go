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

// Service is the one that is asked at a step.
func Service(step int) string { return Steps()[step%len(Steps())] }

// Again tells that a service is asked at a step a second time.
func Again(step int) bool { return step >= len(Steps()) }

// steps is how many a request has. An erasure of a customer goes to the others once more when
// the registry has closed the file: what was written of the person while they were erased goes
// then. Of a contact nobody knows any more by then how they were reached, and the company goes on.
func steps(k Kind, ofContact bool) int {
	if k == Erasure && !ofContact {
		return 2*len(Steps()) - 1
	}
	return len(Steps())
}

// Next is where a request stands after a part of a step: at its next part, at the next step,
// or at its end.
func Next(k Kind, ofContact bool, step int, partsLeft bool) (next int, state State) {
	if partsLeft {
		return step, Running
	}
	if step+1 < steps(k, ofContact) {
		return step + 1, Running
	}
	return step + 1, Done
}
