package complaint_test

import (
	"slices"
	"testing"

	"google.golang.org/genproto/googleapis/type/money"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
)

func severityRules() complaint.SeverityRules {
	return complaint.SeverityRules{
		Version: 4, Injury: true, Legal: true, Press: true, KeyCustomer: true, MajorAmount: &complaint.Amount{Units: 10000},
		RepeatDays: 90, SameCustomer: 3, SameProduct: 3, SameCause: 3,
	}
}

func recorded(f complaintv1.SeverityFact) complaint.SeverityFacts {
	return complaint.SeverityFacts{Recorded: []complaintv1.SeverityFact{f}}
}

func TestSeverityIsNeverBelowTheFacts(t *testing.T) {
	for _, test := range []struct {
		name  string
		facts complaint.SeverityFacts
		want  string
	}{
		{"nothing", complaint.SeverityFacts{}, ""},
		{"injury", recorded(complaintv1.SeverityFact_SEVERITY_FACT_INJURY), "injury/4"},
		{"legal", recorded(complaintv1.SeverityFact_SEVERITY_FACT_LEGAL), "legal/4"},
		{"press", recorded(complaintv1.SeverityFact_SEVERITY_FACT_PRESS), "press/4"},
		{"A customer", complaint.SeverityFacts{Tier: typev1.Tier_TIER_A}, ""},
		{"key customer", complaint.SeverityFacts{Tier: typev1.Tier_TIER_KEY}, "key-customer/4"},
		{"amount at the limit", complaint.SeverityFacts{Amount: complaint.Amount{Units: 10000}}, ""},
		{"amount above", complaint.SeverityFacts{Amount: complaint.Amount{Units: 10000, Nanos: 10_000_000}}, "amount/4"},
		{"second of the customer", complaint.SeverityFacts{SameCustomer: 1}, ""},
		{"third of the customer", complaint.SeverityFacts{SameCustomer: 2}, "repeat-customer/4"},
		{"second of the product", complaint.SeverityFacts{SameProduct: 1}, ""},
		{"third of the product", complaint.SeverityFacts{SameProduct: 2}, "repeat-product/4"},
		{"third of the cause", complaint.SeverityFacts{SameCause: 2}, "repeat-cause/4"},
		{"two and one of each", complaint.SeverityFacts{SameCustomer: 1, SameProduct: 1, SameCause: 1}, ""},
	} {
		grounds := severityRules().Grounds(test.facts)
		demanded, want := complaintv1.Severity_SEVERITY_GENERAL, ""
		if test.want != "" {
			demanded, want = complaintv1.Severity_SEVERITY_MAJOR, "SEVERITY_TOO_LOW complaint.severity-"+test.want
		}
		if _, err := complaint.Severity(complaintv1.Severity_SEVERITY_GENERAL, grounds); reason(t, err) != want {
			t.Errorf("%s as general: %v, want %q", test.name, err, want)
		}
		if got, err := complaint.Severity(complaintv1.Severity_SEVERITY_MAJOR, grounds); err != nil || got != complaintv1.Severity_SEVERITY_MAJOR {
			t.Errorf("%s as major: %v, %v", test.name, got, err)
		}
		if got, err := complaint.Severity(complaintv1.Severity_SEVERITY_UNSPECIFIED, grounds); err != nil || got != demanded {
			t.Errorf("%s as the facts demand: %v, %v", test.name, got, err)
		}
	}
}

func TestRulesThatAreOffDemandNothing(t *testing.T) {
	facts := complaint.SeverityFacts{
		Recorded: []complaintv1.SeverityFact{1, 2, 3}, Tier: typev1.Tier_TIER_KEY, Amount: complaint.Amount{Units: 1 << 40},
		SameCustomer: 99, SameProduct: 99, SameCause: 99,
	}
	if got := (complaint.SeverityRules{Version: 2}).Grounds(facts); len(got) > 0 {
		t.Errorf("%v", got)
	}
	all := severityRules().Grounds(facts)
	if len(all) != 8 || slices.ContainsFunc(all, func(g complaint.Ground) bool { return g.Text.EN == "" || g.Text.ZH == "" }) {
		t.Errorf("%d reasons: %v", len(all), all)
	}
}

func TestTheAmountOfRules(t *testing.T) {
	for name, test := range map[string]struct {
		amount *money.Money
		right  bool
	}{
		"none": {nil, true}, "nothing": {&money.Money{}, true}, "some": {&money.Money{Units: 5, Nanos: 1}, true},
		"a currency": {&money.Money{CurrencyCode: "CNY"}, false}, "below": {&money.Money{Units: -1}, false}, "no nanos": {&money.Money{Nanos: 1e9}, false},
	} {
		if err := complaint.MajorAmount("policy.major_amount", test.amount); (err == nil) != test.right {
			t.Errorf("%s: %v", name, err)
		}
	}
}
