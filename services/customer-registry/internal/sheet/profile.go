package sheet

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/type/money"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// profile are the fields that say how a customer works and is looked after.
func profile() []field {
	return []field{
		plain("relationship", "客户关系", func(c *customerv1.Customer) *string { return &c.Relationship }),
		plain("responsible_staff_id", "负责人", func(c *customerv1.Customer) *string { return &c.ResponsibleStaffId }),
		{"update_interval_days", "更新周期", func(r *customerv1.CustomerRecord, text string, _ *time.Location) *rpcerr.Text {
			days, err := strconv.ParseInt(text, 10, 32)
			if err != nil || days < 1 {
				t := rpcerr.T("it is no number of days; give a whole one from 1 to 3650", "不是天数；请填写 1 至 3650 的整数")
				return &t
			}
			r.Customer.UpdateIntervalDays = int32(days)
			return nil
		}, func(c *customerv1.Customer, _ *time.Location) string {
			if c.GetUpdateIntervalDays() == 0 {
				return ""
			}
			return strconv.Itoa(int(c.GetUpdateIntervalDays()))
		}},
		several("needs.needs", "需求", needs, func(n *customerv1.Needs) *[]string { return &n.Needs }),
		several("needs.pain_points", "痛点", needs, func(n *customerv1.Needs) *[]string { return &n.PainPoints }),
		need("needs.expected_speed", "期望速度", func(n *customerv1.Needs) *string { return &n.ExpectedSpeed }),
		need("needs.expected_quality", "期望质量", func(n *customerv1.Needs) *string { return &n.ExpectedQuality }),
		need("needs.expected_professionalism", "期望专业性", func(n *customerv1.Needs) *string { return &n.ExpectedProfessionalism }),
		need("needs.business_processes", "业务流程", func(n *customerv1.Needs) *string { return &n.BusinessProcesses }),
		need("needs.habits", "习惯", func(n *customerv1.Needs) *string { return &n.Habits }),
		need("needs.behaviour_preferences", "行为偏好", func(n *customerv1.Needs) *string { return &n.BehaviourPreferences }),
		part("credit.rating", "信用等级", credit, func(c *customerv1.Credit) *string { return &c.Rating }),
		{"credit.limit", "信用额度", func(r *customerv1.CustomerRecord, text string, _ *time.Location) *rpcerr.Text {
			limit, ok := readMoney(text)
			if !ok {
				t := rpcerr.T("it is no amount with its currency; give one such as 500000.00 CNY", "不是带币种的金额；请填写类似 500000.00 CNY 的金额")
				return &t
			}
			made(credit(r.Customer)).Limit = limit
			return nil
		}, func(c *customerv1.Customer, _ *time.Location) string { return writeMoney(c.GetCredit().GetLimit()) }},
	}
}

func needs(c *customerv1.Customer) **customerv1.Needs { return &c.Needs }

func credit(c *customerv1.Customer) **customerv1.Credit { return &c.Credit }

func need(name, chinese string, of func(*customerv1.Needs) *string) field {
	return part(name, chinese, needs, of)
}

// several is a field of several texts, in one cell.
func several[M any](name, chinese string, message func(*customerv1.Customer) **M, of func(*M) *[]string) field {
	return field{name, chinese,
		func(r *customerv1.CustomerRecord, text string, _ *time.Location) *rpcerr.Text {
			*of(made(message(r.Customer))) = split(text)
			return nil
		},
		func(c *customerv1.Customer, _ *time.Location) string {
			if m := *message(c); m != nil {
				return join(*of(m))
			}
			return ""
		},
	}
}

var escape = strings.NewReplacer(`\`, `\\`, ";", `\;`, "；", `\；`)

// join writes several texts in one cell, a semicolon between two.
func join(texts []string) string {
	out := make([]string, len(texts))
	for i, text := range texts {
		out[i] = escape.Replace(text)
	}
	return strings.Join(out, ";")
}

// split reads what join wrote: a semicolon of either width ends a text unless a backslash
// stands before it, and a backslash before another sign is one.
func split(cell string) []string {
	var out []string
	var one strings.Builder
	end := func() {
		if text := strings.TrimSpace(one.String()); text != "" {
			out = append(out, text)
		}
		one.Reset()
	}
	escaped := false
	for _, c := range cell {
		mark := c == ';' || c == '；'
		switch {
		case escaped:
			if !mark && c != '\\' {
				one.WriteRune('\\')
			}
			one.WriteRune(c)
			escaped = false
		case c == '\\':
			escaped = true
		case mark:
			end()
		default:
			one.WriteRune(c)
		}
	}
	if escaped {
		one.WriteRune('\\')
	}
	end()
	return out
}

// amountForm is an amount with its currency on either side, thousands parted by commas or not.
var amountForm = regexp.MustCompile(`^(?:([A-Za-z]{3})\s*)?(-?)(\d{1,18}|\d{1,3}(?:,\d{3}){1,5})(?:\.(\d{1,9}))?(?:\s*([A-Za-z]{3}))?$`)

func readMoney(text string) (*money.Money, bool) {
	found := amountForm.FindStringSubmatch(text)
	if found == nil || (found[1] == "") == (found[5] == "") {
		return nil, false
	}
	units, err := strconv.ParseInt(found[2]+strings.ReplaceAll(found[3], ",", ""), 10, 64)
	if err != nil {
		return nil, false
	}
	nanos, err := strconv.ParseInt(found[2]+(found[4] + "000000000")[:9], 10, 32)
	if err != nil {
		return nil, false
	}
	return &money.Money{CurrencyCode: strings.ToUpper(found[1] + found[5]), Units: units, Nanos: int32(nanos)}, true
}

func writeMoney(m *money.Money) string {
	if m == nil {
		return ""
	}
	fraction := strings.TrimRight(fmt.Sprintf("%09d", m.GetNanos()), "0")
	if fraction != "" {
		fraction = "." + fraction
	}
	return fmt.Sprintf("%d%s %s", m.GetUnits(), fraction, m.GetCurrencyCode())
}
