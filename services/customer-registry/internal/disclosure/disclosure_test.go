package disclosure_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/kefu-suite/kefu/services/customer-registry/internal/disclosure"
)

var (
	now      = time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)
	me       = uuid.MustParse("01900000-0000-7000-8000-000000000001")
	other    = uuid.MustParse("01900000-0000-7000-8000-000000000002")
	mine     = uuid.MustParse("01900000-0000-7000-8000-00000000000a")
	theirs   = uuid.MustParse("01900000-0000-7000-8000-00000000000b")
	grantID  = uuid.MustParse("01900000-0000-7000-8000-0000000000ff")
	ordinary = disclosure.File{Owner: other, OwnerDepartment: theirs}
	key      = disclosure.File{Key: true, Owner: other, OwnerDepartment: theirs}
)

func TestByClearance(t *testing.T) {
	type r = disclosure.Reader
	for name, c := range map[string]struct {
		reader disclosure.Reader
		file   disclosure.File
		want   disclosure.Verdict
	}{
		"a specialist":                  {r{Clearance: disclosure.Whole, Sight: disclosure.All}, ordinary, disclosure.Verdict{Basis: disclosure.ByRole, Whole: true}},
		"an agent":                      {r{Clearance: disclosure.Masked, Sight: disclosure.All}, ordinary, disclosure.Verdict{Basis: disclosure.ByRole}},
		"an agent, a key customer":      {r{Clearance: disclosure.Masked, Sight: disclosure.All, Staff: me, Department: mine}, key, disclosure.Verdict{}},
		"a specialist, a key customer":  {r{Clearance: disclosure.Whole, Sight: disclosure.All, Staff: me, Department: mine}, key, disclosure.Verdict{}},
		"the account manager":           {r{Clearance: disclosure.Whole, Staff: other, Department: theirs}, key, disclosure.Verdict{Basis: disclosure.ByTeam, Whole: true}},
		"the account team":              {r{Clearance: disclosure.Whole, Staff: me, Department: theirs}, key, disclosure.Verdict{Basis: disclosure.ByTeam, Whole: true}},
		"an agent of the account team":  {r{Clearance: disclosure.Masked, Staff: me, Department: theirs}, key, disclosure.Verdict{Basis: disclosure.ByTeam}},
		"a manager, a key customer":     {r{Clearance: disclosure.Masked, Trusted: true}, key, disclosure.Verdict{Basis: disclosure.ByRole}},
		"a key customer without owner":  {r{Clearance: disclosure.Whole, Sight: disclosure.All}, disclosure.File{Key: true}, disclosure.Verdict{}},
		"a salesperson, their customer": {r{Sight: disclosure.Own, Staff: other}, ordinary, disclosure.Verdict{}},
		"a salesperson, another's":      {r{Sight: disclosure.Own, Staff: me}, ordinary, disclosure.Verdict{Hidden: true}},
		"a salesperson, nobody's":       {r{Sight: disclosure.Own, Staff: me}, disclosure.File{}, disclosure.Verdict{Hidden: true}},
		"a salesperson nobody knows":    {r{Sight: disclosure.Own}, disclosure.File{}, disclosure.Verdict{Hidden: true}},
		"an engineer":                   {r{}, ordinary, disclosure.Verdict{}},
	} {
		if got := disclosure.ByClearance(c.reader, c.file); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestWithGrant(t *testing.T) {
	lasting := disclosure.Grant{ID: grantID, EndTime: now.Add(time.Second)}
	glass := disclosure.Grant{ID: grantID, EndTime: now.Add(time.Second), BreakGlass: true}
	over := disclosure.Grant{ID: grantID, EndTime: now}
	masked, refused, hidden := disclosure.Verdict{Basis: disclosure.ByRole}, disclosure.Verdict{}, disclosure.Verdict{Hidden: true}
	for name, c := range map[string]struct {
		verdict disclosure.Verdict
		grant   disclosure.Grant
		want    disclosure.Verdict
		right   string
	}{
		"none":                {hidden, disclosure.Grant{}, hidden, "role:x"},
		"lasting":             {hidden, lasting, disclosure.Verdict{Basis: disclosure.ByGrant, Whole: true, Grant: lasting}, "grant:" + grantID.String()},
		"broken glass":        {refused, glass, disclosure.Verdict{Basis: disclosure.ByBreakGlass, Whole: true, Grant: glass}, "break-glass:" + grantID.String()},
		"over":                {hidden, over, disclosure.Verdict{Grant: over}, "role:x"},
		"lasting, masked":     {masked, lasting, disclosure.Verdict{Basis: disclosure.ByGrant, Whole: true, Grant: lasting}, "grant:" + grantID.String()},
		"over, masked":        {masked, over, disclosure.Verdict{Basis: disclosure.ByRole, Grant: over}, "role:x"},
		"not needed":          {disclosure.Verdict{Basis: disclosure.ByTeam, Whole: true}, lasting, disclosure.Verdict{Basis: disclosure.ByTeam, Whole: true}, "team/role:x"},
		"nobody has anything": {refused, disclosure.Grant{}, refused, "role:x"},
	} {
		got := disclosure.WithGrant(c.verdict, c.grant, now)
		if got != c.want || got.Right("role:x") != c.right {
			t.Errorf("%s: %+v by %s, want %+v by %s", name, got, got.Right("role:x"), c.want, c.right)
		}
	}
}

// Whatever the reader, a key customer's file shows no more than an ordinary one, and a
// verdict without clearance and grant opens nothing.
func TestNobodyGainsByACustomersValue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ids := []uuid.UUID{uuid.Nil, me, other}
		departments := []uuid.UUID{uuid.Nil, mine, theirs}
		r := disclosure.Reader{
			Clearance: disclosure.Clearance(rapid.IntRange(0, 2).Draw(t, "clearance")),
			Sight:     disclosure.Sight(rapid.IntRange(0, 2).Draw(t, "sight")),
			Trusted:   rapid.Bool().Draw(t, "trusted"),
			Staff:     rapid.SampledFrom(ids).Draw(t, "staff"), Department: rapid.SampledFrom(departments).Draw(t, "department"),
		}
		f := disclosure.File{Owner: rapid.SampledFrom(ids).Draw(t, "owner"), OwnerDepartment: rapid.SampledFrom(departments).Draw(t, "owner's")}
		plain := disclosure.ByClearance(r, f)
		f.Key = true
		valued := disclosure.ByClearance(r, f)
		if valued.Basis != disclosure.Refused && (plain.Basis == disclosure.Refused || valued.Whole != plain.Whole) {
			t.Fatalf("%+v reads %+v of a key customer and %+v of another", r, valued, plain)
		}
		if r.Clearance == disclosure.None && (plain.Basis != disclosure.Refused || valued.Basis != disclosure.Refused) {
			t.Fatalf("%+v reads without clearance", r)
		}
	})
}

func TestNext(t *testing.T) {
	states := []disclosure.State{disclosure.Pending, disclosure.Approved, disclosure.Rejected, disclosure.Revoked, disclosure.Expired}
	verbs := []disclosure.Verb{disclosure.Approve, disclosure.Refuse, disclosure.Revoke, disclosure.Extract}
	want := map[disclosure.State]map[disclosure.Verb]disclosure.State{
		disclosure.Pending:  {disclosure.Approve: disclosure.Approved, disclosure.Refuse: disclosure.Rejected},
		disclosure.Approved: {disclosure.Revoke: disclosure.Revoked, disclosure.Extract: disclosure.Approved},
	}
	for _, state := range states {
		for _, verb := range verbs {
			got, ok := disclosure.Next(state, verb)
			if after, possible := want[state][verb]; ok != possible || ok && got != after {
				t.Errorf("verb %d in %v: %v %v, want %v %v", verb, state, got, ok, after, possible)
			}
		}
	}
	if disclosure.At(disclosure.Approved, now, now) != disclosure.Expired || disclosure.At(disclosure.Approved, now.Add(1), now) != disclosure.Approved ||
		disclosure.At(disclosure.Revoked, now, now) != disclosure.Revoked {
		t.Error("a grant ends by itself at its end, and only a grant does")
	}
}

func TestDays(t *testing.T) {
	if disclosure.Days(0, 7) != 7 || disclosure.Days(3, 7) != 3 {
		t.Error("what is asked goes before the default")
	}
	for _, c := range []struct {
		asked, given, want int32
		possible           bool
	}{{7, 0, 7, true}, {7, 3, 3, true}, {7, 7, 7, true}, {7, 8, 8, false}} {
		if got, possible := disclosure.Granted(c.asked, c.given); possible != c.possible || possible && got != c.want {
			t.Errorf("%+v: %d %v", c, got, possible)
		}
	}
	if got := disclosure.End(now, 7); !got.Equal(now.AddDate(0, 0, 7)) {
		t.Errorf("7 days end at %v", got)
	}
}

func TestQuarters(t *testing.T) {
	shanghai := time.FixedZone("CST", 8*3600)
	for _, id := range []string{"2026-q0", "2026-q5", "2026-Q4", "1999-q1", "q4", "", "2026-q44"} {
		if q, ok := disclosure.ParseQuarter(id); ok {
			t.Errorf("%q was read as %v", id, q)
		}
	}
	q, ok := disclosure.ParseQuarter("2026-q4")
	start, end := q.Span(shanghai)
	if !ok || q.String() != "2026-q4" || !start.Equal(time.Date(2026, 9, 30, 16, 0, 0, 0, time.UTC)) || !end.Equal(time.Date(2026, 12, 31, 16, 0, 0, 0, time.UTC)) {
		t.Errorf("%v from %v to %v", q, start, end)
	}
	day, next := disclosure.Day(time.Date(2026, 11, 25, 17, 0, 0, 0, time.UTC), shanghai)
	if !day.Equal(time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)) || !next.Equal(time.Date(2026, 11, 26, 16, 0, 0, 0, time.UTC)) {
		t.Errorf("day %v, next %v", day, next)
	}
}

func TestUnsigned(t *testing.T) {
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	at := func(text string) time.Time {
		out, err := time.ParseInLocation("2006-01-02 15:04:05", text, zone)
		if err != nil {
			t.Fatal(err)
		}
		return out.UTC() // where it is another day, and at times another quarter
	}
	for name, c := range map[string]struct {
		first, now string
		signed     []string
		want       string
	}{
		"the first quarter goes on":  {"2026-10-01 00:00:00", "2026-12-31 23:59:59", nil, "[]"},
		"over at midnight":           {"2026-10-01 00:00:00", "2027-01-01 00:00:00", nil, "[2026-q4]"},
		"its last second counts":     {"2026-09-30 23:59:59", "2027-01-01 00:00:00", nil, "[2026-q4 2026-q3]"},
		"over the turn of the year":  {"2025-11-01 09:00:00", "2026-07-01 09:00:00", []string{"2026-q1"}, "[2026-q2 2025-q4]"},
		"all signed":                 {"2026-01-01 00:00:00", "2026-07-01 00:00:00", []string{"2026-q1", "2026-q2"}, "[]"},
		"nothing was there till now": {"2026-11-26 09:00:00", "2026-11-26 09:00:00", nil, "[]"},
	} {
		if got := fmt.Sprint(disclosure.Unsigned(at(c.first), at(c.now), c.signed, zone)); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	if due := (disclosure.Quarter{Year: 2026, Number: 4}).Due(30, zone); !due.Equal(at("2027-01-31 00:00:00")) {
		t.Errorf("the last quarter is due %s", due)
	}
}

func TestUnusual(t *testing.T) {
	for name, c := range map[string]struct {
		busiest []int32
		want    []bool
	}{
		"nobody":          {nil, []bool{}},
		"one alone":       {[]int32{900}, []bool{false}},
		"one stands out":  {[]int32{5, 6, 7, 40}, []bool{false, false, false, true}},
		"few reads":       {[]int32{1, 1, 1, 19}, []bool{false, false, false, false}},
		"exactly 20":      {[]int32{1, 1, 1, 20}, []bool{false, false, false, true}},
		"three times":     {[]int32{10, 10, 30}, []bool{false, false, false}},
		"more than three": {[]int32{10, 10, 31}, []bool{false, false, true}},
	} {
		if got := disclosure.Unusual(c.busiest); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
