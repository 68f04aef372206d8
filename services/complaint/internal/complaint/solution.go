package complaint

import (
	"time"

	"google.golang.org/genproto/googleapis/type/money"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// Money checks a sum that may be absent: an ISO 4217 code and an amount that is not
// negative.
func Money(field string, m *money.Money) error {
	if m == nil {
		return nil
	}
	code := m.GetCurrencyCode()
	valid := len(code) == 3
	for _, c := range []byte(code) {
		valid = valid && 'A' <= c && c <= 'Z'
	}
	if !valid {
		return rpcerr.Invalid(field+".currency_code", rpcerr.T(
			"%[1]q is not an ISO 4217 currency code; give one like CNY",
			"%[1]q 不是 ISO 4217 货币代码；请填写如 CNY 的代码", code))
	}
	if m.GetUnits() < 0 || m.GetNanos() < 0 || m.GetNanos() >= nanosAUnit {
		return notAnAmount(field, m)
	}
	return nil
}

func notAnAmount(field string, m *money.Money) error {
	return rpcerr.Invalid(field, rpcerr.T(
		"units %[1]d and nanos %[2]d are not an amount; units must not be negative, nanos 0 to 999999999",
		"units %[1]d 与 nanos %[2]d 不是有效金额；units 不得为负，nanos 为 0 到 999999999", m.GetUnits(), m.GetNanos()))
}

// Sum is a sum without its currency.
func Sum(m *money.Money) Amount { return Amount{Units: m.GetUnits(), Nanos: m.GetNanos()} }

// Solution checks what a proposal's fields demand of each other.
func Solution(p *complaintv1.Proposal) error {
	if err := Money("proposal.amount", p.GetAmount()); err != nil {
		return err
	}
	switch p.GetRemedy() {
	case complaintv1.Remedy_REMEDY_NONE:
		if p.GetValidity() == complaintv1.Validity_VALIDITY_ESTABLISHED {
			return rpcerr.Invalid("proposal.remedy", rpcerr.T(
				"it is none though the complaint is established; offer a remedy, an apology at least",
				"投诉成立时不能无补救措施；请至少给予道歉"))
		}
	case complaintv1.Remedy_REMEDY_REFUND, complaintv1.Remedy_REMEDY_COMPENSATION:
		if p.GetAmount() == nil {
			return rpcerr.Invalid("proposal.amount", rpcerr.T(
				"it is missing; a refund or compensation needs its amount",
				"缺少金额；退款或赔偿须填写金额"))
		}
	}
	return nil
}

// History is what a source says of a complaint's life.
type History struct {
	State                 State
	CreateTime, CloseTime time.Time // zero: not given
	Told                  string
}

// Historic checks that a source's times are in order and that its stage has what it
// needs. It gives every fault.
func Historic(h History, now time.Time) []error {
	var faults []error
	for _, t := range []struct {
		field string
		at    time.Time
	}{{"create_time", h.CreateTime}, {"close_time", h.CloseTime}} {
		if t.at.After(now) {
			faults = append(faults, rpcerr.Invalid(t.field, rpcerr.T(
				"%[1]s is in the future; history ends now, at %[2]s", "%[1]s 在未来；历史时间不得晚于当前 %[2]s",
				t.at.Format(time.RFC3339), now.Format(time.RFC3339))))
		}
	}
	switch {
	case h.State == Closed && h.CloseTime.IsZero():
		faults = append(faults, incomplete("close_time", "when it was closed", "结案时间"))
	case h.State != Closed && !h.CloseTime.IsZero():
		faults = append(faults, rpcerr.Invalid("close_time", rpcerr.T(
			"it is given though the complaint is %[1]s; leave it out or import the complaint as closed",
			"投诉状态为“%[1]s”，不应填写；请留空或按已结案导入", stateLabel(h.State))))
	case !h.CloseTime.IsZero() && h.CloseTime.Before(h.CreateTime):
		faults = append(faults, refuse(ReasonTimesOutOfOrder, "", rpcerr.T(
			"close_time %[1]s is before create_time %[2]s; a complaint closes after it was received.",
			"close_time %[1]s 早于 create_time %[2]s；结案不得早于受理。",
			h.CloseTime.Format(time.RFC3339), h.CreateTime.Format(time.RFC3339))).at("close_time"))
	}
	if (h.State == Told || h.State == Closed) && h.Told == "" {
		faults = append(faults, incomplete("told", "what the customer was told", "告知客户的结果"))
	}
	return faults
}

func incomplete(field, en, zh string) error {
	return refuse(ReasonStateIncomplete, "", rpcerr.Text{
		EN: "The complaint's state needs " + field + ", " + en + ".", ZH: "该状态的投诉须有 " + field + "（" + zh + "）。",
	}).at(field)
}
