package customer

import (
	"cmp"
	"math"
	"slices"
	"time"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
)

// QualityDefinition is the number of the definition by which Score scores; the contract of
// QualityService says what it is.
const QualityDefinition = 2

// QualityFacts are what a file is scored by.
type QualityFacts struct {
	// Person: a natural person needs no contacts.
	Person                                                      bool
	Phone, Email, Address, Owner, Region, Industry, Responsible bool
	Needs                                                       bool
	PhoneInvalid, EmailInvalid                                  bool
	Contacts, InvalidContacts, DecisionMakers                   int64
	// Verified of phone, e-mail and address of the file, and of phone and e-mail of its
	// contacts, of those that there are.
	Verified, Verifiable int
	ReviewDue            time.Time
	IntervalDays         int32
}

// Score scores a file, and says when time alone changes the score next; zero for never.
func Score(f QualityFacts, now time.Time) (*customerv1.CustomerQuality, time.Time) {
	out := &customerv1.CustomerQuality{Definition: QualityDefinition}
	s := &scorer{out}
	out.Completeness = s.completeness(f)
	out.Accuracy = s.accuracy(f)
	steps, next := overdueSteps(f, now)
	out.Timeliness = s.less(100, steps > 0, customerv1.QualityFault_QUALITY_FAULT_OVERDUE, 10*steps)
	out.Overall = int32(math.Round(0.4*float64(out.GetCompleteness()) + 0.3*float64(out.GetAccuracy()) + 0.3*float64(out.GetTimeliness())))
	slices.SortStableFunc(out.Reasons, func(a, b *customerv1.QualityReason) int { return cmp.Compare(b.GetPoints(), a.GetPoints()) })
	return out, next
}

// overdueSteps counts the tenths of the interval that a review is overdue, 1 to 10 and 0 when
// it is not due, and when the next begins.
func overdueSteps(f QualityFacts, now time.Time) (steps int32, next time.Time) {
	if now.Before(f.ReviewDue) {
		return 0, f.ReviewDue
	}
	tenth := time.Duration(f.IntervalDays) * 24 * time.Hour / 10
	steps = int32(min(10, 1+now.Sub(f.ReviewDue)/tenth))
	if steps == 10 {
		return steps, time.Time{}
	}
	return steps, f.ReviewDue.Add(time.Duration(steps) * tenth)
}

type scorer struct{ out *customerv1.CustomerQuality }

// less takes points off for a fault, down to 0.
func (s *scorer) less(score int32, faulty bool, fault customerv1.QualityFault, points int32) int32 {
	if !faulty {
		return score
	}
	s.out.Reasons = append(s.out.Reasons, &customerv1.QualityReason{Fault: fault, Points: points})
	return max(0, score-points)
}

func (s *scorer) completeness(f QualityFacts) int32 {
	score := s.less(100, !f.Phone && !f.Email, customerv1.QualityFault_QUALITY_FAULT_NO_PHONE_NOR_EMAIL, 25)
	for _, lack := range []struct {
		is     bool
		fault  customerv1.QualityFault
		points int32
	}{
		{f.Phone != f.Email, customerv1.QualityFault_QUALITY_FAULT_ONE_WAY_TO_REACH, 10},
		{!f.Address, customerv1.QualityFault_QUALITY_FAULT_NO_ADDRESS, 10},
		{!f.Owner, customerv1.QualityFault_QUALITY_FAULT_NO_OWNER, 10},
		{!f.Region, customerv1.QualityFault_QUALITY_FAULT_NO_REGION, 10},
		{!f.Industry, customerv1.QualityFault_QUALITY_FAULT_NO_INDUSTRY, 5},
		{!f.Responsible, customerv1.QualityFault_QUALITY_FAULT_NO_RESPONSIBLE, 10},
		{!f.Person && f.Contacts == 0, customerv1.QualityFault_QUALITY_FAULT_NO_CONTACT, 15},
		{!f.Person && f.DecisionMakers == 0, customerv1.QualityFault_QUALITY_FAULT_NO_DECISION_MAKER, 5},
		{!f.Needs, customerv1.QualityFault_QUALITY_FAULT_NO_NEEDS, 10},
	} {
		score = s.less(score, lack.is, lack.fault, lack.points)
	}
	return score
}

func (s *scorer) accuracy(f QualityFacts) int32 {
	score := s.less(100, f.PhoneInvalid, customerv1.QualityFault_QUALITY_FAULT_PHONE_INVALID, 40)
	score = s.less(score, f.EmailInvalid, customerv1.QualityFault_QUALITY_FAULT_EMAIL_INVALID, 30)
	score = s.less(score, f.InvalidContacts > 0, customerv1.QualityFault_QUALITY_FAULT_CONTACT_INVALID, 20)
	score = s.less(score, f.Verifiable > 0 && f.Verified == 0, customerv1.QualityFault_QUALITY_FAULT_UNVERIFIED, 30)
	return s.less(score, f.Verified > 0 && f.Verified < f.Verifiable, customerv1.QualityFault_QUALITY_FAULT_PARTLY_VERIFIED, 15)
}
