package demo

import (
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/genproto/googleapis/type/money"
)

const nanosAUnit = 1_000_000_000

// amount is a sum of money in billionths, in which decimals of the sources are exact.
type amount int64

// parseAmount reads digits with at most nine decimals.
func parseAmount(text string) (amount, error) {
	whole, fraction, _ := strings.Cut(text, ".")
	if len(fraction) > 9 {
		return 0, fmt.Errorf("%q is no amount of money", text)
	}
	units, err := strconv.ParseUint(whole, 10, 32)
	nanos, err2 := strconv.ParseUint((fraction + "000000000")[:9], 10, 32)
	if err != nil || err2 != nil {
		return 0, fmt.Errorf("%q is no amount of money", text)
	}
	return amount(units)*nanosAUnit + amount(nanos), nil
}

func (a amount) in(currency string) *money.Money {
	return &money.Money{CurrencyCode: currency, Units: int64(a / nanosAUnit), Nanos: int32(a % nanosAUnit)}
}
