package warranty

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
)

var zone = time.FixedZone("UTC+8", 8*60*60)

func at(text string) time.Time {
	t, err := time.ParseInLocation("2006-01-02 15:04", text, zone)
	if err != nil {
		panic(err)
	}
	return t
}

func stamp(text string) *timestamppb.Timestamp {
	if text == "" {
		return nil
	}
	return timestamppb.New(at(text))
}

func policy() *customerv1.WarrantyPolicy {
	return &customerv1.WarrantyPolicy{Id: "p", Version: 3, Clauses: []*customerv1.WarrantyClause{
		{ClauseId: "all", WarrantyMonths: 12, GuaranteeMonths: 3},
		{ClauseId: "pumps", ModelPrefix: "KF-", WarrantyMonths: 24, GuaranteeMonths: 12},
		{ClauseId: "big-pumps", ModelPrefix: "KF-2", WarrantyMonths: 36, GuaranteeMonths: 0},
	}}
}

func TestState(t *testing.T) {
	const notBegun, covered, ended, unknown = customerv1.CoverageState_COVERAGE_STATE_NOT_BEGUN, customerv1.CoverageState_COVERAGE_STATE_COVERED,
		customerv1.CoverageState_COVERAGE_STATE_ENDED, customerv1.CoverageState_COVERAGE_STATE_UNKNOWN
	for name, tc := range map[string]struct {
		model, ship, delivery, warranty, guarantee, at string
		want                                           [2]customerv1.CoverageState
		clauses                                        [2]string
		ends                                           [2]string
	}{
		"delivered, both running":     {"X", "2026-01-01 10:00", "2026-01-05 10:00", "", "", "2026-02-01 00:00", [2]customerv1.CoverageState{covered, covered}, [2]string{"all", "all"}, [2]string{"2027-01-05 10:00", "2026-04-05 10:00"}},
		"the guarantee ends first":    {"X", "", "2026-01-05 10:00", "", "", "2026-04-05 10:00", [2]customerv1.CoverageState{covered, ended}, [2]string{"all", "all"}, [2]string{"2027-01-05 10:00", "2026-04-05 10:00"}},
		"the instant before":          {"X", "", "2026-01-05 10:00", "", "", "2026-04-05 09:59", [2]customerv1.CoverageState{covered, covered}, [2]string{"all", "all"}, [2]string{"2027-01-05 10:00", "2026-04-05 10:00"}},
		"shipped only":                {"X", "2026-01-01 10:00", "", "", "", "2026-01-01 10:00", [2]customerv1.CoverageState{covered, covered}, [2]string{"all", "all"}, [2]string{"2027-01-01 10:00", "2026-04-01 10:00"}},
		"before shipping":             {"X", "2026-01-01 10:00", "", "", "", "2026-01-01 09:59", [2]customerv1.CoverageState{notBegun, notBegun}, [2]string{"all", "all"}, [2]string{"2027-01-01 10:00", "2026-04-01 10:00"}},
		"the longer prefix decides":   {"KF-200", "", "2026-01-05 10:00", "", "", "2026-01-06 00:00", [2]customerv1.CoverageState{covered, ended}, [2]string{"big-pumps", "big-pumps"}, [2]string{"2029-01-05 10:00", "2026-01-05 10:00"}},
		"the shorter one":             {"KF-100", "", "2026-01-05 10:00", "", "", "2027-01-06 00:00", [2]customerv1.CoverageState{covered, ended}, [2]string{"pumps", "pumps"}, [2]string{"2028-01-05 10:00", "2027-01-05 10:00"}},
		"recorded ends go first":      {"X", "", "2026-01-05 10:00", "2026-02-01 00:00", "2030-01-01 00:00", "2026-02-01 00:00", [2]customerv1.CoverageState{ended, covered}, [2]string{Recorded, Recorded}, [2]string{"2026-02-01 00:00", "2030-01-01 00:00"}},
		"one is recorded":             {"X", "", "2026-01-05 10:00", "", "2026-01-06 00:00", "2026-01-07 00:00", [2]customerv1.CoverageState{covered, ended}, [2]string{"all", Recorded}, [2]string{"2027-01-05 10:00", "2026-01-06 00:00"}},
		"recorded without a start":    {"X", "", "", "2026-02-01 00:00", "", "2026-01-01 00:00", [2]customerv1.CoverageState{covered, unknown}, [2]string{Recorded, ""}, [2]string{"2026-02-01 00:00", ""}},
		"the last day of a month":     {"X", "", "2025-11-30 08:00", "", "", "2026-02-28 08:00", [2]customerv1.CoverageState{covered, ended}, [2]string{"all", "all"}, [2]string{"2026-11-30 08:00", "2026-02-28 08:00"}},
		"from the last of a leap day": {"X", "", "2024-02-29 08:00", "", "", "2025-02-28 07:59", [2]customerv1.CoverageState{covered, ended}, [2]string{"all", "all"}, [2]string{"2025-02-28 08:00", "2024-05-29 08:00"}},
	} {
		got := State(&customerv1.InstalledProduct{
			ProductModel: tc.model, ShipTime: stamp(tc.ship), DeliveryTime: stamp(tc.delivery),
			WarrantyEndTime: stamp(tc.warranty), GuaranteeEndTime: stamp(tc.guarantee),
		}, policy(), at(tc.at), zone)
		for i, c := range []*customerv1.Coverage{got.GetWarranty(), got.GetGuarantee()} {
			if c.GetState() != tc.want[i] || c.GetClauseId() != tc.clauses[i] {
				t.Errorf("%s: %d is %v, want %v by %q", name, i, c, tc.want[i], tc.clauses[i])
			}
			if end := stamp(tc.ends[i]); (end == nil) != (c.GetEndTime() == nil) || end != nil && !end.AsTime().Equal(c.GetEndTime().AsTime()) {
				t.Errorf("%s: %d ends %v, want %s", name, i, c.GetEndTime().AsTime().In(zone), tc.ends[i])
			}
		}
	}
}

func TestStateWithoutClause(t *testing.T) {
	p := &customerv1.WarrantyPolicy{Clauses: []*customerv1.WarrantyClause{{ClauseId: "pumps", ModelPrefix: "KF-", WarrantyMonths: 1}}}
	got := State(&customerv1.InstalledProduct{ProductModel: "X", ShipTime: stamp("2026-01-01 00:00")}, p, at("2026-01-02 00:00"), zone)
	if got.GetWarranty().GetState() != customerv1.CoverageState_COVERAGE_STATE_UNKNOWN || got.GetWarranty().GetEndTime() != nil {
		t.Errorf("no clause fits, and the state is %v", got.GetWarranty())
	}
}

func TestCheck(t *testing.T) {
	if faults := Check(policy()); len(faults) > 0 {
		t.Fatal(faults)
	}
	p := policy()
	p.Clauses[1].ClauseId, p.Clauses[2].ModelPrefix = "all", ""
	var fields []string
	for _, f := range Check(p) {
		fields = append(fields, f.Field)
	}
	if !slices.Equal(fields, []string{"clauses[1].clause_id", "clauses[2].model_prefix"}) {
		t.Errorf("blames %v", fields)
	}
}

// Every instant lies before the start, within or after the end, and the end is the same day of
// a later month, or the last of it.
func TestStateIsAPartition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "start"), 0).In(zone)
		months := rapid.IntRange(0, 600).Draw(t, "months")
		end := AddMonths(start, months)
		if elapsed := (end.Year()-start.Year())*12 + int(end.Month()) - int(start.Month()); elapsed != months {
			t.Fatalf("%d months from %v are %v", months, start, end)
		}
		if end.Day() != start.Day() && end.AddDate(0, 0, 1).Month() == end.Month() || end.Day() > start.Day() {
			t.Fatalf("%d months from %v are %v", months, start, end)
		}
		p := &customerv1.WarrantyPolicy{Clauses: []*customerv1.WarrantyClause{{ClauseId: "c", WarrantyMonths: int32(months)}}}
		at := time.Unix(rapid.Int64Range(0, 6e9).Draw(t, "at"), 0)
		want := customerv1.CoverageState_COVERAGE_STATE_COVERED
		if at.Before(start) {
			want = customerv1.CoverageState_COVERAGE_STATE_NOT_BEGUN
		} else if !at.Before(end) {
			want = customerv1.CoverageState_COVERAGE_STATE_ENDED
		}
		got := State(&customerv1.InstalledProduct{DeliveryTime: timestamppb.New(start)}, p, at, zone)
		if got.GetWarranty().GetState() != want {
			t.Fatalf("%v, want %v", got.GetWarranty(), want)
		}
	})
}
