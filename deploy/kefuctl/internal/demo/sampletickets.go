package demo

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"google.golang.org/protobuf/proto"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
)

// invitationWait is how long an invitation may take from the event that causes it.
const invitationWait = 20 * time.Second

// move is one step of a ticket: a verb, and where the ticket stands after it.
type move struct {
	role, verb string
	body       proto.Message
	state      ticketv1.TicketState
	round      int32
}

// path is a way a ticket goes, named for where it ends.
type path struct {
	moves []move
	// score answers the survey after the ticket was resolved; none when 0.
	score int32
}

// paths are the ways of the sample tickets, every state among them. A merged ticket
// needs another to go into and is told apart by merge.
func (d *directory) paths() []path {
	triage := move{agent, "triage", &ticketv1.TriageTicketRequest{
		Type: ticketv1.TicketType_TICKET_TYPE_TECHNICAL_PROBLEM, Priority: ticketv1.Priority_PRIORITY_P2,
		DepartmentId: d.departments["technical-support"], Reason: "停机影响生产 / stops production",
	}, ticketv1.TicketState_TICKET_STATE_TRIAGED, 1}
	assign := move{manager, "assign", &ticketv1.AssignTicketRequest{StaffId: d.staff["dev-support-engineer"], Reason: "熟悉该型号 / knows the model"},
		ticketv1.TicketState_TICKET_STATE_ASSIGNED, 1}
	start := move{"support-engineer", "start", &ticketv1.StartTicketRequest{}, ticketv1.TicketState_TICKET_STATE_IN_PROGRESS, 1}
	wait := move{"support-engineer", "wait", &ticketv1.WaitTicketRequest{WaitFor: ticketv1.WaitFor_WAIT_FOR_CUSTOMER, Reason: "等待客户提供照片 / waiting for photos"},
		ticketv1.TicketState_TICKET_STATE_WAITING, 1}
	third := move{"support-engineer", "wait", &ticketv1.WaitTicketRequest{WaitFor: ticketv1.WaitFor_WAIT_FOR_THIRD_PARTY, Reason: "等待供应商备件 / waiting for a part"},
		ticketv1.TicketState_TICKET_STATE_WAITING, 1}
	resume := move{"support-engineer", "resume", &ticketv1.ResumeTicketRequest{}, ticketv1.TicketState_TICKET_STATE_IN_PROGRESS, 1}
	resolve := move{"support-engineer", "resolve", &ticketv1.ResolveTicketRequest{Resolution: "更换密封件并重新校准，运行正常。Seal replaced and recalibrated; runs normally."},
		ticketv1.TicketState_TICKET_STATE_RESOLVED, 1}
	confirm := move{agent, "confirm", &ticketv1.ConfirmTicketRequest{Reason: "客户确认 / confirmed by phone"}, ticketv1.TicketState_TICKET_STATE_CLOSED, 1}
	reopen := move{agent, "reopen", &ticketv1.ReopenTicketRequest{Reason: "故障再次出现 / the fault is back"}, ticketv1.TicketState_TICKET_STATE_ASSIGNED, 2}
	cancel := move{agent, "cancel", &ticketv1.CancelTicketRequest{Reason: "客户撤回 / withdrawn"}, ticketv1.TicketState_TICKET_STATE_CANCELLED, 1}
	worked := []move{triage, assign, start}
	then := func(more ...move) []move { return append(append([]move{}, worked...), more...) }
	return []path{
		{nil, 0}, {[]move{triage}, 0}, {[]move{triage, assign}, 0}, {then(), 0}, {then(wait), 0}, {then(third), 0},
		{then(resolve), 0}, {then(resolve), 5}, {then(wait, resume, resolve, confirm), 4}, {then(resolve, confirm), 5},
		{then(resolve, confirm), 1}, {then(resolve), 2}, {then(resolve, reopen), 3}, {[]move{triage, cancel}, 0},
	}
}

// subject is what a sample ticket is about, in the customer's language.
type subject struct{ zh, en string }

func subjects() []subject {
	return []subject{
		{"泵启动后异响", "Pump is noisy after start"}, {"流量计读数偏高", "Flow meter reads high"},
		{"控制柜频繁报警", "Control cabinet raises alarms"}, {"阀门关闭不严", "Valve does not close tightly"},
		{"咨询备件价格", "Price of spare parts"}, {"申请上门调试", "Commissioning on site"},
		{"传感器无信号", "Sensor gives no signal"},
	}
}

func (s subject) in(chinese bool) string {
	if chinese {
		return s.zh
	}
	return s.en
}

// ticketSample is one ticket to be.
type ticketSample struct {
	owner person
	title string
	path  path
	merge bool // goes into the customer's first ticket
}

// tickets leads each sample ticket to where it shall stand. What a former run began is
// led on from where it stands.
func (m *sampler) tickets(ctx context.Context) error {
	var all []ticketSample
	topics := subjects()
	for i, way := range append(m.directory.paths(), m.directory.paths()...) {
		owner := m.people[i%len(m.people)]
		all = append(all, ticketSample{owner: owner, title: topics[i%len(topics)].in(owner.chinese), path: way})
	}
	// The first sample's ticket stays new, so another of the same customer may go into it.
	all = append(all, ticketSample{owner: m.people[0], title: "重复来电：泵启动后异响", merge: true})
	t := newTally("tickets", len(all))
	m.s.add(t)
	part := m.p.Begin(t.Name, len(all))
	defer part.End()
	first := map[string]string{} // customer → its first ticket
	for _, sample := range all {
		customer := m.customers.id(sample.owner.ID)
		ticket, created, err := m.ticket(ctx, customer, sample)
		if err != nil {
			return err
		}
		t.one(created)
		if first[customer] == "" {
			first[customer] = ticket.GetId()
		}
		if sample.merge {
			sample.path.moves = []move{{manager, "merge", &ticketv1.MergeTicketRequest{IntoId: first[customer], Reason: "同一故障 / same fault"},
				ticketv1.TicketState_TICKET_STATE_MERGED, 1}}
		}
		if err := m.lead(ctx, ticket, sample.path.moves); err != nil {
			return err
		}
		if sample.path.score > 0 {
			if err := m.answer(ctx, ticket.GetId(), sample.path.score); err != nil {
				return err
			}
		}
		part.Add(1)
	}
	return nil
}

// ticket finds the customer's ticket of that title or registers it.
func (m *sampler) ticket(ctx context.Context, customer string, sample ticketSample) (*ticketv1.Ticket, bool, error) {
	var found *ticketv1.Ticket
	list := &ticketv1.ListTicketsResponse{}
	err := m.c.pages(ctx, manager, "/v1/tickets", url.Values{"customerId": {customer}}, list, func() string {
		for _, t := range list.GetTickets() {
			if t.GetTitle() == sample.title {
				found = t
			}
		}
		return list.GetNextPageToken()
	})
	if err != nil || found != nil {
		return found, false, err
	}
	made := &ticketv1.Ticket{}
	ticket := &ticketv1.Ticket{
		CustomerId: customer, Title: sample.title, Channel: typev1.Channel_CHANNEL_PHONE, Type: ticketv1.TicketType_TICKET_TYPE_TECHNICAL_PROBLEM,
		Description: "演示数据 / sample", Reporter: &ticketv1.Reporter{Name: sample.owner.record.GetCustomer().GetName()},
	}
	if len(sample.owner.products) > 0 {
		installed := sample.owner.products[0]
		ticket.ProductModel, ticket.SerialNumber, ticket.OrderNumber = installed.GetProductModel(), installed.GetSerialNumber(), installed.GetOrderNumber()
	}
	return made, true, m.c.do(ctx, agent, http.MethodPost, "/v1/tickets", ticket, made)
}

// lead takes the moves that are left after where the ticket stands. One that somebody
// took elsewhere is left alone.
func (m *sampler) lead(ctx context.Context, ticket *ticketv1.Ticket, moves []move) error {
	next := -1
	if ticket.GetState() == ticketv1.TicketState_TICKET_STATE_NEW {
		next = 0
	}
	for i, step := range moves {
		if step.state == ticket.GetState() && step.round == ticket.GetRound() {
			next = i + 1
		}
	}
	if next < 0 {
		return nil
	}
	for _, step := range moves[next:] {
		err := m.c.do(ctx, step.role, http.MethodPost, "/v1/tickets/"+ticket.GetId()+":"+step.verb, step.body, &ticketv1.Ticket{})
		if err != nil {
			return err
		}
	}
	return nil
}

// answer gives the customer's score through the link of the ticket's invitation, once.
func (m *sampler) answer(ctx context.Context, ticket string, score int32) error {
	var invitation *surveyv1.Invitation
	for deadline := time.Now().Add(invitationWait); invitation == nil; {
		list := &surveyv1.ListInvitationsResponse{}
		if err := m.c.do(ctx, crm, http.MethodGet, "/v1/invitations?"+url.Values{"ticketId": {ticket}}.Encode(), nil, list); err != nil {
			return err
		}
		if len(list.GetInvitations()) > 0 {
			invitation = list.GetInvitations()[0]
			break
		}
		if time.Now().After(deadline) {
			return errors.New("no invitation came for ticket " + ticket + " within " + invitationWait.String())
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
	if invitation.GetState() != surveyv1.InvitationState_INVITATION_STATE_PENDING {
		return nil
	}
	link := &surveyv1.InvitationLink{}
	if err := m.c.do(ctx, crm, http.MethodPost, "/v1/invitations/"+invitation.GetId()+":issueLink", &surveyv1.IssueLinkRequest{}, link); err != nil {
		return err
	}
	form := &surveyv1.AnswerForm{}
	if err := m.c.do(ctx, anonymous, http.MethodGet, "/v1/answers/"+link.GetToken(), nil, form); err != nil {
		return err
	}
	comments := map[bool]string{true: "等了很久，问题仍未解决。 Waited long, still not solved.", false: "服务很及时，谢谢！ Quick and helpful, thanks!"}
	return m.c.do(ctx, anonymous, http.MethodPost, "/v1/answers/"+link.GetToken(), &surveyv1.SubmitAnswerRequest{
		Responses: responses(form.GetQuestionnaire(), score, comments[score <= 2]),
	}, &surveyv1.AnswerReceipt{})
}
