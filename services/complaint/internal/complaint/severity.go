package complaint

import (
	"fmt"
	"slices"
	"time"

	"google.golang.org/genproto/googleapis/type/money"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// SeverityRules are one version of what makes a complaint major.
type SeverityRules struct {
	Version                           int64
	Injury, Legal, Press, KeyCustomer bool
	// MajorAmount is the amount above which a complaint is major; nil for none.
	MajorAmount *Amount
	// RepeatDays is how far back repeats are looked for.
	RepeatDays int32
	// SameCustomer, SameProduct and SameCause are which of a kind is major; 0 for none.
	SameCustomer, SameProduct, SameCause int32
}

// Window is how far back repeats are looked for.
func (r SeverityRules) Window() time.Duration { return time.Duration(r.RepeatDays) * 24 * time.Hour }

// SeverityFacts are what decides how severe a complaint is at least.
type SeverityFacts struct {
	Recorded []complaintv1.SeverityFact
	Tier     typev1.Tier
	Amount   Amount
	// Of the same customer, product and cause: earlier complaints within the window.
	SameCustomer, SameProduct, SameCause int32
}

// Ground is one reason why a complaint must be major.
type Ground struct {
	Clause string
	Text   rpcerr.Text
}

// Grounds gives every reason the rules find in the facts, in the order of the rules.
func (r SeverityRules) Grounds(f SeverityFacts) []Ground {
	var out []Ground
	add := func(holds bool, clause string, text rpcerr.Text) {
		if holds {
			out = append(out, Ground{fmt.Sprintf("complaint.severity-%s/%d", clause, r.Version), text})
		}
	}
	recorded := func(fact complaintv1.SeverityFact) bool { return slices.Contains(f.Recorded, fact) }
	add(r.Injury && recorded(complaintv1.SeverityFact_SEVERITY_FACT_INJURY), "injury", rpcerr.T("somebody was injured", "有人受伤"))
	add(r.Legal && recorded(complaintv1.SeverityFact_SEVERITY_FACT_LEGAL), "legal", rpcerr.T("legal action is possible", "存在法律风险"))
	add(r.Press && recorded(complaintv1.SeverityFact_SEVERITY_FACT_PRESS), "press", rpcerr.T("the press is involved", "涉及媒体曝光"))
	add(r.KeyCustomer && f.Tier == typev1.Tier_TIER_KEY, "key-customer", rpcerr.T("the customer is a key customer", "客户为关键客户"))
	if r.MajorAmount != nil {
		add(f.Amount.Compare(*r.MajorAmount) > 0, "amount",
			rpcerr.T("the amount %[1]s is above %[2]s", "金额 %[1]s 超过 %[2]s", f.Amount, *r.MajorAmount))
	}
	for _, repeat := range []struct {
		found, nth int32
		clause     string
		en, zh     string
	}{
		{f.SameCustomer, r.SameCustomer, "repeat-customer", "of the customer", "同一客户"},
		{f.SameProduct, r.SameProduct, "repeat-product", "about the product", "同一产品"},
		{f.SameCause, r.SameCause, "repeat-cause", "with the cause", "同一原因"},
	} {
		add(repeat.nth > 0 && repeat.found+1 >= repeat.nth, repeat.clause, rpcerr.T(
			"it is complaint %[1]d "+repeat.en+" within %[2]d days, and from %[3]d on one is major",
			repeat.zh+"在 %[2]d 天内的第 %[1]d 次投诉，自第 %[3]d 次起为重大", repeat.found+1, r.RepeatDays, repeat.nth))
	}
	return out
}

// Severity is the severity that a review gives: what the facts demand when it names none.
// One below that is refused with the first reason.
func Severity(given complaintv1.Severity, grounds []Ground) (complaintv1.Severity, error) {
	switch {
	case given == complaintv1.Severity_SEVERITY_MAJOR, len(grounds) == 0 && given != complaintv1.Severity_SEVERITY_UNSPECIFIED:
		return given, nil
	case len(grounds) == 0:
		return complaintv1.Severity_SEVERITY_GENERAL, nil
	case given == complaintv1.Severity_SEVERITY_UNSPECIFIED:
		return complaintv1.Severity_SEVERITY_MAJOR, nil
	}
	return given, refuse(ReasonSeverityTooLow, grounds[0].Clause, rpcerr.Text{
		EN: "The complaint must be major: " + grounds[0].Text.EN + ".", ZH: "该投诉必须定为重大：" + grounds[0].Text.ZH + "。",
	}).at("severity")
}

// MajorAmount checks the amount of severity rules, which has no currency.
func MajorAmount(field string, m *money.Money) error {
	switch {
	case m == nil:
		return nil
	case m.GetCurrencyCode() != "":
		return rpcerr.Invalid(field+".currency_code", rpcerr.T(
			"it is %[1]q, but the limit holds in whatever currency; leave it empty",
			"填写了 %[1]q，但该限额适用于任何货币；请留空", m.GetCurrencyCode()))
	case m.GetUnits() < 0 || m.GetNanos() < 0 || m.GetNanos() >= nanosAUnit:
		return notAnAmount(field, m)
	}
	return nil
}
