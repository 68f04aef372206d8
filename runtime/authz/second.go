package authz

import (
	"context"
	"errors"
	"slices"

	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// ReasonSecondPerson (PERMISSION_DENIED): the caller did what a second person must agree to.
const ReasonSecondPerson = "SECOND_PERSON_NEEDED"

// errNobodyFirst is a fault of a handler, and keeps its change from being committed.
var errNobodyFirst = errors.New("authz: the method's rule asks for a second person, and the handler did not say who was the first")

// SecondPerson refuses the caller if they are among the actors (authn.Identity.Actor) who
// proposed or asked for what the call decides on. The handler of a method whose rule says
// second_person calls it on the row it has locked; without that the change is not committed.
func SecondPerson(ctx context.Context, actors ...string) error {
	current(ctx).first = true
	if !slices.Contains(actors, authn.FromContext(ctx).Actor()) {
		return nil
	}
	return rpcerr.Denied(ReasonSecondPerson, rpcerr.T(
		"You asked for this yourself, so somebody else must decide on it.",
		"该事项由您本人提出，须由他人决定。"))
}

// Settled fails when the call's rule asks for a second person and SecondPerson was not
// called. The write path asks it before every commit.
func Settled(ctx context.Context) error {
	if c := current(ctx); c.rule.GetSecondPerson() && !c.first {
		return errNobodyFirst
	}
	return nil
}
