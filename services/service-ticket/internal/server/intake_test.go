package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/intake"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

func (w *world) intake() ticketv1.IntakeServiceClient { return ticketv1.NewIntakeServiceClient(w.Conn) }

// call is a telephone call from a number.
func call(id, number string) *ticketv1.TakeInRequest {
	return &ticketv1.TakeInRequest{
		Channel: typev1.Channel_CHANNEL_PHONE, MessageId: id, Title: "机器故障", Reporter: &ticketv1.Reporter{Name: "王芳", Phone: number},
	}
}

func (w *world) takes(req *ticketv1.TakeInRequest) *ticketv1.TakeInResponse {
	w.t.Helper()
	got, err := w.intake().TakeIn(w.AsStaff(access.ServiceAgent, "agent-1"), req)
	if err != nil {
		w.t.Fatal(err)
	}
	return got
}

// words are the comments of a ticket, each with whose they are.
func (w *world) words(id string) (out []string) {
	w.t.Helper()
	got, err := w.tickets.ListComments(w.manager(), &ticketv1.ListCommentsRequest{TicketId: id})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, c := range got.GetComments() {
		out = append(out, fmt.Sprintf("%s %v %s", c.GetAuthorKind(), c.GetPublic(), c.GetBody()))
	}
	return out
}

func TestACallOpensACaseAndTheNextJoinsIt(t *testing.T) {
	w := newWorld(t)
	first := w.takes(call("c-1", "138 0013 8000"))
	opened := w.get(first.GetCase().GetTicketId())
	if first.GetJoined() || opened.GetType() != ticketv1.TicketType_TICKET_TYPE_REPAIR || opened.GetChannel() != typev1.Channel_CHANNEL_PHONE ||
		opened.GetReporter().GetPhone() != "+8613800138000" || opened.GetState() != ticket.New || len(w.words(opened.GetId())) != 0 {
		t.Fatalf("opened %v by %v", opened, first)
	}
	if n := w.count("SELECT count(*) FROM clocks WHERE subject_id = $1", opened.GetId()); n != 2 {
		t.Errorf("%d clocks, want first response and resolution", n)
	}
	again := w.takes(call("c-1", "138 0013 8000"))
	if again.GetCase().GetTicketId() != opened.GetId() || again.GetJoined() || len(w.words(opened.GetId())) != 0 {
		t.Errorf("the same call again: %v", again)
	}
	next := call("c-2", "+86 138-0013-8000")
	next.Title, next.Description = "还是不行", "声音更大了"
	joined := w.takes(next)
	if !joined.GetJoined() || joined.GetCase().GetTicketId() != opened.GetId() {
		t.Fatalf("the next call: %v", joined)
	}
	if got := w.words(opened.GetId()); len(got) != 1 || got[0] != "AUTHOR_KIND_CUSTOMER true 还是不行\n声音更大了" {
		t.Errorf("its words: %q", got)
	}
	other := call("c-3", "13800138000")
	other.NewCase = true
	second := w.takes(other)
	if second.GetJoined() || second.GetCase().GetTicketId() == opened.GetId() || len(second.GetOtherCases()) != 1 || second.GetOtherCases()[0].GetNumber() != opened.GetNumber() {
		t.Errorf("about something else: %v", second)
	}
	rings, err := w.intake().FindOpenCases(w.AsStaff(access.ServiceAgent, "agent-1"), &ticketv1.FindOpenCasesRequest{Phone: "13800138000"})
	if err != nil || len(rings.GetCases()) != 2 {
		t.Errorf("while it rings: %v, %v", rings, err)
	}
	if got := w.takes(call("c-4", "13900139000")); got.GetJoined() || len(got.GetOtherCases()) != 0 {
		t.Errorf("another number: %v", got)
	}
}

func TestWhatAnotherChannelKnows(t *testing.T) {
	w := newWorld(t)
	customer := w.customer(typev1.Tier_TIER_B)
	waiting := w.at(ticket.Waiting, customer)
	letter := &ticketv1.TakeInRequest{
		Channel: typev1.Channel_CHANNEL_LETTER, CustomerId: customer, Title: "照片已附", Mode: ticketv1.Mode_MODE_PASSIVE,
	}
	got := w.takes(letter)
	if !got.GetJoined() || got.GetCase().GetTicketId() != waiting.GetId() || got.GetCase().GetState() != ticket.InProgress {
		t.Errorf("a letter about a case that waits for the customer: %v", got)
	}
	if n := w.count("SELECT count(*) FROM ticket_transitions WHERE ticket_id = $1 AND verb = 'resume'", waiting.GetId()); n != 1 {
		t.Errorf("%d resumes", n)
	}
	// Merged cases lead to where they went, closed ones to a new one.
	into := w.create(&ticketv1.Ticket{CustomerId: customer})
	if _, err := w.tickets.MergeTicket(w.manager(), &ticketv1.MergeTicketRequest{Id: waiting.GetId(), IntoId: into.GetId(), Reason: "the same"}); err != nil {
		t.Fatal(err)
	}
	if got := w.takes(letter); got.GetCase().GetTicketId() != into.GetId() {
		t.Errorf("after the merge: %v", got)
	}
	if _, err := w.do(w.manager(), "cancel", into.GetId(), ""); err != nil {
		t.Fatal(err)
	}
	visit := &ticketv1.TakeInRequest{
		Channel: typev1.Channel_CHANNEL_VISIT, CustomerId: customer, Title: "x", Mode: ticketv1.Mode_MODE_PROACTIVE, Phase: ticketv1.Phase_PHASE_PRE_SALE,
	}
	fresh := w.get(w.takes(visit).GetCase().GetTicketId())
	if fresh.GetCustomerId() != customer || fresh.GetMode() != ticketv1.Mode_MODE_PROACTIVE || fresh.GetPhase() != ticketv1.Phase_PHASE_PRE_SALE {
		t.Errorf("after the end: %v", fresh)
	}
}

func TestTakeInRefusals(t *testing.T) {
	w := newWorld(t)
	one, two := w.customer(typev1.Tier_TIER_B), w.customer(typev1.Tier_TIER_B)
	closed, theirs := w.at(ticket.Closed, one), w.at(ticket.Assigned, two)
	far := w.department("far")
	stranger := w.staffOf(far.GetId(), "stranger")
	hidden := w.given(ticket.InProgress, far.GetId(), stranger.GetId(), "", "")
	for name, c := range map[string]struct {
		change func(r *ticketv1.TakeInRequest)
		code   codes.Code
		reason string
		field  string
	}{
		"no such customer": {func(r *ticketv1.TakeInRequest) { r.CustomerId = nowhere }, codes.InvalidArgument, "VALIDATION_FAILED", "customer_id"},
		"a bad phone":      {func(r *ticketv1.TakeInRequest) { r.Reporter.Phone = "12" }, codes.InvalidArgument, "VALIDATION_FAILED", "reporter.phone"},
		"unknown channel":  {func(r *ticketv1.TakeInRequest) { r.Channel = typev1.Channel_CHANNEL_UNKNOWN }, codes.InvalidArgument, "VALIDATION_FAILED", "channel"},
		"no such case":     {func(r *ticketv1.TakeInRequest) { r.TicketId = nowhere }, codes.NotFound, "TICKET_NOT_FOUND", ""},
		"out of reach":     {func(r *ticketv1.TakeInRequest) { r.TicketId = hidden }, codes.NotFound, "TICKET_NOT_FOUND", ""},
		"closed":           {func(r *ticketv1.TakeInRequest) { r.TicketId, r.CustomerId = closed.GetId(), one }, codes.FailedPrecondition, "TICKET_WRONG_STATE", ""},
		"another's":        {func(r *ticketv1.TakeInRequest) { r.TicketId, r.CustomerId = theirs.GetId(), one }, codes.FailedPrecondition, "TICKET_OF_OTHER_CUSTOMER", ""},
	} {
		req := call("", "13800138000")
		c.change(req)
		// The agent's own ticket is within reach, so that another customer's is told as such.
		_, err := w.intake().TakeIn(w.AsStaff(access.ServiceAgent, "agent-1"), req)
		refused(t, name, err, c.code, c.reason, c.field)
	}
	_, err := w.intake().FindOpenCases(w.manager(), &ticketv1.FindOpenCasesRequest{})
	refused(t, "of nobody", err, codes.InvalidArgument, "VALIDATION_FAILED", "phone")
	w.registry.stop(true)
	req := call("", "13800138000")
	req.CustomerId = nowhere
	_, err = w.intake().TakeIn(w.manager(), req)
	refused(t, "registry down", err, codes.Unavailable, "DEPENDENCY_UNAVAILABLE", "")
	if n := w.count("SELECT count(*) FROM intake_messages"); n != 0 {
		t.Errorf("refused calls left %d messages", n)
	}
}

func TestCallsAtOnceOpenOneCase(t *testing.T) {
	w := newWorld(t)
	won, lost := wins(8, func(i int) error {
		return second(w.intake().TakeIn(w.manager(), call(fmt.Sprint("c-", i/2), "13800138000")))
	})
	if won != 8 || w.count("SELECT count(*) FROM tickets") != 1 || w.count("SELECT count(*) FROM intake_messages") != 4 || w.count("SELECT count(*) FROM comments") != 3 {
		t.Errorf("%d of 8 taken in, %v: %d tickets, %d messages", won, lost, w.count("SELECT count(*) FROM tickets"), w.count("SELECT count(*) FROM intake_messages"))
	}
}

// form fills the contact form as a person does.
func (w *world) form(change func(r *ticketv1.SubmitContactFormRequest)) (*ticketv1.ContactFormReceipt, error) {
	w.t.Helper()
	pass, err := w.intake().GetContactForm(context.Background(), &ticketv1.GetContactFormRequest{})
	if err != nil {
		w.t.Fatal(err)
	}
	w.Clock.Advance(10 * time.Second)
	req := &ticketv1.SubmitContactFormRequest{
		Pass: pass.GetPass(), Title: "水泵漏水", Description: "很严重", Reporter: &ticketv1.Reporter{Name: "李雷", Phone: "13800138000", Email: "Li@Example.com"},
	}
	change(req)
	return w.intake().SubmitContactForm(context.Background(), req)
}

func (w *world) numbered(reference string) *ticketv1.Ticket {
	w.t.Helper()
	got, err := w.tickets.ListTickets(w.manager(), &ticketv1.ListTicketsRequest{Number: reference})
	if err != nil || len(got.GetTickets()) != 1 {
		w.t.Fatalf("%s: %v, %v", reference, got, err)
	}
	return got.GetTickets()[0]
}

func TestContactForm(t *testing.T) {
	w := newWorld(t)
	var sent *ticketv1.SubmitContactFormRequest
	receipt, err := w.form(func(r *ticketv1.SubmitContactFormRequest) { sent = r })
	if err != nil {
		t.Fatal(err)
	}
	opened := w.numbered(receipt.GetReference())
	if opened.GetChannel() != typev1.Channel_CHANNEL_WEB || opened.GetReporter().GetEmail() != "li@example.com" || opened.GetCustomerId() != "" {
		t.Errorf("opened %v", opened)
	}
	again, err := w.intake().SubmitContactForm(context.Background(), sent)
	if err != nil || again.GetReference() != receipt.GetReference() || w.count("SELECT count(*) FROM tickets") != 1 {
		t.Errorf("the same pass again: %v, %v", again, err)
	}
	for _, same := range []*ticketv1.Reporter{{Phone: "138 0013 8000"}, {Email: "LI@example.com"}} {
		joined, err := w.form(func(r *ticketv1.SubmitContactFormRequest) { r.Reference, r.Reporter = receipt.GetReference(), same })
		if err != nil || joined.GetReference() != receipt.GetReference() {
			t.Errorf("with %v: %v, %v", same, joined, err)
		}
	}
	if got := w.words(opened.GetId()); len(got) != 2 {
		t.Errorf("joined words %q", got)
	}
	for name, change := range map[string]func(r *ticketv1.SubmitContactFormRequest){
		"another's":    func(r *ticketv1.SubmitContactFormRequest) { r.Reporter = &ticketv1.Reporter{Phone: "13900139000"} },
		"another mail": func(r *ticketv1.SubmitContactFormRequest) { r.Reporter = &ticketv1.Reporter{Email: "x@example.com"} },
		"none such":    func(r *ticketv1.SubmitContactFormRequest) { r.Reference = "T-202611-999999" },
	} {
		_, err := w.form(func(r *ticketv1.SubmitContactFormRequest) { r.Reference = receipt.GetReference(); change(r) })
		refused(t, name, err, codes.InvalidArgument, "VALIDATION_FAILED", "reference")
	}
	if _, err := w.do(w.manager(), "cancel", opened.GetId(), ""); err != nil {
		t.Fatal(err)
	}
	fresh, err := w.form(func(r *ticketv1.SubmitContactFormRequest) { r.Reference = receipt.GetReference() })
	if err != nil || fresh.GetReference() == receipt.GetReference() {
		t.Errorf("after the end: %v, %v", fresh, err)
	}
}

func TestContactFormKeepsProgramsOut(t *testing.T) {
	w := newWorld(t)
	bait, err := w.form(func(r *ticketv1.SubmitContactFormRequest) { r.Website = "http://spam.example" })
	if err != nil || bait.GetReference() == "" || w.count("SELECT count(*) FROM tickets") != 0 {
		t.Errorf("whoever fills what people do not see: %v, %v", bait, err)
	}
	for name, c := range map[string]struct {
		change func(r *ticketv1.SubmitContactFormRequest)
		reason string
		field  string
	}{
		"a made-up pass": {func(r *ticketv1.SubmitContactFormRequest) { r.Pass = "x" }, "CONTACT_FORM_PASS_INVALID", "pass"},
		"at once":        {func(*ticketv1.SubmitContactFormRequest) { w.Clock.Advance(-8 * time.Second) }, "CONTACT_FORM_PASS_INVALID", "pass"},
		"too late":       {func(*ticketv1.SubmitContactFormRequest) { w.Clock.Advance(2 * time.Hour) }, "CONTACT_FORM_PASS_INVALID", "pass"},
		"no way back":    {func(r *ticketv1.SubmitContactFormRequest) { r.Reporter = &ticketv1.Reporter{Name: "x"} }, "VALIDATION_FAILED", "reporter"},
	} {
		_, err := w.form(c.change)
		refused(t, name, err, codes.InvalidArgument, c.reason, c.field)
	}
}

// connector is a system that signs.
type connector struct {
	w            *world
	code, secret string
}

func (c *connector) send(id, thread, text string, change func(r *ticketv1.ReceiveMessageRequest, payload map[string]any)) (*ticketv1.ReceiveMessageResponse, error) {
	c.w.t.Helper()
	payload := map[string]any{"threadId": thread, "text": text, "reporter": map[string]any{"name": "小明"}, "providerField": 1}
	req := &ticketv1.ReceiveMessageRequest{Connector: c.code, MessageId: id, Timestamp: c.w.Clock.Now().Unix()}
	if change != nil {
		change(req, payload)
	}
	if req.GetPayload() == "" {
		raw, err := json.Marshal(payload)
		if err != nil {
			c.w.t.Fatal(err)
		}
		req.Payload = string(raw)
	}
	if req.GetSignature() == "" {
		req.Signature = intake.Sign(c.secret, req.GetMessageId(), req.GetTimestamp(), req.GetPayload())
	}
	return c.w.intake().ReceiveMessage(context.Background(), req)
}

func (w *world) connector(code string, channel typev1.Channel) (*connector, string) {
	w.t.Helper()
	got, err := w.intake().CreateConnector(w.manager(), &ticketv1.CreateConnectorRequest{
		Connector: &ticketv1.Connector{Code: code, Channel: channel},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return &connector{w, code, got.GetSecret()}, got.GetConnector().GetId()
}

func TestMessagesOfAThreadAreOneCase(t *testing.T) {
	w := newWorld(t)
	chat, _ := w.connector("wechat", typev1.Channel_CHANNEL_CHAT)
	first, err := chat.send("m1", "t1", "你好，机器不启动\n怎么办", nil)
	if err != nil || first.GetJoined() {
		t.Fatalf("%v, %v", first, err)
	}
	opened := w.numbered(first.GetReference())
	if opened.GetTitle() != "你好，机器不启动" || opened.GetChannel() != typev1.Channel_CHANNEL_CHAT || opened.GetType() != ticketv1.TicketType_TICKET_TYPE_REPAIR {
		t.Errorf("opened %v", opened)
	}
	for range 2 {
		next, err := chat.send("m2", "t1", "在吗", nil)
		if err != nil || !next.GetJoined() || next.GetReference() != first.GetReference() {
			t.Errorf("%v, %v", next, err)
		}
	}
	if got := w.words(opened.GetId()); len(got) != 1 || got[0] != "AUTHOR_KIND_CUSTOMER true 在吗" {
		t.Errorf("words %q", got)
	}
	if other, err := chat.send("m3", "t2", "在吗", nil); err != nil || other.GetJoined() {
		t.Errorf("another thread: %v, %v", other, err)
	}
	// Threads of another connector are others, even with the same names.
	weibo, _ := w.connector("weibo", typev1.Channel_CHANNEL_CHAT)
	if other, err := weibo.send("m1", "t1", "在吗", nil); err != nil || other.GetJoined() {
		t.Errorf("another connector: %v, %v", other, err)
	}
	// Who is signed in has one history over all channels.
	customer := w.customer(typev1.Tier_TIER_A)
	phoned := w.create(&ticketv1.Ticket{CustomerId: customer})
	known, err := chat.send("m4", "t3", "补充一下", func(_ *ticketv1.ReceiveMessageRequest, payload map[string]any) { payload["customerId"] = customer })
	if err != nil || !known.GetJoined() || known.GetReference() != phoned.GetNumber() {
		t.Errorf("the customer: %v, %v", known, err)
	}
	won, lost := wins(6, func(i int) error { return second(chat.send(fmt.Sprint("r", i), "t9", "在吗", nil)) })
	if n := w.count("SELECT count(DISTINCT ticket_id) FROM intake_messages WHERE thread = 't9'"); won != 6 || n != 1 {
		t.Errorf("%d of 6 at once, %v, in %d cases", won, lost, n)
	}
}

// However a case comes it says so: by hand on every channel but the unknown one, by a connector
// on every channel on which somebody writes.
func TestEveryChannelOpensACase(t *testing.T) {
	w := newWorld(t)
	for number := range typev1.Channel_name {
		channel := typev1.Channel(number)
		opens := func(how string, got *ticketv1.Ticket, mode ticketv1.Mode, phase ticketv1.Phase) {
			t.Helper()
			if got.GetChannel() != channel || got.GetMode() != mode || got.GetPhase() != phase || got.GetState() != ticket.New {
				t.Errorf("%s by %s: opened %v, want %s and %s", channel, how, got, mode, phase)
			}
		}
		// What is not given is a customer who came after the sale.
		for _, c := range []struct {
			mode, wantMode   ticketv1.Mode
			phase, wantPhase ticketv1.Phase
		}{
			{0, ticketv1.Mode_MODE_PASSIVE, 0, ticketv1.Phase_PHASE_AFTER_SALE},
			{ticketv1.Mode_MODE_PROACTIVE, ticketv1.Mode_MODE_PROACTIVE, ticketv1.Phase_PHASE_PRE_SALE, ticketv1.Phase_PHASE_PRE_SALE},
			{ticketv1.Mode_MODE_PASSIVE, ticketv1.Mode_MODE_PASSIVE, ticketv1.Phase_PHASE_IN_SALE, ticketv1.Phase_PHASE_IN_SALE},
		} {
			req := &ticketv1.TakeInRequest{Channel: channel, Title: "x", Mode: c.mode, Phase: c.phase, Reporter: &ticketv1.Reporter{Name: "王芳"}}
			if channel == typev1.Channel_CHANNEL_UNSPECIFIED || channel == typev1.Channel_CHANNEL_UNKNOWN {
				refused(t, channel.String(), second(w.intake().TakeIn(w.manager(), req)), codes.InvalidArgument, "VALIDATION_FAILED", "channel")
				continue
			}
			opens("hand", w.get(w.takes(req).GetCase().GetTicketId()), c.wantMode, c.wantPhase)
		}
		code := fmt.Sprintf("system-%d", number)
		switch channel {
		case typev1.Channel_CHANNEL_EMAIL, typev1.Channel_CHANNEL_WEB, typev1.Channel_CHANNEL_CHAT, typev1.Channel_CHANNEL_SOCIAL,
			typev1.Channel_CHANNEL_LETTER, typev1.Channel_CHANNEL_SMS, typev1.Channel_CHANNEL_APP:
			from, _ := w.connector(code, channel)
			for phase, want := range map[string]ticketv1.Phase{"": ticketv1.Phase_PHASE_AFTER_SALE, "PHASE_PRE_SALE": ticketv1.Phase_PHASE_PRE_SALE} {
				got, err := from.send("m"+phase, "t"+phase, "x", func(_ *ticketv1.ReceiveMessageRequest, payload map[string]any) {
					if phase != "" {
						payload["phase"] = phase
					}
				})
				if err != nil {
					t.Fatalf("%s: %v", channel, err)
				}
				opens("a connector", w.numbered(got.GetReference()), ticketv1.Mode_MODE_PASSIVE, want)
			}
		default:
			_, err := w.intake().CreateConnector(w.manager(), &ticketv1.CreateConnectorRequest{Connector: &ticketv1.Connector{Code: code, Channel: channel}})
			refused(t, "a connector of "+channel.String(), err, codes.InvalidArgument, "VALIDATION_FAILED", "connector.channel")
		}
	}
}

func TestOnlySignedMessagesAreTakenIn(t *testing.T) {
	w := newWorld(t)
	chat, id := w.connector("wechat", typev1.Channel_CHANNEL_CHAT)
	for name, change := range map[string]func(r *ticketv1.ReceiveMessageRequest, payload map[string]any){
		"no such connector": func(r *ticketv1.ReceiveMessageRequest, _ map[string]any) { r.Connector = "none" },
		"another signature": func(r *ticketv1.ReceiveMessageRequest, _ map[string]any) {
			r.Signature = intake.Sign("guess", r.GetMessageId(), r.GetTimestamp(), "x")
		},
		"replayed": func(r *ticketv1.ReceiveMessageRequest, _ map[string]any) { r.Timestamp -= 301 },
	} {
		_, err := chat.send("m", "t", "x", change)
		refused(t, name, err, codes.PermissionDenied, "SIGNATURE_INVALID", "")
	}
	for name, c := range map[string]struct {
		change func(r *ticketv1.ReceiveMessageRequest, payload map[string]any)
		field  string
	}{
		"no JSON":          {func(r *ticketv1.ReceiveMessageRequest, _ map[string]any) { r.Payload = "hello" }, "payload"},
		"no text":          {func(_ *ticketv1.ReceiveMessageRequest, p map[string]any) { delete(p, "text") }, "text"},
		"blank":            {func(_ *ticketv1.ReceiveMessageRequest, p map[string]any) { p["text"] = " \n" }, "text"},
		"no such customer": {func(_ *ticketv1.ReceiveMessageRequest, p map[string]any) { p["customerId"] = nowhere }, "customer_id"},
		"a bad phone": {func(_ *ticketv1.ReceiveMessageRequest, p map[string]any) {
			p["reporter"] = map[string]any{"phone": "1"}
		}, "reporter.phone"},
	} {
		_, err := chat.send("m", "t", "x", c.change)
		refused(t, name, err, codes.InvalidArgument, "VALIDATION_FAILED", c.field)
	}

	old := *chat
	rotated, err := w.intake().RotateConnectorSecret(w.manager(), &ticketv1.RotateConnectorSecretRequest{Id: id, KeepHours: 2})
	if err != nil || rotated.GetSecret() == old.secret || rotated.GetConnector().GetGeneration() != 2 {
		t.Fatalf("%v, %v", rotated, err)
	}
	chat.secret = rotated.GetSecret()
	if err := second(old.send("m1", "t", "x", nil)); err != nil {
		t.Errorf("the secret before, in its time: %v", err)
	}
	if err := second(chat.send("m2", "t", "x", nil)); err != nil {
		t.Errorf("the new secret: %v", err)
	}
	w.Clock.Advance(2 * time.Hour)
	refused(t, "the secret before, after its time", second(old.send("m3", "t", "x", nil)), codes.PermissionDenied, "SIGNATURE_INVALID", "")
	if _, err := w.intake().SwitchConnector(w.manager(), &ticketv1.SwitchConnectorRequest{Id: id, Off: true}); err != nil {
		t.Fatal(err)
	}
	refused(t, "switched off", second(chat.send("m4", "t", "x", nil)), codes.PermissionDenied, "SIGNATURE_INVALID", "")
	list, err := w.intake().ListConnectors(w.manager(), &ticketv1.ListConnectorsRequest{})
	if err != nil || len(list.GetConnectors()) != 1 || !list.GetConnectors()[0].GetOff() {
		t.Errorf("%v, %v", list, err)
	}
	_, err = w.intake().CreateConnector(w.manager(), &ticketv1.CreateConnectorRequest{Connector: &ticketv1.Connector{Code: "wechat", Channel: typev1.Channel_CHANNEL_CHAT}})
	refused(t, "the same code", err, codes.AlreadyExists, "CONNECTOR_EXISTS", "")
	_, err = w.intake().RotateConnectorSecret(w.manager(), &ticketv1.RotateConnectorSecretRequest{Id: nowhere})
	refused(t, "rotate none", err, codes.NotFound, "CONNECTOR_NOT_FOUND", "")
	_, err = w.intake().SwitchConnector(w.manager(), &ticketv1.SwitchConnectorRequest{Id: nowhere})
	refused(t, "switch none", err, codes.NotFound, "CONNECTOR_NOT_FOUND", "")
}
