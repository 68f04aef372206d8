// Package organisation holds the rules of substitutes, routes, duty, hotlines and stations.
// It reads no clock and no database.
package organisation

import (
	"time"

	"github.com/google/uuid"

	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// Absence is a time [Start, End) in which somebody stands in for somebody.
type Absence struct {
	Staff, Substitute uuid.UUID
	Start, End        time.Time
}

// maxAbsence bounds an absence; a longer one is a change of the organisation.
const maxAbsence = 366 * 24 * time.Hour

// during gives the part of an absence that lies in a time; false for none.
func (a Absence) during(start, end time.Time) (time.Time, time.Time, bool) {
	if a.Start.After(start) {
		start = a.Start
	}
	if a.End.Before(end) {
		end = a.End
	}
	return start, end, start.Before(end)
}

// CheckAbsence refuses an absence beside others: somebody who stands in for themselves, a
// time that is none, a second substitute at a time, and a chain of substitutes that leads
// back to where it begins. The others hold no such chain.
func CheckAbsence(a Absence, others []Absence) error {
	if a.Staff == a.Substitute {
		return rpcerr.Invalid("substitution.substitute_staff_id", rpcerr.T(
			"nobody stands in for themselves; give the id of somebody else",
			"不能由本人代理本人；请填写其他人员的 id"))
	}
	if err := CheckSpan("substitution.end_time", a.Start, a.End, maxAbsence); err != nil {
		return err
	}
	for _, o := range others {
		if _, _, both := o.during(a.Start, a.End); both && o.Staff == a.Staff {
			return rpcerr.WrongState("SUBSTITUTION_OVERLAPS", rpcerr.T(
				"%[1]s already has a substitute from %[2]s to %[3]s; give a time outside of it, or take that one back first.",
				"%[1]s 在 %[2]s 至 %[3]s 期间已有代理人；请填写此外的时间，或先撤销原有代理。", a.Staff, stamp(o.Start), stamp(o.End)))
		}
	}
	if leadsTo(a.Substitute, a.Staff, a.Start, a.End, others, len(others)) {
		return rpcerr.WrongState("SUBSTITUTION_CYCLE", rpcerr.T(
			"%[1]s cannot stand in for %[2]s then: their own substitute in that time would in the end be %[2]s; choose somebody else.",
			"%[1]s 届时不能代理 %[2]s：其本人在该期间的代理人最终又是 %[2]s；请另选人员。", a.Substitute, a.Staff))
	}
	return nil
}

// leadsTo tells whether somebody's substitutes lead to another at some moment of a time.
// No chain is longer than the absences; the bound ends even a broken one.
func leadsTo(from, to uuid.UUID, start, end time.Time, absences []Absence, steps int) bool {
	if from == to {
		return true
	}
	if steps == 0 {
		return false
	}
	for _, o := range absences {
		if s, e, both := o.during(start, end); both && o.Staff == from && leadsTo(o.Substitute, to, s, e, absences, steps-1) {
			return true
		}
	}
	return false
}

// StandIn gives who does somebody's work at a moment: the last of their substitutes, or
// themselves.
func StandIn(staff uuid.UUID, at time.Time, absences []Absence) uuid.UUID {
	for range absences {
		next := staff
		for _, a := range absences {
			if a.Staff == staff && !at.Before(a.Start) && at.Before(a.End) {
				next = a.Substitute
			}
		}
		if next == staff {
			break
		}
		staff = next
	}
	return staff
}

// CheckSpan refuses a time that ends before it begins or is longer than most. field is the
// path of its end.
func CheckSpan(field string, start, end time.Time, most time.Duration) error {
	if start.Before(end) && end.Sub(start) <= most {
		return nil
	}
	return rpcerr.Invalid(field, rpcerr.T(
		"%[1]s is not after %[2]s, or more than %[3]d days later; give an end between the two",
		"%[1]s 不晚于 %[2]s，或晚于其 %[3]d 天以上；请填写两者之间的结束时间", stamp(end), stamp(start), int(most.Hours()/24)))
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
