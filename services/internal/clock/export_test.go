package clock

import (
	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	"github.com/kefu-suite/kefu/services/internal/worktime"
)

// Sums are those of an explanation.
func Sums(list []Segment) []*clockv1.ClockSum { return sums(list) }

// KindOf is the kind that a sum is of.
func KindOf(s *clockv1.ClockSum) worktime.Kind {
	for _, k := range []worktime.Kind{
		worktime.Working, worktime.MakeUp, worktime.Lunch, worktime.OutsideHours, worktime.DayOff, worktime.OnHoliday, worktime.Paused,
	} {
		if kindOf(k) == s.GetKind() {
			return k
		}
	}
	return ""
}
