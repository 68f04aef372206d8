// Package ticket holds the rules of tickets: the moves they may make, what each move
// requires and what an imported ticket must tell. It reads no clock and no database.
package ticket

import (
	"slices"
	"strings"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// State is where a ticket stands.
type State = ticketv1.TicketState

// The states, short; None is before the first move.
const (
	None       = ticketv1.TicketState_TICKET_STATE_UNSPECIFIED
	New        = ticketv1.TicketState_TICKET_STATE_NEW
	Triaged    = ticketv1.TicketState_TICKET_STATE_TRIAGED
	Assigned   = ticketv1.TicketState_TICKET_STATE_ASSIGNED
	InProgress = ticketv1.TicketState_TICKET_STATE_IN_PROGRESS
	Waiting    = ticketv1.TicketState_TICKET_STATE_WAITING
	Resolved   = ticketv1.TicketState_TICKET_STATE_RESOLVED
	Closed     = ticketv1.TicketState_TICKET_STATE_CLOSED
	Cancelled  = ticketv1.TicketState_TICKET_STATE_CANCELLED
	Merged     = ticketv1.TicketState_TICKET_STATE_MERGED
)

// Verb is a move of a ticket, as it stands in the history.
type Verb string

// The verbs. Close is confirm by silence.
const (
	Create Verb = "create"
	Import Verb = "import"
	Triage Verb = "triage"
	// Prioritize, Retarget and Contact leave the state: they change the priority, the version
	// of the policy, or nothing but what is known.
	Prioritize Verb = "prioritize"
	Retarget   Verb = "retarget"
	Contact    Verb = "recordContact"
	Assign     Verb = "assign"
	Start      Verb = "start"
	Wait       Verb = "wait"
	Resume     Verb = "resume"
	Resolve    Verb = "resolve"
	Confirm    Verb = "confirm"
	Close      Verb = "close"
	Reopen     Verb = "reopen"
	Cancel     Verb = "cancel"
	// HandOver gives the ticket of somebody who is away to somebody else and leaves the state;
	// Release gives it back to the queue.
	HandOver Verb = "handOver"
	Release  Verb = "release"
	// Rehome gives it to the department that took over its own.
	Rehome Verb = "rehome"
	Merge  Verb = "merge"
	// Unmerge undoes a merge: the move says the state that it leads back to.
	Unmerge Verb = "unmerge"
)

// row is one line of the transition table.
type row struct {
	verb  Verb
	from  []State
	to    State  // None where the state stays, or the move names it
	event string // type of the event the move emits
}

// table is the whole way of a ticket. Import is not in it: an import starts where its
// source stands, see Imported.
func table() []row {
	open := []State{New, Triaged, Assigned, InProgress, Waiting}
	return []row{
		{Create, []State{None}, New, "ticket.created.v1"},
		{Triage, []State{New}, Triaged, "ticket.triaged.v1"},
		{Prioritize, open, None, "ticket.prioritized.v1"},
		{Retarget, open, None, "ticket.retargeted.v1"},
		{Contact, append(open[:len(open):len(open)], Resolved, Closed, Cancelled), None, "ticket.contacted.v1"},
		{Assign, open, Assigned, "ticket.assigned.v1"},
		{HandOver, []State{Assigned, InProgress, Waiting}, None, "ticket.reassigned.v1"},
		// What waits would be forgotten in the queue.
		{Release, []State{Assigned, InProgress}, Triaged, "ticket.released.v1"},
		{Rehome, open, None, "ticket.rehomed.v1"},
		{Start, []State{Assigned}, InProgress, "ticket.started.v1"},
		{Wait, []State{InProgress}, Waiting, "ticket.waiting.v1"},
		{Resume, []State{Waiting}, InProgress, "ticket.resumed.v1"},
		{Resolve, []State{InProgress, Waiting}, Resolved, "ticket.resolved.v1"},
		{Confirm, []State{Resolved}, Closed, "ticket.closed.v1"},
		{Close, []State{Resolved}, Closed, "ticket.closed.v1"},
		{Reopen, []State{Resolved, Closed}, Assigned, "ticket.reopened.v1"},
		{Cancel, open, Cancelled, "ticket.cancelled.v1"},
		{Merge, open, Merged, "ticket.merged.v1"},
		{Unmerge, []State{Merged}, None, "ticket.unmerged.v1"},
	}
}

func find(verb Verb) (row, bool) {
	for _, r := range table() {
		if r.verb == verb {
			return r, true
		}
	}
	return row{}, false
}

// Next gives the state after a verb, or a public TICKET_WRONG_STATE that names the state
// the ticket is in and those the verb starts from.
func Next(from State, verb Verb) (State, error) {
	r, ok := find(verb)
	if ok && slices.Contains(r.from, from) {
		if r.to == None {
			return from, nil
		}
		return r.to, nil
	}
	return None, wrongState(from, verb, r.from)
}

// EventAttempted is the type of the event of a contact that was not two-way.
const EventAttempted = "ticket.attempted.v1"

// EventType is the type of the event a move emits.
func EventType(verb Verb) string {
	r, _ := find(verb)
	return r.event
}

// stays tells whether a verb leaves the state.
func stays(verb Verb) bool {
	r, ok := find(verb)
	return ok && r.to == None
}

// ReasonWrongState is the reason of every refused move.
const ReasonWrongState = "TICKET_WRONG_STATE"

func wrongState(is State, verb Verb, from []State) error {
	labels := make([]rpcerr.Text, 0, len(from))
	for _, s := range from {
		labels = append(labels, Label(s))
	}
	starts := rpcerr.List(labels...)
	return rpcerr.WrongState(ReasonWrongState, rpcerr.T(
		"The ticket is %[1]s; %[2]s is possible only when it is %[3]s.",
		"工单当前状态为“%[1]s”；只有状态为“%[3]s”时才能%[2]s。", Label(is), verb.label(), starts)).
		With("state", Name(is)).With("verb", string(verb)).With("from", starts.EN)
}

// Label is a state as people read it.
func Label(s State) rpcerr.Text {
	return rpcerr.Text{EN: Name(s), ZH: map[State]string{
		None: "未登记", New: "新建", Triaged: "已分诊", Assigned: "已分派", InProgress: "处理中", Waiting: "等待中",
		Resolved: "已解决", Closed: "已关闭", Cancelled: "已取消", Merged: "已合并",
	}[s]}
}

func (v Verb) label() rpcerr.Text {
	return rpcerr.Text{EN: string(v), ZH: map[Verb]string{
		Create: "登记", Import: "导入", Triage: "分诊", Prioritize: "调整优先级", Retarget: "更换时限标准", Contact: "记录联系",
		Assign: "分派", Start: "开始处理", Wait: "转为等待", Resume: "继续处理", Resolve: "解决", Confirm: "确认", Close: "关闭",
		Reopen: "重新打开", Cancel: "取消", Merge: "合并", Unmerge: "撤销合并", HandOver: "交接", Release: "退回待分配队列", Rehome: "转入承接部门",
		"update": "修改", "comment": "回复", "createTask": "新建子任务", "createSolutionPlan": "填写解决方案", "setNeeds": "设置受理要求",
	}[v]}
}

// Name is a state in lower case, e.g. "in progress".
func Name(s State) string {
	name := strings.TrimPrefix(s.String(), "TICKET_STATE_")
	return strings.ToLower(strings.ReplaceAll(name, "_", " "))
}
