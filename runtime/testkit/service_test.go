package testkit_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/testkit"
)

// reader is a policy in which one role may read events.
func reader() authz.Policy {
	return authz.Policy{Roles: map[string]authz.Role{
		"reader": {Grants: []authz.Grant{{Permission: "events.read", Scope: accessv1.Scope_SCOPE_COMPANY}}}, "clerk": {},
	}}
}

// put commits events as a service would.
func put(t *testing.T, s *testkit.Service, n int) {
	t.Helper()
	for range n {
		err := event.Insert(t.Context(), s.Pool, event.Event{
			Type: "thing.changed.v1", SubjectID: uuid.New(), SubjectVersion: 1,
		}, event.Origin{ActorKind: eventv1.ActorKind_ACTOR_KIND_SERVICE, ActorID: "x", RecordTime: s.Clock.Now()})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// first opens the stream and gives the code of its first answer.
func first(ctx context.Context, s *testkit.Service) codes.Code {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	stream, err := eventv1.NewEventServiceClient(s.Conn).StreamEvents(ctx, &eventv1.StreamEventsRequest{})
	if err != nil {
		return status.Code(err)
	}
	_, err = stream.Recv()
	return status.Code(err)
}

func TestEventsGivesAllThatWasCommitted(t *testing.T) {
	s := testkit.NewService(t, testkit.ServiceConfig{Policy: reader()})
	if got := s.Events(t); len(got) != 0 {
		t.Fatalf("a new service has %d events", len(got))
	}
	put(t, s, 3)
	if got := s.Events(t); len(got) != 3 || got[2].GetPosition() != 3 {
		t.Fatalf("got %v", got)
	}
	put(t, s, 1)
	if got := s.Events(t); len(got) != 4 {
		t.Fatalf("got %d events, want 4", len(got))
	}
}

func TestCallersAreWhoTheirContextsSay(t *testing.T) {
	s := testkit.NewService(t, testkit.ServiceConfig{Policy: reader()})
	put(t, s, 1)
	s.Events(t)
	for name, c := range map[string]struct {
		ctx  context.Context
		want codes.Code
	}{
		"role with the right":    {s.As("reader"), codes.OK},
		"staff with the right":   {s.AsStaff("reader", "li"), codes.OK},
		"role without":           {s.As("clerk"), codes.PermissionDenied},
		"listed service":         {s.AsService("survey"), codes.OK},
		"unlisted service":       {s.AsService("stranger"), codes.PermissionDenied},
		"account with the right": {s.AsAccount("erp", "events.read"), codes.OK},
		"account without":        {s.AsAccount("erp", "tickets.read"), codes.PermissionDenied},
		"customer":               {s.AsCustomer(uuid.NewString()), codes.PermissionDenied},
		"public":                 {s.AsPublic(), codes.Unauthenticated},
	} {
		if got := first(c.ctx, s); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

func TestBackgroundRunsTheSequencer(t *testing.T) {
	s := testkit.NewService(t, testkit.ServiceConfig{Policy: reader(), Background: true})
	put(t, s, 1)
	if got := first(s.As("reader"), s); got != codes.OK {
		t.Fatalf("got %v", got)
	}
}
