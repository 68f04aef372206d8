package ticket

import (
	"regexp"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// Before refuses what is done to tickets before they are resolved only.
func Before(s State, what Verb) error {
	if Open(s) {
		return nil
	}
	cancel, _ := find(Cancel)
	return wrongState(s, what, cancel.from)
}

// maxAmount bounds an entry, in hundredths.
const maxAmount = 100_000_000_00

var currency = regexp.MustCompile(`^[A-Z]{3}$`)

// CheckEntry refuses an entry that is neither time nor money, or both, and gives the money in
// hundredths; no currency for time.
func CheckEntry(e *ticketv1.WorkEntry) (code string, amount int64, err error) {
	isTime := e.GetKind() == ticketv1.WorkEntryKind_WORK_ENTRY_KIND_TIME || e.GetKind() == ticketv1.WorkEntryKind_WORK_ENTRY_KIND_TRAVEL
	if isTime {
		if e.GetAmount() != nil {
			return "", 0, rpcerr.Invalid("entry.amount", rpcerr.T(
				"an entry of time has no amount; leave it out, or record an expense beside it",
				"时间条目没有金额；请不要填写，或另记一条费用"))
		}
		if e.GetMinutes() == 0 {
			return "", 0, rpcerr.Invalid("entry.minutes", rpcerr.T(
				"an entry of time has 1 to 1440 minutes; give how many", "时间条目须为 1 至 1440 分钟；请填写分钟数"))
		}
		return "", 0, nil
	}
	if e.GetMinutes() != 0 {
		return "", 0, rpcerr.Invalid("entry.minutes", rpcerr.T(
			"an entry of money has no minutes; leave them out, or record the time beside it",
			"金额条目没有分钟数；请不要填写，或另记一条时间"))
	}
	m := e.GetAmount()
	amount = m.GetUnits()*100 + int64(m.GetNanos()/10_000_000)
	bad := m.GetUnits() < 0 || m.GetUnits() >= maxAmount/100 || m.GetNanos() < 0 || m.GetNanos()%10_000_000 != 0 || m.GetNanos() > 999_999_999
	if bad || amount == 0 {
		return "", 0, rpcerr.Invalid("entry.amount", rpcerr.T(
			"%[1]d units and %[2]d nanos are not more than 0.00, whole hundredths and below 100,000,000.00; give such an amount",
			"%[1]d 元加 %[2]d 纳元不是大于 0.00、精确到分且小于 100,000,000.00 的金额；请更正", m.GetUnits(), m.GetNanos()))
	}
	if !currency.MatchString(m.GetCurrencyCode()) {
		return "", 0, rpcerr.Invalid("entry.amount.currency_code", rpcerr.T(
			"%[1]q is no currency; give three capital letters such as CNY", "%[1]q 不是货币代码；请填写三个大写字母，例如 CNY", m.GetCurrencyCode()))
	}
	return m.GetCurrencyCode(), amount, nil
}
