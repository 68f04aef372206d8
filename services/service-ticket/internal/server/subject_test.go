package server_test

import (
	"errors"
	"io"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	subjectv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/subject/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/internal/subject/subjecttest"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
)

func TestSubjectTablesAreDeclared(t *testing.T) {
	subjecttest.Declared(t, bareWorld(t, false).Pool, db.SubjectTables())
}

func reportedBy(customer, name, phone string) *ticketv1.Ticket {
	return &ticketv1.Ticket{CustomerId: customer, Title: "漏水", Description: "厨房", Reporter: &ticketv1.Reporter{Name: name, Phone: phone}}
}

// eraseAll erases in parts until it is done.
func (w *world) eraseAll(erasure string, person *subjectv1.Subject) {
	w.t.Helper()
	client := subjectv1.NewSubjectServiceClient(w.Conn)
	for cursor, done := "", false; !done; {
		got, err := client.EraseSubject(w.AsService("customer-registry"), &subjectv1.EraseSubjectRequest{ErasureId: erasure, Subject: person, Cursor: cursor})
		if err != nil {
			w.t.Fatal(err)
		}
		cursor, done = got.GetCursor(), got.GetDone()
	}
}

// TestSubjectOfACustomer: what is theirs is exported and erased, also what came from their
// phone before they were a customer; others' is not.
func TestSubjectOfACustomer(t *testing.T) {
	w := newWorld(t)
	customer, other := w.customer(typev1.Tier_TIER_C), w.customer(typev1.Tier_TIER_C)
	mine := w.create(reportedBy(customer, "王大山", "+8613812349876"))
	before := w.create(reportedBy("", "王大山", "+8613812349876"))
	theirs := w.create(reportedBy(other, "李四", "+8613812349876"))
	if _, err := w.tickets.CreateComment(w.manager(), &ticketv1.CreateCommentRequest{TicketId: mine.GetId(), Comment: &ticketv1.Comment{Body: "请尽快", Public: true}}); err != nil {
		t.Fatal(err)
	}
	person := &subjectv1.Subject{CustomerIds: []string{customer}, Phones: []string{"+8613812349876"}, Names: []string{"王大山"}}
	client := subjectv1.NewSubjectServiceClient(w.Conn)
	stream, err := client.ExportSubject(w.AsService("customer-registry"), &subjectv1.ExportSubjectRequest{Subject: person})
	if err != nil {
		t.Fatal(err)
	}
	exported := map[string]string{}
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		exported[r.GetKind()+" "+r.GetId()] = r.GetContent().GetFields()["reporter_phone"].GetStringValue()
	}
	if exported["tickets "+mine.GetId()] != "+8613812349876" || exported["tickets "+before.GetId()] != "+8613812349876" || len(exported) < 5 {
		t.Errorf("exported %v", exported)
	}
	if _, there := exported["tickets "+theirs.GetId()]; there {
		t.Error("another customer's ticket was exported")
	}
	for range 2 { // again changes nothing more
		w.eraseAll(nowhere, person)
	}
	for _, id := range []string{mine.GetId(), before.GetId()} {
		got := w.get(id)
		if got.GetTitle() != "" || got.GetDescription() != "" || got.GetReporter() != nil || got.GetNumber() == "" {
			t.Errorf("after the erasure: %v", got)
		}
	}
	if got := w.get(theirs.GetId()); got.GetTitle() == "" || got.GetReporter().GetPhone() == "" {
		t.Errorf("another customer's ticket: %v", got)
	}
	comments, err := w.tickets.ListComments(w.manager(), &ticketv1.ListCommentsRequest{TicketId: mine.GetId()})
	if err != nil || len(comments.GetComments()) != 1 || comments.GetComments()[0].GetBody() != "" {
		t.Errorf("comments: %v, %v", comments, err)
	}
	// Nobody has told yet that the file is closed: from the first part on nothing new begins.
	_, err = w.tickets.CreateTicket(w.manager(), &ticketv1.CreateTicketRequest{Ticket: &ticketv1.Ticket{
		Title: "again", Channel: typev1.Channel_CHANNEL_PHONE, CustomerId: customer, Reporter: &ticketv1.Reporter{Phone: "+8613812349876"},
	}})
	if status.Code(err) != codes.FailedPrecondition || rpcerr.Reason(err) != "CUSTOMER_RETIRED" {
		t.Errorf("a ticket of an erased person: %v", err)
	}
	w.create(reportedBy(other, "李四", "+8613812349876"))
}

// TestSubjectAtACompany: their name and phone are corrected and go; the case stays.
func TestSubjectAtACompany(t *testing.T) {
	w := newWorld(t)
	company := w.customer(typev1.Tier_TIER_C)
	byPhone, byName := w.create(reportedBy(company, "小王", "+8613812349876")), w.create(reportedBy(company, "王大山", ""))
	colleague := w.create(reportedBy(company, "李四", "+8613900001111"))
	person := &subjectv1.Subject{
		CustomerIds: []string{company}, ContactId: nowhere, Phones: []string{"+8613812349876"}, Names: []string{"王大山"},
	}
	client := subjectv1.NewSubjectServiceClient(w.Conn)
	got, err := client.CorrectSubject(w.AsService("customer-registry"), &subjectv1.CorrectSubjectRequest{Subject: person, Phone: "+8613812340000", Name: "王大川"})
	if err != nil || got.GetCorrected() != 2 || !got.GetDone() {
		t.Fatalf("corrected: %v, %v", got, err)
	}
	if r := w.get(byPhone.GetId()).GetReporter(); r.GetPhone() != "+8613812340000" || r.GetName() != "小王" {
		t.Errorf("by phone: %v", r)
	}
	if r := w.get(byName.GetId()).GetReporter(); r.GetName() != "王大川" {
		t.Errorf("by name: %v", r)
	}
	w.eraseAll(nowhere, &subjectv1.Subject{
		CustomerIds: []string{company}, ContactId: nowhere, Phones: []string{"+8613812340000"}, Names: []string{"王大川"},
	})
	for _, id := range []string{byPhone.GetId(), byName.GetId()} {
		if got := w.get(id); got.GetReporter() != nil || got.GetTitle() == "" {
			t.Errorf("after the erasure: %v", got)
		}
	}
	if got := w.get(colleague.GetId()); got.GetReporter().GetPhone() == "" {
		t.Errorf("the colleague's ticket: %v", got)
	}
}
