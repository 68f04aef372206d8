package complaint_test

import (
	"testing"

	"google.golang.org/genproto/googleapis/type/money"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
)

func TestWhatIsCarriedOut(t *testing.T) {
	refund := complaint.ExecutionFacts{
		Remedy: complaintv1.Remedy_REMEDY_REFUND, ApproverActor: "ann", Approved: complaint.Amount{Units: 300}, Currency: "CNY",
	}
	change := func(f func(*complaint.ExecutionFacts)) complaint.ExecutionFacts {
		c := refund
		f(&c)
		return c
	}
	yuan := func(units int64) *money.Money { return &money.Money{CurrencyCode: "CNY", Units: units} }
	for name, test := range map[string]struct {
		actor string
		facts complaint.ExecutionFacts
		given *money.Money
		want  string
	}{
		"all of it":        {"bob", refund, nil, ""},
		"less":             {"bob", refund, yuan(299), ""},
		"just that":        {"bob", refund, yuan(300), ""},
		"more":             {"bob", refund, yuan(301), "EXECUTION_ABOVE_APPROVED complaint.approval-limits/1"},
		"the approver":     {"ann", refund, nil, "EXECUTOR_APPROVED complaint.second-person/1"},
		"twice":            {"bob", change(func(f *complaint.ExecutionFacts) { f.Executed = true }), nil, "REMEDY_EXECUTED "},
		"nothing to do":    {"bob", change(func(f *complaint.ExecutionFacts) { f.Remedy = complaintv1.Remedy_REMEDY_NONE }), nil, "NO_REMEDY "},
		"an apology":       {"bob", complaint.ExecutionFacts{Remedy: complaintv1.Remedy_REMEDY_APOLOGY}, nil, ""},
		"a dear apology":   {"bob", complaint.ExecutionFacts{Remedy: complaintv1.Remedy_REMEDY_APOLOGY}, yuan(1), "VALIDATION_FAILED"},
		"other currency":   {"bob", refund, &money.Money{CurrencyCode: "EUR"}, "VALIDATION_FAILED"},
		"no amount at all": {"bob", refund, &money.Money{CurrencyCode: "CNY", Units: -1}, "VALIDATION_FAILED"},
	} {
		err := complaint.Execution(complaint.Caller{Actor: test.actor}, test.facts, test.given)
		if got := reason(t, err); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
