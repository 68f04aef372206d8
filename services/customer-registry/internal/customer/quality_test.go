package customer

import (
	"testing"
	"time"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
)

// Each fault alone takes off the points that the contract of QualityService names.
func TestPointsOfEachFault(t *testing.T) {
	now := time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)
	const complete, accurate, timely = "completeness", "accuracy", "timeliness"
	for _, tc := range []struct {
		fault  customerv1.QualityFault
		of     string
		points int32
		spoil  func(*QualityFacts)
	}{
		{customerv1.QualityFault_QUALITY_FAULT_NO_PHONE_NOR_EMAIL, complete, 25, func(f *QualityFacts) { f.Phone, f.Email = false, false }},
		{customerv1.QualityFault_QUALITY_FAULT_ONE_WAY_TO_REACH, complete, 10, func(f *QualityFacts) { f.Phone = false }},
		{customerv1.QualityFault_QUALITY_FAULT_ONE_WAY_TO_REACH, complete, 10, func(f *QualityFacts) { f.Email = false }},
		{customerv1.QualityFault_QUALITY_FAULT_NO_ADDRESS, complete, 10, func(f *QualityFacts) { f.Address = false }},
		{customerv1.QualityFault_QUALITY_FAULT_NO_OWNER, complete, 10, func(f *QualityFacts) { f.Owner = false }},
		{customerv1.QualityFault_QUALITY_FAULT_NO_REGION, complete, 10, func(f *QualityFacts) { f.Region = false }},
		{customerv1.QualityFault_QUALITY_FAULT_NO_INDUSTRY, complete, 5, func(f *QualityFacts) { f.Industry = false }},
		{customerv1.QualityFault_QUALITY_FAULT_NO_RESPONSIBLE, complete, 10, func(f *QualityFacts) { f.Responsible = false }},
		{customerv1.QualityFault_QUALITY_FAULT_NO_CONTACT, complete, 15, func(f *QualityFacts) { f.Contacts = 0 }},
		{customerv1.QualityFault_QUALITY_FAULT_NO_DECISION_MAKER, complete, 5, func(f *QualityFacts) { f.DecisionMakers = 0 }},
		{customerv1.QualityFault_QUALITY_FAULT_NO_NEEDS, complete, 10, func(f *QualityFacts) { f.Needs = false }},
		{customerv1.QualityFault_QUALITY_FAULT_PHONE_INVALID, accurate, 40, func(f *QualityFacts) { f.PhoneInvalid = true }},
		{customerv1.QualityFault_QUALITY_FAULT_EMAIL_INVALID, accurate, 30, func(f *QualityFacts) { f.EmailInvalid = true }},
		{customerv1.QualityFault_QUALITY_FAULT_CONTACT_INVALID, accurate, 20, func(f *QualityFacts) { f.InvalidContacts = 1 }},
		{customerv1.QualityFault_QUALITY_FAULT_CONTACT_INVALID, accurate, 20, func(f *QualityFacts) { f.InvalidContacts = 7 }},
		{customerv1.QualityFault_QUALITY_FAULT_UNVERIFIED, accurate, 30, func(f *QualityFacts) { f.Verified = 0 }},
		{customerv1.QualityFault_QUALITY_FAULT_PARTLY_VERIFIED, accurate, 15, func(f *QualityFacts) { f.Verified = 1 }},
		{customerv1.QualityFault_QUALITY_FAULT_OVERDUE, timely, 10, func(f *QualityFacts) { f.ReviewDue = now }},
	} {
		facts := QualityFacts{
			Phone: true, Email: true, Address: true, Owner: true, Region: true, Industry: true, Responsible: true, Needs: true,
			Contacts: 2, DecisionMakers: 1, Verified: 3, Verifiable: 3, ReviewDue: now.AddDate(0, 1, 0), IntervalDays: 100,
		}
		if got, _ := Score(facts, now); got.GetOverall() != 100 || len(got.GetReasons()) != 0 {
			t.Fatalf("a file without faults scores %v", got)
		}
		tc.spoil(&facts)
		got, _ := Score(facts, now)
		want := map[string]int32{complete: 100, accurate: 100, timely: 100}
		want[tc.of] -= tc.points
		if len(got.GetReasons()) != 1 || got.GetReasons()[0].GetFault() != tc.fault || got.GetReasons()[0].GetPoints() != tc.points ||
			got.GetCompleteness() != want[complete] || got.GetAccuracy() != want[accurate] || got.GetTimeliness() != want[timely] {
			t.Errorf("%s takes off %v", tc.fault, got)
		}
	}
}
