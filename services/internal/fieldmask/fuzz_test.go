package fieldmask_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/services/internal/fieldmask"
)

// FuzzApply: whatever a mask names, what is output only and what identifies the ticket stay,
// and a mask that is refused changes nothing.
func FuzzApply(f *testing.F) {
	for _, s := range []string{"title", "title,priority", "state", "id", "etag", "reporter.name", "reporter", "reporter.name.x", "", ".", "title,,state", "Title", "number,title", "evidence.score"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, paths string) {
		before := &ticketv1.Ticket{Id: "1", Number: "T-1", Title: "before", State: ticketv1.TicketState_TICKET_STATE_NEW, Etag: "1", Reporter: &ticketv1.Reporter{Name: "a"}}
		after := &ticketv1.Ticket{Id: "2", Number: "T-2", Title: "after", State: ticketv1.TicketState_TICKET_STATE_CLOSED, Etag: "2", Reporter: &ticketv1.Reporter{Name: "b"}}
		got := proto.CloneOf(before)
		err := fieldmask.Apply(got, after, &fieldmaskpb.FieldMask{Paths: strings.Split(paths, ",")}, "id")
		if got.GetId() != "1" || got.GetNumber() != "T-1" || got.GetState() != before.GetState() || got.GetEtag() != "1" {
			t.Fatalf("the mask %q changes what is fixed: %v", paths, got)
		}
		if err != nil && !proto.Equal(got, before) {
			t.Fatalf("the mask %q is refused and changes %v", paths, got)
		}
	})
}
