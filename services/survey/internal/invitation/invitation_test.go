package invitation_test

import (
	"testing"
	"time"

	"github.com/kefu-suite/kefu/services/survey/internal/invitation"
)

func TestEveryStateAndVerb(t *testing.T) {
	now := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	const (
		before = time.Second // the expire time lies ahead
		at     = time.Duration(0)
		after  = -time.Second
	)
	type move struct {
		stored invitation.State
		left   time.Duration
		verb   invitation.Verb
	}
	// Whatever is not listed is refused.
	possible := map[move]invitation.State{
		{invitation.Pending, before, invitation.Answer}:  invitation.Answered,
		{invitation.Pending, before, invitation.Reissue}: invitation.Pending,
		{invitation.Pending, before, invitation.Revoke}:  invitation.Revoked,
		{invitation.Pending, at, invitation.Expire}:      invitation.Expired,
		{invitation.Pending, after, invitation.Expire}:   invitation.Expired,
	}
	verbs := []invitation.Verb{invitation.Answer, invitation.Reissue, invitation.Revoke, invitation.Expire, invitation.Verb(99)}
	for _, stored := range []invitation.State{0, invitation.Pending, invitation.Answered, invitation.Expired, invitation.Revoked} {
		for _, left := range []time.Duration{before, at, after} {
			for _, verb := range verbs {
				m := move{stored, left, verb}
				next, ok := invitation.Next(stored, now.Add(left), now, verb)
				want, allowed := possible[m]
				if ok != allowed || ok && next != want {
					t.Errorf("%v: got %v %v, want %v %v", m, next, ok, want, allowed)
				}
				if !ok && verb != invitation.Expire && next != invitation.At(stored, now.Add(left), now) {
					t.Errorf("%v: refused from %v", m, next)
				}
			}
		}
	}
}

func TestAt(t *testing.T) {
	now := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		stored invitation.State
		left   time.Duration
		want   invitation.State
	}{
		{invitation.Pending, time.Nanosecond, invitation.Pending},
		{invitation.Pending, 0, invitation.Expired},
		{invitation.Answered, -time.Hour, invitation.Answered},
		{invitation.Revoked, -time.Hour, invitation.Revoked},
		{invitation.Expired, time.Hour, invitation.Expired},
	} {
		if got := invitation.At(c.stored, now.Add(c.left), now); got != c.want {
			t.Errorf("%v with %v left is %v, want %v", c.stored, c.left, got, c.want)
		}
	}
}
