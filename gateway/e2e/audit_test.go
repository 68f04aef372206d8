package e2e

import (
	"context"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/rpc"
)

// TestAuditorsReadWhatWasDone: a change shows in the trail of its service within a second or
// so, found by customer, thing and right; nobody but auditors reads it.
func TestAuditorsReadWhatWasDone(t *testing.T) {
	manager := as(t, suite, role("service-manager")...)
	auditor := as(t, suite, role("auditor")...)
	customer := newCustomer(t, unique("吴经理")).text("id")
	ticket := manager.post("/v1/tickets", object{"customerId": customer, "channel": "CHANNEL_WEB", "title": "x"}).text("id")
	var record object
	eventually(t, "the record of the ticket", func() bool {
		found := auditor.get("/v1/auditRecords?source=service-ticket&customerId=" + customer).list("auditRecords")
		if len(found) == 0 {
			return false
		}
		record = found[len(found)-1]
		return true
	})
	if record.text("objectId") != ticket || record.text("action") != "/kefu.ticket.v1.TicketService/CreateTicket" ||
		record.text("right") != "role:service-manager/tickets.create" || record.at("intact") != true {
		t.Errorf("the record is %v", record)
	}
	if got := auditor.get("/v1/auditRecords?source=service-ticket&objectId=" + ticket + "&right=" + escape(record.text("right"))).list("auditRecords"); len(got) != 1 {
		t.Errorf("by thing and right there are %d records", len(got))
	}
	eventually(t, "the record of the reading", func() bool {
		return len(auditor.get("/v1/auditRecords?source=service-ticket&action="+escape("/kefu.audit.v1.AuditService/ListAuditRecords")).list("auditRecords")) > 0
	})
	for _, source := range []string{"customer-registry", "complaint", "survey"} {
		auditor.get("/v1/auditRecords?source=" + source)
	}
	auditor.refused(http.StatusBadRequest, "VALIDATION_FAILED", "GET", "/v1/auditRecords?source=ledger", nil)
	manager.refused(http.StatusForbidden, "PERMISSION_DENIED", "GET", "/v1/auditRecords?source=service-ticket", nil)
}

// TestTheTrailSaysFromWhere: over REST and over gRPC a record has the address that was seen, and
// nothing that the caller says of themselves changes it.
func TestTheTrailSaysFromWhere(t *testing.T) {
	manager, auditor := as(t, suite, role("service-manager")...), as(t, suite, role("auditor")...)
	lies := []string{"X-Forwarded-For", "203.0.113.7", "Forwarded", "for=203.0.113.7", "X-Real-Ip", "203.0.113.7",
		"Grpc-Metadata-X-Forwarded-For", "203.0.113.7", "Grpc-Metadata-Kefu-Origin", "203.0.113.7", "Kefu-Origin", "203.0.113.7"}
	ticket := object{"customerId": newCustomer(t, unique("钱经理")).text("id"), "channel": "CHANNEL_WEB", "title": "x"}
	made := []string{manager.do("POST", "/v1/tickets", ticket, lies...).text("id")}

	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+suite.token(t, role("service-manager")...),
		"x-forwarded-for", "203.0.113.7", rpc.OriginKey, "203.0.113.7")
	out, err := ticketv1.NewTicketServiceClient(dialAll(t, suite)["service-ticket"]).CreateTicket(ctx, &ticketv1.CreateTicketRequest{
		Ticket: &ticketv1.Ticket{CustomerId: ticket.text("customerId"), Channel: typev1.Channel_CHANNEL_WEB, Title: "y"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range append(made, out.GetId()) {
		var record object
		eventually(t, "the record of "+id, func() bool {
			found := auditor.get("/v1/auditRecords?source=service-ticket&action=" + escape("/kefu.ticket.v1.TicketService/CreateTicket") +
				"&address=127.0.0.1&objectId=" + id).list("auditRecords")
			if len(found) > 0 {
				record = found[0]
			}
			return len(found) > 0
		})
		if record.text("address") != "127.0.0.1" || record.at("intact") != true {
			t.Errorf("the record is %v", record)
		}
	}
	if found := auditor.get("/v1/auditRecords?source=service-ticket&address=203.0.113.7").list("auditRecords"); len(found) > 0 {
		t.Errorf("a claim stands in the trail: %v", found[0])
	}
	auditor.refused(http.StatusBadRequest, "VALIDATION_FAILED", "GET", "/v1/auditRecords?source=survey&address=here", nil)
}

// TestKefuctlVerifiesEveryTrail beside the running services.
func TestKefuctlVerifiesEveryTrail(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, filepath.Join(suite.bin, "kefuctl"), "audit", "verify", "--dir", suite.dir).CombinedOutput()
	if err != nil {
		t.Fatalf("kefuctl audit verify: %v\n%s", err, out)
	}
	told := regexp.MustCompile(`(?m)^([a-z-]+): \d+ records good, \d+ anchors agree, in `).FindAllStringSubmatch(string(out), -1)
	if len(told) != 4 {
		t.Errorf("it says:\n%s", out)
	}
}
