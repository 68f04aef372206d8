package complaint

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// nanosAUnit is how finely an amount is told.
const nanosAUnit = 1_000_000_000

// Amount is a sum of money without its currency: limits hold in whatever currency a
// complaint is settled in.
type Amount struct {
	Units int64
	Nanos int32
}

// Compare is negative when a is less than b, positive when it is more.
func (a Amount) Compare(b Amount) int {
	switch {
	case a.Units != b.Units && a.Units < b.Units, a.Units == b.Units && a.Nanos < b.Nanos:
		return -1
	case a == b:
		return 0
	}
	return 1
}

// String writes the amount with two decimals, or as many as it needs.
func (a Amount) String() string {
	decimals := strings.TrimRight(fmt.Sprintf("%09d", a.Nanos), "0")
	for len(decimals) < 2 {
		decimals += "0"
	}
	return strconv.FormatInt(a.Units, 10) + "." + decimals
}

// UnmarshalText reads an amount that is not negative, such as 500 or 500.00.
func (a *Amount) UnmarshalText(text []byte) error {
	whole, decimals, _ := strings.Cut(string(text), ".")
	units, err := strconv.ParseUint(whole, 10, 63)
	if err != nil || len(decimals) > 9 {
		return fmt.Errorf("%q is not an amount; write it like 500.00", text)
	}
	nanos, err := strconv.ParseUint((decimals + "000000000")[:9], 10, 32)
	if err != nil || nanos >= nanosAUnit {
		return fmt.Errorf("%q is not an amount; write it like 500.00", text)
	}
	*a = Amount{Units: int64(units), Nanos: int32(nanos)}
	return nil
}

// Limits are the numbers of the policy.
type Limits struct {
	// SupervisorAmount and ManagerAmount are the most that a service supervisor and a
	// service manager may approve; a company manager may approve any amount.
	SupervisorAmount, ManagerAmount Amount
	// ContactAttempts on ContactChannels count as a contact.
	ContactAttempts, ContactChannels int
	// EndRounds is after how many rounds the company manager may end a complaint over
	// the customer's answer.
	EndRounds int32
	// AnotherHandlerRound is the round from which earlier handlers may not handle.
	AnotherHandlerRound int32
	// ObjectionDays is how many working days a party has to object or appeal.
	ObjectionDays int
	// ReminderDays are on which working days after the telling a silent customer is reminded, and
	// NoAnswerDays on which the complaint ends; it can be reopened for ReopenDays days.
	ReminderDays             []int
	NoAnswerDays, ReopenDays int
	// LowScore is the highest score of a survey that says unsatisfied.
	LowScore int32
}

// Check tells what of the limits makes no sense.
func (l Limits) Check() error {
	switch {
	case l.SupervisorAmount.Compare(l.ManagerAmount) > 0:
		return fmt.Errorf("the supervisor's limit %s is above the manager's %s", l.SupervisorAmount, l.ManagerAmount)
	case l.ContactChannels < 1 || l.ContactAttempts < l.ContactChannels:
		return fmt.Errorf("%d attempts cannot use %d channels", l.ContactAttempts, l.ContactChannels)
	case l.EndRounds < 1:
		return fmt.Errorf("a complaint ends after at least 1 round, not %d", l.EndRounds)
	case l.AnotherHandlerRound < 2:
		return fmt.Errorf("another handler is possible from round 2, not %d", l.AnotherHandlerRound)
	case l.ObjectionDays < 1 || l.ObjectionDays > 60:
		return fmt.Errorf("there are 1 to 60 working days to object, not %d", l.ObjectionDays)
	case l.checkSilence() != "":
		return errors.New(l.checkSilence())
	case l.LowScore < 0 || l.LowScore > 4:
		return fmt.Errorf("a low score is 0 to 4, not %d", l.LowScore)
	}
	return nil
}
