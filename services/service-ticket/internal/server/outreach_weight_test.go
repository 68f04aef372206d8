package server_test

import (
	"testing"

	"google.golang.org/grpc/codes"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

// The tickets of a notice weigh what it says, and find their priority as other tickets do
// where it names none.
func TestAFaultHasUrgencyAndImpact(t *testing.T) {
	w := newWorld(t)
	w.installed(w.customer(typev1.Tier_TIER_C), "M", "1")
	for what, c := range map[string]struct {
		notice *ticketv1.FaultNotice
		named  ticketv1.Priority
		want   ticket.Weight
	}{
		"both":               {&ticketv1.FaultNotice{Urgency: urgent, Impact: some}, 0, ticket.Weight{Urgency: urgent, Impact: some, Priority: p2, PrioritySource: byMatrix}},
		"one alone":          {&ticketv1.FaultNotice{Urgency: urgent}, p3, ticket.Weight{Urgency: urgent, Priority: p3, PrioritySource: byHand}},
		"neither":            {&ticketv1.FaultNotice{}, p3, ticket.Weight{Priority: p3, PrioritySource: byHand}},
		"another priority":   {&ticketv1.FaultNotice{Urgency: urgent, Impact: wide, Priority: p4}, p4, ticket.Weight{Urgency: urgent, Impact: wide, Priority: p4, PrioritySource: byHand}},
		"the priority alone": {&ticketv1.FaultNotice{Priority: p2}, p2, ticket.Weight{Priority: p2, PrioritySource: byHand}},
	} {
		c.notice.ProductModel, c.notice.Title, c.notice.DepartmentId = "M", what, w.desk.GetId()
		made, err := w.outreach().CreateFaultNotice(w.manager(), &ticketv1.CreateFaultNoticeRequest{Notice: c.notice})
		if err == nil {
			err = w.server.SweepNotices(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		told, err := w.outreach().GetFaultNotice(w.manager(), &ticketv1.GetFaultNoticeRequest{Id: made.GetId()})
		if err != nil {
			t.Fatal(err)
		}
		for when, is := range map[string]*ticketv1.FaultNotice{"made": made, "told": told} {
			if is.GetUrgency() != c.notice.GetUrgency() || is.GetImpact() != c.notice.GetImpact() || is.GetPriority() != c.named {
				t.Errorf("%s: %s as %v", what, when, is)
			}
		}
		list, err := w.outreach().ListFaultContacts(w.manager(), &ticketv1.ListFaultContactsRequest{NoticeId: made.GetId()})
		if err != nil || len(list.GetContacts()) != 1 {
			t.Fatal(list, err)
		}
		w.weighs(what, list.GetContacts()[0].GetTicketId(), c.want)
	}
	_, err := w.outreach().CreateFaultNotice(w.manager(), &ticketv1.CreateFaultNoticeRequest{Notice: &ticketv1.FaultNotice{
		ProductModel: "M", Title: "x", DepartmentId: w.desk.GetId(), Urgency: 9}})
	refused(t, "an urgency that is none", err, codes.InvalidArgument, "VALIDATION_FAILED", "notice.urgency")
}
