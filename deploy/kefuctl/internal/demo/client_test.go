package demo

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"

	"github.com/kefu-suite/kefu/deploy/kefuctl/internal/progress"
)

func client(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return NewClient(server.URL, func(role string) (string, error) { return "token-of-" + role, nil })
}

func TestDoWaitsOutLimitsAndOutages(t *testing.T) {
	var keys []string
	begun := time.Now()
	c := client(t, func(w http.ResponseWriter, r *http.Request) {
		keys = append(keys, r.Header.Get("Idempotency-Key"))
		if r.Header.Get("Authorization") != "Bearer token-of-crm-specialist" {
			t.Errorf("authorization %q", r.Header.Get("Authorization"))
		}
		switch len(keys) {
		case 1:
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		case 2:
			w.WriteHeader(http.StatusServiceUnavailable)
		case 3:
			w.WriteHeader(http.StatusConflict)
			_, _ = io.WriteString(w, `{"code":10,"message":"try again","details":[{"reason":"CONFLICT"}]}`)
		default:
			_, _ = io.WriteString(w, `{"id":"1","unknownField":true}`)
		}
	})
	out := &customerv1.Customer{}
	if err := c.do(t.Context(), crm, http.MethodPost, "/v1/customers", &customerv1.Customer{Name: "x"}, out); err != nil {
		t.Fatal(err)
	}
	if len(keys) != 4 || keys[0] == "" || len(slices.Compact(keys)) != 1 || out.GetId() != "1" {
		t.Fatalf("keys %q, answer %v", keys, out)
	}
	if waited := time.Since(begun); waited < time.Second {
		t.Errorf("went on after %s, before Retry-After", waited)
	}
}

func TestDoGivesUpOnRefusals(t *testing.T) {
	calls := 0
	c := client(t, func(w http.ResponseWriter, _ *http.Request) {
		calls++
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"code":9,"message":"not in this state","details":[{"@type":"x","reason":"TICKET_WRONG_STATE"},{"fieldViolations":[{"field":"title","description":"is empty"}]}]}`)
	})
	err := c.do(t.Context(), agent, http.MethodPost, "/v1/tickets/1:start", &ticketv1.StartTicketRequest{}, &ticketv1.Ticket{})
	if reason(err) != "TICKET_WRONG_STATE" || calls != 1 || !strings.Contains(err.Error(), "not in this state; title: is empty") {
		t.Fatalf("%d calls, %v", calls, err)
	}
}

func TestReachSaysWhatToDo(t *testing.T) {
	c := NewClient("http://127.0.0.1:1", nil)
	if err := c.reach(t.Context()); err == nil || !strings.Contains(err.Error(), "kefuctl up") {
		t.Fatalf("got %v", err)
	}
}

func TestPages(t *testing.T) {
	c := client(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("pageToken") == "" {
			_, _ = io.WriteString(w, `{"tickets":[{"id":"1"},{"id":"2"}],"nextPageToken":"more"}`)
			return
		}
		_, _ = io.WriteString(w, `{"tickets":[{"id":"3"}]}`)
	})
	var ids []string
	list := &ticketv1.ListTicketsResponse{}
	err := c.pages(t.Context(), manager, "/v1/tickets", map[string][]string{}, list, func() string {
		for _, x := range list.GetTickets() {
			ids = append(ids, x.GetId())
		}
		return list.GetNextPageToken()
	})
	if err != nil || strings.Join(ids, "") != "123" {
		t.Fatalf("got %v, %v", ids, err)
	}
}

func TestImporter(t *testing.T) {
	var mu sync.Mutex
	var sizes []int
	c := client(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		request := &ticketv1.ImportTicketsRequest{}
		if err := protojson.Unmarshal(body, request); err != nil {
			t.Error(err)
		}
		mu.Lock()
		sizes = append(sizes, len(request.GetRecords()))
		mu.Unlock()
		answer := &ticketv1.ImportTicketsResponse{}
		for _, r := range request.GetRecords() {
			result := &typev1.ImportResult{ExternalId: r.GetExternalId(), Outcome: typev1.ImportOutcome_IMPORT_OUTCOME_CREATED, Id: "id-" + r.GetExternalId()}
			switch r.GetExternalId() {
			case "7":
				result.Outcome = typev1.ImportOutcome_IMPORT_OUTCOME_EXISTS
			case "600":
				result.Outcome, result.Id = typev1.ImportOutcome_IMPORT_OUTCOME_REFUSED, ""
				result.Refusals = []*typev1.Refusal{{Reason: "TICKET_TIMES_OUT_OF_ORDER", Message: "closed before created"}}
			}
			answer.Results = append(answer.Results, result)
		}
		content, _ := protojson.Marshal(answer)
		_, _ = w.Write(content)
	})
	var records []*ticketv1.TicketRecord
	for i := range 1001 {
		records = append(records, &ticketv1.TicketRecord{ExternalId: fmt.Sprint(i)})
	}
	tally, err := importer[*ticketv1.TicketRecord]{
		name: "tickets", path: "/v1/tickets:import", role: administrator,
		request: func(b []*ticketv1.TicketRecord) proto.Message { return &ticketv1.ImportTicketsRequest{Records: b} },
		response: func() (proto.Message, func() []*typev1.ImportResult) {
			m := &ticketv1.ImportTicketsResponse{}
			return m, m.GetResults
		},
		where: func(id string) origin { return origin{"f.csv", 9, id} },
	}.run(context.Background(), c, progress.New(io.Discard), records)
	if err != nil {
		t.Fatal(err)
	}
	if len(sizes) != 3 || tally.Created != 999 || tally.Exists != 1 || tally.Refused != 1 || tally.id("7") != "id-7" || tally.id("600") != "" {
		t.Fatalf("sizes %v, tally %+v", sizes, tally)
	}
	if r := tally.rejected[0]; r.ID != "600" || r.Line != 9 || r.Reasons[0] != "TICKET_TIMES_OUT_OF_ORDER: closed before created" {
		t.Fatalf("rejected %+v", r)
	}
}
