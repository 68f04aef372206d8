package customer

import (
	"fmt"
	"regexp"

	"google.golang.org/genproto/googleapis/type/money"

	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

var currencyForm = regexp.MustCompile(`^[A-Z]{3}$`)

const billion = 1_000_000_000

// amount is one sum of money of an order.
type amount struct {
	field       string
	value       *money.Money
	notNegative bool
}

// checkAmounts judges each sum and that all name one currency, and returns it.
func checkAmounts(amounts []amount) (currency string, faults []Fault) {
	first := ""
	for _, a := range amounts {
		if a.value == nil {
			continue
		}
		if text, ok := checkMoney(a.value, a.notNegative); !ok {
			faults = append(faults, Fault{a.field, text})
			continue
		}
		switch code := a.value.GetCurrencyCode(); {
		case currency == "":
			currency, first = code, a.field
		case code != currency:
			faults = append(faults, Fault{a.field + ".currency_code", rpcerr.T(
				"it is %[1]s, but %[2]s is in %[3]s; give all amounts of an order in one currency",
				"币种为 %[1]s，而 %[2]s 的币种为 %[3]s；同一订单的所有金额必须使用同一币种", code, first, currency)})
		}
	}
	return currency, faults
}

func checkMoney(m *money.Money, notNegative bool) (rpcerr.Text, bool) {
	units, nanos := m.GetUnits(), m.GetNanos()
	switch {
	case !currencyForm.MatchString(m.GetCurrencyCode()):
		return rpcerr.T("its currency code is %[1]q; give three capital letters of ISO 4217, e.g. CNY",
			"币种代码为 %[1]q；请填写 ISO 4217 的三个大写字母，例如 CNY", m.GetCurrencyCode()), false
	case nanos <= -billion || nanos >= billion:
		return rpcerr.T("its nanos are %[1]d; give between -999,999,999 and 999,999,999",
			"nanos 为 %[1]d；必须在 -999,999,999 与 999,999,999 之间", nanos), false
	case units > 0 && nanos < 0 || units < 0 && nanos > 0:
		return rpcerr.T("its units (%[1]d) and nanos (%[2]d) have different signs; give both the same sign",
			"units（%[1]d）与 nanos（%[2]d）符号不同；两者符号必须一致", units, nanos), false
	case notNegative && (units < 0 || nanos < 0):
		return rpcerr.T("it is %[1]s, below zero; give zero or more",
			"金额为 %[1]s，小于零；必须大于或等于零", decimal(units, nanos)), false
	}
	return rpcerr.Text{}, true
}

func decimal(units int64, nanos int32) string {
	if units == 0 && nanos < 0 {
		return fmt.Sprintf("-0.%09d", -nanos)
	}
	if nanos < 0 {
		nanos = -nanos
	}
	return fmt.Sprintf("%d.%09d", units, nanos)
}

// CheckMoney judges a sum that stands alone: its currency, its form, and that it is not
// negative.
func CheckMoney(field string, m *money.Money) *Fault {
	if text, ok := checkMoney(m, true); !ok {
		return &Fault{field, text}
	}
	return nil
}
