package ticket_test

import (
	"errors"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

const (
	high, medium, low = ticketv1.Urgency_URGENCY_HIGH, ticketv1.Urgency_URGENCY_MEDIUM, ticketv1.Urgency_URGENCY_LOW
	wide, some, one   = ticketv1.Impact_IMPACT_HIGH, ticketv1.Impact_IMPACT_MEDIUM, ticketv1.Impact_IMPACT_LOW
	p1, p2, p3, p4    = ticketv1.Priority_PRIORITY_P1, ticketv1.Priority_PRIORITY_P2, ticketv1.Priority_PRIORITY_P3, ticketv1.Priority_PRIORITY_P4
	byDefault, given  = ticketv1.PrioritySource_PRIORITY_SOURCE_DEFAULT, ticketv1.PrioritySource_PRIORITY_SOURCE_GIVEN
	byRule, byMatrix  = ticketv1.PrioritySource_PRIORITY_SOURCE_RULE, ticketv1.PrioritySource_PRIORITY_SOURCE_MATRIX
)

func TestTheBuiltInMatrix(t *testing.T) {
	m := ticket.NewMatrix(nil)
	for u, row := range map[ticketv1.Urgency][3]ticketv1.Priority{high: {p1, p2, p3}, medium: {p2, p3, p4}, low: {p3, p4, p4}} {
		for i, want := range row {
			if got := m.Of(u, ticketv1.Impact(i+1)); got != want {
				t.Errorf("%v with %v gives %v, want %v", u, ticketv1.Impact(i+1), got, want)
			}
		}
	}
	if len(ticket.StandardMatrix()) != 9 || m.Of(high, 0) != 0 || m.Of(0, wide) != 0 {
		t.Error("one alone gives a priority")
	}
}

func TestWhoeverSettlesTheWeightLast(t *testing.T) {
	type w = ticket.Weight
	m := ticket.NewMatrix(nil)
	for name, c := range map[string]struct{ was, said, want w }{
		"both":                   {w{Priority: p3, PrioritySource: byDefault}, w{Urgency: high, Impact: some}, w{high, some, p2, byMatrix}},
		"the one that lacked":    {w{high, 0, p3, byDefault}, w{Impact: wide}, w{high, wide, p1, byMatrix}},
		"one alone":              {w{Priority: p3, PrioritySource: byDefault}, w{Urgency: high}, w{Urgency: high, PrioritySource: byMatrix}},
		"one with a priority":    {w{Priority: p3, PrioritySource: byDefault}, w{Urgency: high, Priority: p2}, w{high, 0, p2, given}},
		"another than they give": {w{high, wide, p1, byMatrix}, w{Priority: p3}, w{high, wide, p3, given}},
		"the one they give":      {w{high, wide, p3, given}, w{Priority: p1}, w{high, wide, p1, byMatrix}},
		"after an override":      {w{high, wide, p4, given}, w{Impact: one}, w{high, one, p3, byMatrix}},
		"agrees with a rule":     {w{0, 0, p1, byRule}, w{Priority: p1}, w{0, 0, p1, byRule}},
		"departs from a rule":    {w{0, 0, p1, byRule}, w{Priority: p2}, w{0, 0, p2, given}},
	} {
		got := m.Reweigh(c.was, c.said)
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
		if bad := ticket.CheckWeight(got); (bad != nil) != (got.Priority == 0) {
			t.Errorf("%s: %v", name, bad)
		}
	}
}

func TestOverridingTheMatrixIsExplained(t *testing.T) {
	m := ticket.NewMatrix(nil)
	for _, w := range []ticket.Weight{{Urgency: low, Impact: one, Priority: p4}, {Urgency: low, Priority: p1}} {
		if err := m.Overruled(w); err != nil {
			t.Errorf("%+v: %v", w, err)
		}
	}
	refusal := m.Overruled(ticket.Weight{Urgency: high, Impact: some, Priority: p4})
	for lang, want := range map[string]string{
		rpcerr.English: "urgency high and impact medium give P2; say why P4 is right",
		rpcerr.Chinese: "紧急程度“高”、影响范围“中”对应 P2；请说明改为 P4 的理由",
	} {
		if got := violation(t, refusal, lang); got != want {
			t.Errorf("%s: %s", lang, got)
		}
	}
	const lacks = "未填写优先级，且紧急程度（高）与影响范围（未知）未全部填写，无法得出优先级；请填写优先级或补全缺少的一项"
	if got := violation(t, ticket.CheckWeight(ticket.Weight{Urgency: high}), rpcerr.Chinese); got != lacks {
		t.Error(got)
	}
}

// violation is what a refusal says of its one field.
func violation(t *testing.T, err error, lang string) string {
	t.Helper()
	var refusal *rpcerr.Error
	if !errors.As(err, &refusal) {
		t.Fatalf("no refusal: %v", err)
	}
	for _, detail := range refusal.Status(lang).Details() {
		if bad, ok := detail.(*errdetails.BadRequest); ok {
			return bad.GetFieldViolations()[0].GetDescription()
		}
	}
	t.Fatalf("no field: %v", err)
	return ""
}
