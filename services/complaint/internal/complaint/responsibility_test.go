package complaint_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
)

func TestHowResponsibilityIsSettled(t *testing.T) {
	legal := map[[2]complaint.Settled]bool{
		{complaint.Unsettled, complaint.HeldProposed}: true, {complaint.HeldNoLonger, complaint.HeldProposed}: true,
		{complaint.HeldProposed, complaint.HeldObjected}: true, {complaint.HeldProposed, complaint.HeldDetermined}: true,
		{complaint.HeldProposed, complaint.HeldNoLonger}: true, {complaint.HeldObjected, complaint.HeldDetermined}: true,
		{complaint.HeldObjected, complaint.HeldNoLonger}: true, {complaint.HeldDetermined, complaint.HeldAppealed}: true,
		{complaint.HeldAppealed, complaint.HeldFinal}: true, {complaint.HeldAppealed, complaint.HeldNoLonger}: true,
	}
	for from := range complaintv1.ResponsibilityState_name {
		for to := range complaintv1.ResponsibilityState_name {
			a, b := complaint.Settled(from), complaint.Settled(to)
			got := reason(t, complaint.SettleNext(a, b))
			if want := map[bool]string{false: "RESPONSIBILITY_WRONG_STATE "}[legal[[2]complaint.Settled{a, b}]]; got != want {
				t.Errorf("%v to %v: %q, want %q", a, b, got, want)
			}
			if zh := chinese(complaint.SettleNext(a, b)); b != complaint.Unsettled && foreign.MatchString(zh) {
				t.Errorf("%v to %v: %q is not all Chinese", a, b, zh)
			}
		}
		binds := complaint.Settled(from) == complaint.HeldDetermined || complaint.Settled(from) == complaint.HeldFinal
		if complaint.InEffect(complaint.Settled(from)) != binds {
			t.Errorf("%v binds: %v", from, !binds)
		}
	}
}

func TestWhoTakesTheStepsOfAResponsibility(t *testing.T) {
	const sales = ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_SALES_AND_SUPPLY
	const quality, human = complaintv1.Quality_QUALITY_QUALITY, complaintv1.Quality_QUALITY_NON_QUALITY
	now := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	held := complaint.HeldFacts{Party: ann, Due: now.Add(time.Hour)}
	party, other, boss := complaint.Caller{Staff: ann}, complaint.Caller{Staff: bob}, complaint.Caller{Staff: bob, CompanyManager: true}
	for name, test := range map[string]struct {
		got  error
		want string
	}{
		"the party objects":             {complaint.Answering(party, held, now), ""},
		"too late":                      {complaint.Answering(party, held, held.Due), "OBJECTION_TOO_LATE complaint.objection/1"},
		"another objects":               {complaint.Answering(other, held, now), "NOT_THE_PARTY complaint.objection/1"},
		"nobody is the party":           {complaint.Answering(complaint.Caller{}, complaint.HeldFacts{}, now), "NOT_THE_PARTY complaint.objection/1"},
		"the party determines":          {complaint.Unconcerned(party, held), "RESPONSIBILITY_CONCERNS_CALLER complaint.impartiality/1"},
		"another determines":            {complaint.Unconcerned(other, held), ""},
		"nobody is concerned":           {complaint.Unconcerned(complaint.Caller{}, complaint.HeldFacts{}), ""},
		"within the window":             {complaint.Determining(other, held, complaint.HeldProposed, now), "OBJECTION_WINDOW_OPEN complaint.objection/1"},
		"after the window":              {complaint.Determining(other, held, complaint.HeldProposed, held.Due), ""},
		"after an objection":            {complaint.Determining(other, held, complaint.HeldObjected, now), ""},
		"of a supplier, at once":        {complaint.Determining(other, complaint.HeldFacts{}, complaint.HeldProposed, now), ""},
		"sales on itself":               {complaint.Determining(other, complaint.HeldFacts{Function: sales}, complaint.HeldProposed, now), "DETERMINER_CONCERNED complaint.responsibility/1"},
		"the company on sales":          {complaint.Determining(boss, complaint.HeldFacts{Function: sales}, complaint.HeldProposed, now), ""},
		"the handler proposes":          {complaint.ProposesResponsibility(party, false, human, ann), ""},
		"another proposes":              {complaint.ProposesResponsibility(other, false, human, ann), "NOT_THE_PROPOSER complaint.responsibility/1"},
		"an inspector on what is human": {complaint.ProposesResponsibility(other, true, human, ann), "NOT_THE_PROPOSER complaint.responsibility/1"},
		"an inspector on quality":       {complaint.ProposesResponsibility(other, true, quality, ann), ""},
		"the handler on quality":        {complaint.ProposesResponsibility(party, false, quality, ann), "NOT_THE_PROPOSER complaint.responsibility/1"},
	} {
		if got := reason(t, test.got); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func TestWhatAResponsibilityNames(t *testing.T) {
	const department, person, supplier = complaintv1.ResponsibilityKind_RESPONSIBILITY_KIND_DEPARTMENT,
		complaintv1.ResponsibilityKind_RESPONSIBILITY_KIND_PERSON, complaintv1.ResponsibilityKind_RESPONSIBILITY_KIND_SUPPLIER
	id := uuid.NewString()
	for name, test := range map[string]struct {
		in    *complaintv1.Responsibility
		right bool
	}{
		"a department": {&complaintv1.Responsibility{Kind: department, DepartmentId: id}, true},
		"which":        {&complaintv1.Responsibility{Kind: department}, false},
		"and a person": {&complaintv1.Responsibility{Kind: department, DepartmentId: id, StaffId: id}, false},
		"a person":     {&complaintv1.Responsibility{Kind: person, StaffId: id}, true},
		"of one":       {&complaintv1.Responsibility{Kind: person, StaffId: id, DepartmentId: id}, true},
		"who":          {&complaintv1.Responsibility{Kind: person, DepartmentId: id}, false},
		"a supplier":   {&complaintv1.Responsibility{Kind: supplier}, true},
		"of ours":      {&complaintv1.Responsibility{Kind: supplier, DepartmentId: id}, false},
	} {
		if err := complaint.Holds(test.in); (err == nil) != test.right {
			t.Errorf("%s: %v", name, err)
		}
	}
}
