package complaint_test

import (
	"errors"
	"regexp"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/type/money"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
)

func limits() complaint.Limits {
	return complaint.Limits{
		SupervisorAmount: complaint.Amount{Units: 500}, ManagerAmount: complaint.Amount{Units: 5000},
		ContactAttempts: 3, ContactChannels: 2, EndRounds: 2, AnotherHandlerRound: 3, LowScore: 2, ObjectionDays: 2,
		ReminderDays: []int{2, 5}, NoAnswerDays: 10, ReopenDays: 30,
	}
}

// foreign is what a Chinese text of states has in it that is none, or lacks.
var foreign = regexp.MustCompile(`[A-Za-z]|“”`)

func chinese(err error) string {
	var refusal *complaint.Refusal
	if errors.As(err, &refusal) {
		return refusal.Text.ZH
	}
	return ""
}

// reason is the reason and clause of a refusal, "" for none.
func reason(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	var refusal *complaint.Refusal
	if errors.As(err, &refusal) {
		if refusal.Text.EN == "" || refusal.Text.ZH == "" {
			t.Errorf("%s has no text in one language", refusal.Reason)
		}
		return refusal.Reason + " " + refusal.Clause
	}
	var public *rpcerr.Error
	if errors.As(err, &public) {
		return public.Reason()
	}
	t.Fatalf("private error %v", err)
	return ""
}

var (
	ann = uuid.MustParse("01890a5d-ac96-774b-bcce-b302099a8001")
	bob = uuid.MustParse("01890a5d-ac96-774b-bcce-b302099a8002")
	qc  = uuid.MustParse("01890a5d-ac96-774b-bcce-b302099a8011")
	it  = uuid.MustParse("01890a5d-ac96-774b-bcce-b302099a8012")
)

func TestWhoHandles(t *testing.T) {
	sound := complaint.HandlerFacts{Handler: ann, HandlerDepartment: qc, Department: qc, Accused: bob, Round: 3}
	change := func(f func(*complaint.HandlerFacts)) complaint.HandlerFacts {
		c := sound
		f(&c)
		return c
	}
	for _, test := range []struct {
		name  string
		facts complaint.HandlerFacts
		want  string
	}{
		{"sound", sound, ""},
		{"other department", change(func(f *complaint.HandlerFacts) { f.HandlerDepartment = it }), "HANDLER_OF_OTHER_DEPARTMENT complaint.handler/1"},
		{"no department", change(func(f *complaint.HandlerFacts) { f.Department = uuid.Nil }), ""},
		{"concerned", change(func(f *complaint.HandlerFacts) { f.Accused = ann }), "HANDLER_CONCERNED complaint.impartiality/1"},
		{"handled before, round 3", change(func(f *complaint.HandlerFacts) { f.EarlierHandlers = []uuid.UUID{bob, ann} }), "HANDLER_OF_EARLIER_ROUND complaint.another-handler/1"},
		{"handled before, round 2", change(func(f *complaint.HandlerFacts) { f.EarlierHandlers = []uuid.UUID{ann}; f.Round = 2 }), ""},
	} {
		if got := reason(t, complaint.Handler(test.facts, limits())); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
	handler, manager, stranger := complaint.Caller{Staff: ann}, complaint.Caller{Staff: bob, ServiceManager: true}, complaint.Caller{Staff: bob}
	for _, test := range []struct {
		name   string
		caller complaint.Caller
		staff  uuid.UUID
		may    bool
	}{
		{"handler", handler, ann, true}, {"manager", manager, ann, true}, {"stranger", stranger, ann, false},
		{"nobody assigned", handler, uuid.Nil, false}, {"unknown to the directory", complaint.Caller{}, uuid.Nil, false},
	} {
		if got := complaint.Handling(test.caller, test.staff) == nil; got != test.may {
			t.Errorf("%s handles: %v", test.name, got)
		}
		if got := complaint.Assigner(test.caller, test.staff) == nil; got != test.may {
			t.Errorf("%s assigns: %v", test.name, got)
		}
	}
	if got := reason(t, complaint.Impartial(handler, ann)); got != "COMPLAINT_CONCERNS_CALLER complaint.impartiality/1" {
		t.Errorf("the accused: %q", got)
	}
	if complaint.Impartial(handler, bob) != nil || complaint.Impartial(complaint.Caller{}, uuid.Nil) != nil {
		t.Error("somebody else is refused")
	}
}

func TestWhenAttemptsCountAsContact(t *testing.T) {
	phone, mail := typev1.Channel_CHANNEL_PHONE, typev1.Channel_CHANNEL_EMAIL
	try := func(channels ...typev1.Channel) (out []complaint.Try) {
		for _, c := range channels {
			out = append(out, complaint.Try{Channel: c})
		}
		return out
	}
	for _, test := range []struct {
		name  string
		tries []complaint.Try
		want  bool
	}{
		{"none", nil, false},
		{"one two-way", []complaint.Try{{Channel: phone, TwoWay: true}}, true},
		{"two on two channels", try(phone, mail), false},
		{"three on one channel", try(phone, phone, phone), false},
		{"three on two channels", try(phone, phone, mail), true},
		{"a fourth brings the second channel", try(phone, phone, phone, mail), true},
	} {
		if _, got := complaint.Reached(test.tries, limits()); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

func TestSinceWhenTheCustomerWasContacted(t *testing.T) {
	phone, mail := typev1.Channel_CHANNEL_PHONE, typev1.Channel_CHANNEL_EMAIL
	at := func(hour int, channel typev1.Channel, twoWay bool) complaint.Try {
		return complaint.Try{Channel: channel, TwoWay: twoWay, At: time.Date(2026, 11, 2, hour, 0, 0, 0, time.UTC)}
	}
	for name, c := range map[string]struct {
		tries []complaint.Try
		want  int
	}{
		"the third attempt":               {[]complaint.Try{at(9, phone, false), at(10, mail, false), at(11, phone, false)}, 11},
		"an earlier one logged last":      {[]complaint.Try{at(11, phone, false), at(10, phone, false), at(9, mail, false)}, 11},
		"the second channel":              {[]complaint.Try{at(9, phone, false), at(10, phone, false), at(11, phone, false), at(12, mail, false)}, 12},
		"the talk among attempts":         {[]complaint.Try{at(9, phone, false), at(12, mail, false), at(10, phone, true)}, 10},
		"attempts before a later talk":    {[]complaint.Try{at(9, phone, false), at(12, phone, true)}, 12},
		"enough, however many came after": {[]complaint.Try{at(9, phone, false), at(10, mail, false), at(11, phone, false), at(12, mail, false)}, 11},
	} {
		got, ok := complaint.Reached(c.tries, limits())
		if !ok || got.Hour() != c.want {
			t.Errorf("%s: %v, %v, want %d h", name, got, ok, c.want)
		}
	}
}

func TestWhoApproves(t *testing.T) {
	service := ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_CUSTOMER_SERVICE
	supervisor := complaint.Caller{Actor: "i|sup", Staff: bob, ServiceSupervisor: true}
	manager := complaint.Caller{Actor: "i|man", Staff: bob, ServiceManager: true}
	both := complaint.Caller{Actor: "i|both", Staff: bob, ServiceManager: true, ServiceSupervisor: true}
	company := complaint.Caller{Actor: "i|com", Staff: bob, CompanyManager: true}
	amount := func(units int64, nanos int32) complaint.ApprovalFacts {
		return complaint.ApprovalFacts{
			ProposerActor: "i|ann", Proposer: ann, Amount: complaint.Amount{Units: units, Nanos: nanos},
			Decision: complaintv1.Decision_DECISION_APPROVED,
		}
	}
	at := func(f ticketv1.DepartmentFunction) complaint.ApprovalFacts {
		facts := amount(0, 0)
		facts.Function = f
		return facts
	}
	by := func(actor string, staff uuid.UUID) complaint.ApprovalFacts {
		facts := amount(0, 0)
		facts.ProposerActor, facts.Proposer = actor, staff
		return facts
	}
	returned := amount(1_000_000, 0)
	returned.Decision = complaintv1.Decision_DECISION_RETURNED
	const above = "AMOUNT_ABOVE_LIMIT complaint.approval-limits/1"
	for _, test := range []struct {
		name   string
		caller complaint.Caller
		facts  complaint.ApprovalFacts
		want   string
	}{
		{"supervisor at the limit", supervisor, amount(500, 0), ""},
		{"supervisor above", supervisor, amount(500, 10_000_000), above},
		{"manager at the limit", manager, amount(5000, 0), ""},
		{"manager above", manager, amount(5000, 1), above},
		{"the higher role counts", both, amount(5000, 0), ""},
		{"company manager", company, amount(1_000_000_000, 0), ""},
		{"nobody's role, nothing to pay", complaint.Caller{Actor: "i|erp"}, amount(0, 0), ""},
		{"nobody's role", complaint.Caller{Actor: "i|erp"}, amount(0, 1), above},
		{"returned", supervisor, returned, ""},
		{"proposed by the same identity", company, by("i|com", uuid.Nil), "APPROVER_PROPOSED complaint.second-person/1"},
		{"proposed by the same staff", company, by("other|com", bob), "APPROVER_PROPOSED complaint.second-person/1"},
		{"two whom the directory does not know", complaint.Caller{Actor: "i|x", CompanyManager: true}, by("i|y", uuid.Nil), ""},
		{"customer service concerned", manager, at(service), "APPROVER_CONCERNED complaint.service-concerned/1"},
		{"customer service concerned, company manager", company, at(service), ""},
		{"another department", manager, at(ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_AFTER_SALES), ""},
	} {
		if got := reason(t, complaint.Approval(test.caller, test.facts, limits())); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func TestAnswersAndEndings(t *testing.T) {
	open, yes, no := complaintv1.Satisfaction_SATISFACTION_UNSPECIFIED, complaintv1.Satisfaction_SATISFACTION_SATISFIED, complaintv1.Satisfaction_SATISFACTION_UNSATISFIED
	company := complaint.Caller{CompanyManager: true}
	for _, test := range []struct {
		name    string
		caller  complaint.Caller
		answer  complaintv1.Satisfaction
		round   int32
		why     string
		outcome complaintv1.Outcome
		want    string
	}{
		{"satisfied", complaint.Caller{}, yes, 1, "", complaintv1.Outcome_OUTCOME_SATISFIED, ""},
		{"no answer", company, open, 5, "x", 0, "ANSWER_MISSING complaint.closing/1"},
		{"unsatisfied", complaint.Caller{ServiceManager: true}, no, 5, "x", 0, "ANSWER_UNSATISFIED complaint.ending-unsatisfied/1"},
		{"unsatisfied, one round", company, no, 1, "x", 0, "ANSWER_UNSATISFIED complaint.ending-unsatisfied/1"},
		{"unsatisfied, no reason", company, no, 2, "", 0, "VALIDATION_FAILED"},
		{"ended", company, no, 2, "x", complaintv1.Outcome_OUTCOME_ENDED_UNSATISFIED, ""},
	} {
		outcome, err := complaint.Closing(test.caller, test.answer, test.round, test.why, limits())
		if got := reason(t, err); got != test.want || outcome != test.outcome {
			t.Errorf("%s: %v %q, want %v %q", test.name, outcome, got, test.outcome, test.want)
		}
	}
	for answer, want := range map[complaintv1.Satisfaction]string{
		open: "ANSWER_MISSING complaint.next-round/1", yes: "ANSWER_SATISFIED complaint.next-round/1", no: "",
	} {
		if got := reason(t, complaint.NextRound(answer)); got != want {
			t.Errorf("next round after %v: %q, want %q", answer, got, want)
		}
		if got := reason(t, complaint.Answered(answer)); (got == "") != (answer == open) {
			t.Errorf("another answer after %v: %q", answer, got)
		}
	}
	for score, want := range map[int32]complaintv1.Satisfaction{-1: open, 0: open, 1: no, 2: no, 3: yes, 5: yes} {
		got, ok := complaint.Score(score, limits())
		if got != want || ok != (want != open) {
			t.Errorf("score %d: %v %v", score, got, ok)
		}
	}
}

func TestAmounts(t *testing.T) {
	for text, want := range map[string]complaint.Amount{
		"500": {Units: 500}, "500.00": {Units: 500}, "0.01": {Nanos: 10_000_000}, "7.000000001": {Units: 7, Nanos: 1},
	} {
		var a complaint.Amount
		if err := a.UnmarshalText([]byte(text)); err != nil || a != want {
			t.Errorf("%q: %+v %v", text, a, err)
		}
	}
	for _, text := range []string{"", "-1", "1.-5", "1e3", "1.0000000001", "1.x", "99999999999999999999", "5,00"} {
		var a complaint.Amount
		if err := a.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is taken as %s", text, a)
		}
	}
	if s := (complaint.Amount{Units: 5, Nanos: 100_000_000}).String(); s != "5.10" {
		t.Errorf("written as %s", s)
	}
	a, b := complaint.Amount{Units: 1, Nanos: 2}, complaint.Amount{Units: 1, Nanos: 3}
	if a.Compare(b) >= 0 || b.Compare(a) <= 0 || a.Compare(a) != 0 {
		t.Error("amounts compare wrongly")
	}
	for name, m := range map[string]*money.Money{
		"no currency": {Units: 1}, "lower case": {CurrencyCode: "cny"}, "negative": {CurrencyCode: "CNY", Units: -1},
		"negative nanos": {CurrencyCode: "CNY", Nanos: -1}, "too many nanos": {CurrencyCode: "CNY", Nanos: 1_000_000_000},
	} {
		if got := reason(t, complaint.Money("amount", m)); got != "VALIDATION_FAILED" {
			t.Errorf("%s: %q", name, got)
		}
	}
	if complaint.Money("amount", nil) != nil || complaint.Money("amount", &money.Money{CurrencyCode: "CNY", Units: 3}) != nil {
		t.Error("a sound amount is refused")
	}
}

func TestSolutions(t *testing.T) {
	established, not := complaintv1.Validity_VALIDITY_ESTABLISHED, complaintv1.Validity_VALIDITY_NOT_ESTABLISHED
	for _, test := range []struct {
		name string
		p    *complaintv1.Proposal
		ok   bool
	}{
		{"apology", &complaintv1.Proposal{Validity: established, Remedy: complaintv1.Remedy_REMEDY_APOLOGY}, true},
		{"nothing though established", &complaintv1.Proposal{Validity: established, Remedy: complaintv1.Remedy_REMEDY_NONE}, false},
		{"nothing, not established", &complaintv1.Proposal{Validity: not, Remedy: complaintv1.Remedy_REMEDY_NONE}, true},
		{"goodwill", &complaintv1.Proposal{Validity: not, Remedy: complaintv1.Remedy_REMEDY_REPAIR}, true},
		{"refund of what", &complaintv1.Proposal{Validity: established, Remedy: complaintv1.Remedy_REMEDY_REFUND}, false},
		{"compensation of what", &complaintv1.Proposal{Validity: established, Remedy: complaintv1.Remedy_REMEDY_COMPENSATION}, false},
		{"refund", &complaintv1.Proposal{Validity: established, Remedy: complaintv1.Remedy_REMEDY_REFUND, Amount: &money.Money{CurrencyCode: "CNY", Units: 9}}, true},
	} {
		if err := complaint.Solution(test.p); (err == nil) != test.ok {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

func TestImportedHistoryIsInOrderAndWhole(t *testing.T) {
	now := time.Date(2026, 11, 2, 1, 0, 0, 0, time.UTC)
	past, before := now.Add(-time.Hour), now.Add(-2*time.Hour)
	for _, test := range []struct {
		name string
		h    complaint.History
		want []string
	}{
		{"open", complaint.History{State: complaint.Assigned, CreateTime: past}, nil},
		{"closed", complaint.History{State: complaint.Closed, CreateTime: before, CloseTime: past, Told: "x"}, nil},
		{"closed before received", complaint.History{State: complaint.Closed, CreateTime: past, CloseTime: before, Told: "x"}, []string{"COMPLAINT_TIMES_OUT_OF_ORDER "}},
		{"closed without time and result", complaint.History{State: complaint.Closed, CreateTime: past}, []string{"COMPLAINT_STATE_INCOMPLETE ", "COMPLAINT_STATE_INCOMPLETE "}},
		{"told nothing", complaint.History{State: complaint.Told, CreateTime: past}, []string{"COMPLAINT_STATE_INCOMPLETE "}},
		{"open with an end", complaint.History{State: complaint.Reviewed, CreateTime: before, CloseTime: past}, []string{"VALIDATION_FAILED"}},
		{"from the future", complaint.History{State: complaint.Received, CreateTime: now.Add(time.Second)}, []string{"VALIDATION_FAILED"}},
	} {
		faults := complaint.Historic(test.h, now)
		if len(faults) != len(test.want) {
			t.Errorf("%s: %v", test.name, faults)
			continue
		}
		for i, fault := range faults {
			if got := reason(t, fault); got != test.want[i] {
				t.Errorf("%s: %q, want %q", test.name, got, test.want[i])
			}
		}
	}
}

func TestWhoReads(t *testing.T) {
	own, team := accessv1.Scope_SCOPE_OWN, accessv1.Scope_SCOPE_TEAM
	fresh := complaint.Openness{State: complaint.Received, RegisteredBy: "i|web", SelfRegistered: true}
	unknown := complaint.Openness{State: complaint.Received, RegisteredBy: "i|known to no directory"}
	if meet(complaint.Readers(unknown), complaint.Viewer{Actor: "i|a", Receiver: true, Scope: own}.Keys()) {
		t.Error("who receives what customers register reads what staff registered")
	}
	worked := complaint.Openness{
		State: complaint.Assigned, RegisteredBy: "i|ann", RegisteredIn: it, Department: qc, Handlers: []uuid.UUID{bob},
		Quality: complaintv1.Quality_QUALITY_QUALITY,
	}
	for _, test := range []struct {
		name          string
		v             complaint.Viewer
		fresh, worked bool
	}{
		{"registrar", complaint.Viewer{Actor: "i|ann", Scope: own}, false, true},
		{"handler", complaint.Viewer{Actor: "i|bob", Staff: bob, Scope: own}, false, true},
		{"head", complaint.Viewer{Actor: "i|head", Staff: ann, Heads: []uuid.UUID{qc}, Scope: own}, false, true},
		{"colleague with own scope", complaint.Viewer{Actor: "i|c", Staff: ann, Department: qc, Scope: own}, false, false},
		{"colleague with team scope", complaint.Viewer{Actor: "i|c", Staff: ann, Department: qc, Scope: team}, false, true},
		{"registrar's team", complaint.Viewer{Actor: "i|c", Staff: ann, Department: it, Scope: team}, false, true},
		{"agent", complaint.Viewer{Actor: "i|a", Scope: own}, false, false},
		{"receiver", complaint.Viewer{Actor: "i|a", Receiver: true, Scope: own}, true, false},
		{"supervisor of another team", complaint.Viewer{Actor: "i|s", Supervisor: true, Scope: team}, true, false},
		{"supervisor of the registrar's team", complaint.Viewer{Actor: "i|s", Staff: ann, Department: it, Supervisor: true, Scope: team}, true, true},
		{"supervisor of the department", complaint.Viewer{Actor: "i|s", Staff: ann, Department: qc, Supervisor: true, Scope: team}, true, true},
		{"manager", complaint.Viewer{Actor: "i|m", Scope: accessv1.Scope_SCOPE_COMPANY}, true, true},
		{"quality control", complaint.Viewer{Actor: "i|q", Inspector: true, Scope: team}, false, true},
		{"stranger", complaint.Viewer{Actor: "i|x", Staff: ann, Scope: team}, false, false},
	} {
		if got := test.v.Everything() || meet(complaint.Readers(fresh), test.v.Keys()); got != test.fresh {
			t.Errorf("%s reads a fresh one: %v", test.name, got)
		}
		if got := test.v.Everything() || meet(complaint.Readers(worked), test.v.Keys()); got != test.worked {
			t.Errorf("%s reads a worked one: %v", test.name, got)
		}
	}
}

// What waits for a supervisor is what the rules let a supervisor do.
func TestSupervisorsReadWhatTheyMayApprove(t *testing.T) {
	v := complaint.Viewer{Actor: "i|s", Supervisor: true, Scope: accessv1.Scope_SCOPE_TEAM}
	supervisor := complaint.Caller{Actor: "i|s", Staff: ann, ServiceSupervisor: true}
	for _, function := range []ticketv1.DepartmentFunction{
		ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_UNSPECIFIED, ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_CUSTOMER_SERVICE,
		ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_AFTER_SALES,
	} {
		for _, amount := range []complaint.Amount{{}, {Units: 500}, {Units: 500, Nanos: 1}, {Units: 6000}} {
			may := complaint.Approval(supervisor, complaint.ApprovalFacts{
				ProposerActor: "i|bob", Proposer: bob, Function: function, Amount: amount,
				Decision: complaintv1.Decision_DECISION_APPROVED,
			}, limits()) == nil
			reads := meet(complaint.Readers(complaint.Openness{
				State: complaint.Proposed, RegisteredBy: "i|bob", RegisteredIn: it, Department: qc, Handlers: []uuid.UUID{bob},
				SupervisorDecides: complaint.SupervisorDecides(function, amount, limits()),
			}), v.Keys())
			if reads != may {
				t.Errorf("%s of %v: reads %v, may approve %v", amount, function, reads, may)
			}
		}
	}
}

func meet(a, b []string) bool {
	for _, x := range a {
		for _, y := range b {
			if x == y {
				return true
			}
		}
	}
	return false
}

func TestLimitsThatMakeNoSense(t *testing.T) {
	if err := limits().Check(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*complaint.Limits){
		"supervisor above manager":     func(l *complaint.Limits) { l.SupervisorAmount.Units = 5001 },
		"channels above attempts":      func(l *complaint.Limits) { l.ContactChannels = 4 },
		"no rounds":                    func(l *complaint.Limits) { l.EndRounds = 0 },
		"another handler at once":      func(l *complaint.Limits) { l.AnotherHandlerRound = 1 },
		"no time to object":            func(l *complaint.Limits) { l.ObjectionDays = 0 },
		"a reminder before the first":  func(l *complaint.Limits) { l.ReminderDays = []int{0} },
		"reminders out of order":       func(l *complaint.Limits) { l.ReminderDays = []int{5, 2} },
		"two reminders on one day":     func(l *complaint.Limits) { l.ReminderDays = []int{2, 2} },
		"the end on the last reminder": func(l *complaint.Limits) { l.NoAnswerDays = 5 },
		"the end in more than a year":  func(l *complaint.Limits) { l.NoAnswerDays = 251 },
		"reopened before it was over":  func(l *complaint.Limits) { l.ReopenDays = -1 },
		"reopened after ten years":     func(l *complaint.Limits) { l.ReopenDays = 3651 },
		"every score is low":           func(l *complaint.Limits) { l.LowScore = 5 },
	} {
		l := limits()
		change(&l)
		if l.Check() == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
