package server_test

import (
	"errors"
	"io"
	"testing"

	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

// A dry run tells of each case what it is about and how pressing it is.
func TestADryRunTellsTypeAndPriority(t *testing.T) {
	w := newWorld(t)
	past := record("1", ticket.Closed)
	past.Ticket.Type, past.Ticket.Priority = ticketv1.TicketType_TICKET_TYPE_TECHNICAL_PROBLEM, p2
	w.imports(w.importer(), past)
	stream, err := w.policies.DryRunPolicy(w.manager(), &clockv1.DryRunPolicyRequest{Id: "1", Source: "nyc311"})
	if err != nil {
		t.Fatal(err)
	}
	var cases []*clockv1.DryRunCase
	for {
		part, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if c := part.GetCase(); c != nil {
			cases = append(cases, c)
		}
	}
	if len(cases) != 1 || cases[0].GetType() != "technical_problem" || cases[0].GetLevel() != "p2" || cases[0].GetTier() != typev1.Tier_TIER_C {
		t.Errorf("%v", cases)
	}
}
