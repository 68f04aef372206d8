// Package complaint holds the rules of complaints: which move follows which, who may
// make it, and what it demands. Nothing here reads a clock, a database or a context.
package complaint

import (
	"fmt"
	"slices"
	"strings"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// State is the stage a complaint has reached.
type State = complaintv1.ComplaintState

// The states in the order of a complaint without complications.
const (
	None      = complaintv1.ComplaintState_COMPLAINT_STATE_UNSPECIFIED
	Received  = complaintv1.ComplaintState_COMPLAINT_STATE_RECEIVED
	Submitted = complaintv1.ComplaintState_COMPLAINT_STATE_SUBMITTED
	Reviewed  = complaintv1.ComplaintState_COMPLAINT_STATE_REVIEWED
	Assigned  = complaintv1.ComplaintState_COMPLAINT_STATE_ASSIGNED
	Contacted = complaintv1.ComplaintState_COMPLAINT_STATE_CONTACTED
	Proposed  = complaintv1.ComplaintState_COMPLAINT_STATE_PROPOSED
	Approved  = complaintv1.ComplaintState_COMPLAINT_STATE_APPROVED
	Told      = complaintv1.ComplaintState_COMPLAINT_STATE_TOLD
	Closed    = complaintv1.ComplaintState_COMPLAINT_STATE_CLOSED
)

// Verb is a move. Calls that can end in two ways are two verbs each, so that a verb and
// a state have exactly one end; Name is what the call is named.
type Verb int

// The verbs.
const (
	Create Verb = iota
	Import
	Submit
	Review
	Assign
	// Attempt is a contact logged without a move.
	Attempt
	// Contact is a contact that counts: two-way, or enough attempts.
	Contact
	Propose
	Approve
	// Return is an approval refused.
	Return
	Tell
	Answer
	Close
	// Reopen is the next round, Dispute the next round with a new review.
	Reopen
	Dispute
	// Retarget is another version of the policy of the deadlines.
	Retarget
	// Investigate and Inspect record what was found.
	Investigate
	Inspect
	// Execute records that a remedy was carried out.
	Execute
	// Remind asks a silent customer again, and Lapse ends without an answer.
	Remind
	Lapse
	// TakeUp is the next round after that end, TakeUpDisputed the same with a new review.
	TakeUp
	TakeUpDisputed
)

// Verbs lists those that move a complaint that exists.
func Verbs() []Verb {
	return []Verb{Submit, Review, Assign, Attempt, Contact, Propose, Approve, Return, Tell, Answer, Close, Reopen, Dispute, Retarget, Investigate, Inspect, Execute,
		Remind, Lapse, TakeUp, TakeUpDisputed}
}

// Name is the verb of the API, which history keeps.
func (v Verb) Name() string { return describe(v).name }

// Event is the type of the event that tells of the move.
func (v Verb) Event() string { return describe(v).event }

type verb struct {
	name, event string
	from        []State
	to          State // None: where it was
	round       int32 // what is added to the round
}

func describe(v Verb) verb {
	switch v {
	case Create:
		return verb{name: "create", event: "complaint.received.v1", from: []State{None}, to: Received, round: 1}
	case Import:
		return verb{name: "import", event: "complaint.imported.v1", from: []State{None}, round: 1}
	case Submit:
		return verb{name: "submit", event: "complaint.submitted.v1", from: []State{Received}, to: Submitted}
	case Review:
		return verb{name: "review", event: "complaint.reviewed.v1", from: []State{Submitted}, to: Reviewed}
	case Assign:
		return verb{name: "assign", event: "complaint.assigned.v1", from: []State{Reviewed, Assigned, Contacted}, to: Assigned}
	case Attempt:
		return verb{name: "recordContact", event: "complaint.attempted.v1", from: []State{Assigned, Contacted, Proposed, Approved, Told}}
	case Contact:
		return verb{name: "recordContact", event: "complaint.contacted.v1", from: []State{Assigned}, to: Contacted}
	case Investigate:
		return verb{name: "recordInvestigation", event: "complaint.investigated.v1", from: []State{Assigned, Contacted}}
	case Inspect:
		return verb{name: "confirmQuality", event: "complaint.inspected.v1", from: []State{Assigned, Contacted}}
	case Execute:
		return verb{name: "recordExecution", event: "complaint.executed.v1", from: []State{Approved, Told}}
	case Propose:
		return verb{name: "propose", event: "complaint.proposed.v1", from: []State{Contacted}, to: Proposed}
	case Approve:
		return verb{name: "approve", event: "complaint.approved.v1", from: []State{Proposed}, to: Approved}
	case Return:
		return verb{name: "approve", event: "complaint.returned.v1", from: []State{Proposed}, to: Contacted}
	case Tell:
		return verb{name: "tell", event: "complaint.told.v1", from: []State{Approved}, to: Told}
	case Answer:
		return verb{name: "recordAnswer", event: "complaint.answered.v1", from: []State{Told}, to: Told}
	case Close:
		return verb{name: "close", event: "complaint.closed.v1", from: []State{Told}, to: Closed}
	case Reopen:
		return verb{name: "nextRound", event: "complaint.reopened.v1", from: []State{Told}, to: Reviewed, round: 1}
	case Dispute:
		return verb{name: "nextRound", event: "complaint.reopened.v1", from: []State{Told}, to: Submitted, round: 1}
	case Remind:
		return verb{name: "remind", event: "complaint.reminded.v1", from: []State{Told}}
	case Lapse:
		return verb{name: "lapse", event: "complaint.closed.v1", from: []State{Told}, to: Closed}
	case TakeUp:
		return verb{name: "reopen", event: "complaint.reopened.v1", from: []State{Closed}, to: Reviewed, round: 1}
	case TakeUpDisputed:
		return verb{name: "reopen", event: "complaint.reopened.v1", from: []State{Closed}, to: Submitted, round: 1}
	case Retarget:
		return verb{
			name: "retarget", event: "complaint.retargeted.v1",
			from: []State{Received, Submitted, Reviewed, Assigned, Contacted, Proposed, Approved, Told},
		}
	}
	return verb{name: "unknown"}
}

// Step is where a move leads.
type Step struct {
	Verb     Verb
	From, To State
	Round    int32
}

// Next says where the verb leads from a state and a round, or refuses with
// COMPLAINT_WRONG_STATE, naming the state and those the verb starts from.
func Next(from State, round int32, v Verb) (Step, error) {
	d := describe(v)
	if v == Create || v == Import || !slices.Contains(d.from, from) {
		return Step{}, wrongState(from, d)
	}
	to := d.to
	if to == None {
		to = from
	}
	return Step{Verb: v, From: from, To: to, Round: round + d.round}, nil
}

func wrongState(from State, d verb) *Refusal {
	starts, labels := make([]string, 0, len(d.from)), make([]rpcerr.Text, 0, len(d.from))
	for _, s := range d.from {
		starts, labels = append(starts, StateName(s)), append(labels, stateLabel(s))
	}
	return refuse(ReasonWrongState, "", rpcerr.T(
		"The complaint is %[1]s; %[2]s starts from %[3]s.",
		"投诉当前状态为“%[1]s”；%[2]s只能在“%[3]s”状态下进行。",
		stateLabel(from), d.label(), rpcerr.List(labels...))).
		with("state", StateName(from)).with("allowed_states", strings.Join(starts, ","))
}

// stateLabel is the state in both languages.
func stateLabel(s State) rpcerr.Text {
	return rpcerr.Text{EN: StateName(s), ZH: map[State]string{
		None: "未登记", Received: "已受理", Submitted: "已提交", Reviewed: "已审核", Assigned: "已分派", Contacted: "已联系",
		Proposed: "已提出方案", Approved: "已批准", Told: "已答复", Closed: "已结案",
	}[s]}
}

func (d verb) label() rpcerr.Text {
	return rpcerr.Text{EN: d.name, ZH: map[string]string{
		"create": "登记", "import": "导入", "submit": "提交", "review": "审核", "assign": "分派", "recordContact": "记录联系",
		"recordInvestigation": "记录调查", "confirmQuality": "质量确认", "recordExecution": "记录执行", "propose": "提出方案",
		"approve": "审批", "tell": "答复客户", "recordAnswer": "记录客户意见", "close": "结案", "nextRound": "进入下一轮",
		"remind": "提醒", "lapse": "逾期结案", "reopen": "重新受理", "retarget": "更换时限标准",
	}[d.name]}
}

// StateName is the state as people write it: `told`.
func StateName(s State) string {
	return strings.ToLower(strings.TrimPrefix(s.String(), "COMPLAINT_STATE_"))
}

// Recorded is one line of a complaint's history.
type Recorded struct {
	Version  int64
	Verb     string
	From, To State
	Round    int32
}

// Replay follows a complaint's history, oldest first, through the table of moves and
// gives the state and round it ends in. It fails at the first line that no rule allows.
func Replay(history []Recorded) (State, int32, error) {
	state, round := None, int32(0)
	for i, r := range history {
		if r.Version != int64(i)+1 {
			return 0, 0, fmt.Errorf("line %d has version %d", i+1, r.Version)
		}
		if r.From != state || !allowed(r, round) {
			return 0, 0, fmt.Errorf("version %d: %s from %s to %s in round %d, after %s in round %d",
				r.Version, r.Verb, StateName(r.From), StateName(r.To), r.Round, StateName(state), round)
		}
		state, round = r.To, r.Round
	}
	return state, round, nil
}

func allowed(r Recorded, round int32) bool {
	if r.From == None {
		return r.Round == 1 && (r.Verb == Create.Name() && r.To == Received || r.Verb == Import.Name() && Importable(r.To))
	}
	for _, v := range Verbs() {
		if v.Name() != r.Verb {
			continue
		}
		step, err := Next(r.From, round, v)
		if err == nil && step.To == r.To && step.Round == r.Round {
			return true
		}
	}
	return false
}

// Importable tells whether a source may say that a complaint stands there: stages that
// need a proposal of ours cannot come from elsewhere.
func Importable(s State) bool {
	switch s {
	case Received, Submitted, Reviewed, Assigned, Contacted, Told, Closed:
		return true
	}
	return false
}
