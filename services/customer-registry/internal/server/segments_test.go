package server_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/internal/access"
)

type condition = customerv1.SegmentCondition

func all(of ...*condition) *condition {
	return &condition{Test: &customerv1.SegmentCondition_All{All: &customerv1.SegmentConditions{Conditions: of}}}
}

func anyOf(of ...*condition) *condition {
	return &condition{Test: &customerv1.SegmentCondition_Any{Any: &customerv1.SegmentConditions{Conditions: of}}}
}

func not(c *condition) *condition { return &condition{Test: &customerv1.SegmentCondition_Not{Not: c}} }

func regionIn(values ...string) *condition {
	return &condition{Test: &customerv1.SegmentCondition_Text{Text: &customerv1.TextIn{Field: customerv1.SegmentText_SEGMENT_TEXT_REGION, Values: values}}}
}

func tagged(all bool, tags ...string) *condition {
	return &condition{Test: &customerv1.SegmentCondition_Tags{Tags: &customerv1.TagsHave{Tags: tags, All: all}}}
}

func attributeIs(a *customerv1.AttributeIs) *condition {
	return &condition{Test: &customerv1.SegmentCondition_Attribute{Attribute: a}}
}

func fleetFrom(min float64) *condition {
	return attributeIs(&customerv1.AttributeIs{Key: "fleet", Test: &customerv1.AttributeIs_Numbers{Numbers: &customerv1.NumberRange{Min: &min}}})
}

// crowd makes customers a to d that conditions tell apart.
func (r *registry) crowd(t *testing.T) map[string]*customerv1.Customer {
	t.Helper()
	r.define(t, attribute("fleet", customerv1.AttributeType_ATTRIBUTE_TYPE_NUMBER))
	r.define(t, attribute("grade", customerv1.AttributeType_ATTRIBUTE_TYPE_TEXT))
	r.define(t, attribute("vip", customerv1.AttributeType_ATTRIBUTE_TYPE_BOOLEAN))
	r.define(t, attribute("since", customerv1.AttributeType_ATTRIBUTE_TYPE_DATE))
	out := map[string]*customerv1.Customer{}
	for i, name := range []string{"a", "b", "c", "d"} {
		c := file(name)
		c.Region, c.Industry = []string{"华中", "华东", "华中", ""}[i], []string{"x", "y", "", "x"}[i]
		c.Tags = [][]string{{"展会", "老"}, {"展会"}, nil, {"新"}}[i]
		switch name {
		case "a":
			c.Phone, c.OwnerStaffId, c.Lifecycle = "13800138000", "01890a5d-ac96-774b-bcce-b302099a8057", customerv1.Lifecycle_LIFECYCLE_LONG_TERM
			c.Attributes = []*customerv1.AttributeValue{numberOf("fleet", 12), textOf("grade", "it's \"A\" $1"), flagOf("vip", true), textOf("since", "2020-05-01")}
		case "b":
			c.Email, c.Party, c.Kind = "b@example.com", customerv1.Party_PARTY_PERSON, customerv1.CustomerKind_CUSTOMER_KIND_AGENT
			c.Attributes = []*customerv1.AttributeValue{numberOf("fleet", 3), flagOf("vip", false)}
		}
		out[name] = r.make(t, c)
		r.Clock.Advance(24 * time.Hour)
	}
	if _, err := r.customers.SetTier(r.admin(), r.tier(out["c"].GetId(), 5)); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestConditionsChooseWhomTheySay(t *testing.T) {
	r := start(t)
	r.crowd(t)
	days := func(n int32) *int32 { return &n }
	test := func(t *customerv1.SegmentCondition) *condition { return t }
	number := func(of customerv1.SegmentNumber, min float64) *condition {
		return test(&condition{Test: &customerv1.SegmentCondition_Number{Number: &customerv1.NumberIs{Field: of, Range: &customerv1.NumberRange{Min: &min}}}})
	}
	when := func(of customerv1.SegmentTime, min, max *int32, never bool) *condition {
		return test(&condition{Test: &customerv1.SegmentCondition_Time{Time: &customerv1.TimeIs{Field: of, MinDays: min, MaxDays: max, OrNever: never}}})
	}
	consent := func(of customerv1.ConsentPurpose, granted bool) *condition {
		return test(&condition{Test: &customerv1.SegmentCondition_Consent{Consent: &customerv1.ConsentIs{Purpose: of, Granted: granted}}})
	}
	for name, c := range map[string]struct {
		is   *condition
		want string
	}{
		"region":           {regionIn("华中"), "ac"},
		"no region":        {regionIn(""), "d"},
		"not":              {not(regionIn("华中")), "bd"},
		"all":              {all(regionIn("华中"), tagged(false, "展会")), "a"},
		"any":              {anyOf(regionIn("华东"), tagged(false, "新")), "bd"},
		"one tag":          {tagged(false, "展会", "新"), "abd"},
		"all tags":         {tagged(true, "展会", "老"), "a"},
		"kind":             {test(&condition{Test: &customerv1.SegmentCondition_Kind{Kind: &customerv1.KindIn{Kinds: []customerv1.CustomerKind{2}}}}), "b"},
		"party":            {test(&condition{Test: &customerv1.SegmentCondition_Party{Party: customerv1.Party_PARTY_ORGANISATION}}), "acd"},
		"tier":             {test(&condition{Test: &customerv1.SegmentCondition_Tier{Tier: &customerv1.TierIn{Tiers: []typev1.Tier{typev1.Tier_TIER_KEY}}}}), "c"},
		"lifecycle":        {test(&condition{Test: &customerv1.SegmentCondition_Lifecycle{Lifecycle: &customerv1.LifecycleIn{Lifecycles: []customerv1.Lifecycle{3}}}}), "a"},
		"owner":            {test(&condition{Test: &customerv1.SegmentCondition_Owner{Owner: &customerv1.StaffIn{StaffIds: []string{"01890a5d-ac96-774b-bcce-b302099a8057"}}}}), "a"},
		"nobody's":         {not(test(&condition{Test: &customerv1.SegmentCondition_Owner{Owner: &customerv1.StaffIn{StaffIds: []string{"01890a5d-ac96-774b-bcce-b302099a8057"}}}})), "bcd"},
		"phone":            {test(&condition{Test: &customerv1.SegmentCondition_Reach{Reach: customerv1.SegmentReach_SEGMENT_REACH_PHONE}}), "a"},
		"e-mail":           {test(&condition{Test: &customerv1.SegmentCondition_Reach{Reach: customerv1.SegmentReach_SEGMENT_REACH_EMAIL}}), "b"},
		"number attribute": {fleetFrom(3.5), "a"},
		"not that number":  {not(fleetFrom(3.5)), "bcd"},
		"text attribute":   {attributeIs(&customerv1.AttributeIs{Key: "grade", Test: &customerv1.AttributeIs_Texts{Texts: &customerv1.AttributeTexts{Values: []string{"it's \"A\" $1"}}}}), "a"},
		"an injection":     {attributeIs(&customerv1.AttributeIs{Key: "grade", Test: &customerv1.AttributeIs_Texts{Texts: &customerv1.AttributeTexts{Values: []string{"') OR true --"}}}}), ""},
		"flag attribute":   {attributeIs(&customerv1.AttributeIs{Key: "vip", Test: &customerv1.AttributeIs_Flag{Flag: false}}), "b"},
		"date attribute":   {attributeIs(&customerv1.AttributeIs{Key: "since", Test: &customerv1.AttributeIs_Dates{Dates: &customerv1.DateRange{First: "2020-05-01", Last: "2020-05-01"}}}), "a"},
		"later":            {attributeIs(&customerv1.AttributeIs{Key: "since", Test: &customerv1.AttributeIs_Dates{Dates: &customerv1.DateRange{First: "2020-05-02"}}}), ""},
		"orders":           {number(customerv1.SegmentNumber_SEGMENT_NUMBER_ORDERS, 1), ""},
		"any tickets":      {number(customerv1.SegmentNumber_SEGMENT_NUMBER_OPEN_TICKETS, 0), "abcd"},
		"complaints":       {not(number(customerv1.SegmentNumber_SEGMENT_NUMBER_OPEN_COMPLAINTS, 1)), "abcd"},
		"answered":         {number(customerv1.SegmentNumber_SEGMENT_NUMBER_MEAN_SCORE, 1), ""},
		"old":              {when(customerv1.SegmentTime_SEGMENT_TIME_CREATE, days(3), nil, false), "ab"},
		"young":            {when(customerv1.SegmentTime_SEGMENT_TIME_CREATE, nil, days(2), false), "cd"},
		"silent":           {when(customerv1.SegmentTime_SEGMENT_TIME_LAST_CONTACT, days(90), nil, true), "abcd"},
		"silent once":      {when(customerv1.SegmentTime_SEGMENT_TIME_LAST_CONTACT, days(90), nil, false), ""},
		"overdue":          {when(customerv1.SegmentTime_SEGMENT_TIME_REVIEW_DUE, days(0), nil, false), ""},
		"marketing":        {consent(customerv1.ConsentPurpose_CONSENT_PURPOSE_MARKETING, true), ""},
		"quality":          {consent(customerv1.ConsentPurpose_CONSENT_PURPOSE_SERVICE_QUALITY, true), "abcd"},
	} {
		got, err := r.segments.ComputeSegment(r.As(access.CRMSpecialist), &customerv1.ComputeSegmentRequest{Condition: c.is})
		if err != nil || got.GetCount() != int64(len(c.want)) {
			t.Errorf("%s: %v, %v; want %d", name, got, err, len(c.want))
		}
		if names := r.membersOf(t, r.saved(t, name, c.is), 2); strings.Join(names, "") != c.want {
			t.Errorf("%s: %v, want %s", name, names, c.want)
		}
	}
}

func (r *registry) saved(t *testing.T, name string, c *condition) *customerv1.Segment {
	t.Helper()
	made, err := r.segments.CreateSegment(r.As(access.CRMSpecialist), &customerv1.CreateSegmentRequest{Segment: &customerv1.Segment{Name: name, Condition: c}})
	if err != nil {
		t.Fatalf("CreateSegment %s: %v", name, err)
	}
	return made
}

func (r *registry) membersOf(t *testing.T, of *customerv1.Segment, size int32) []string {
	t.Helper()
	var names []string
	req := &customerv1.ListSegmentMembersRequest{Id: of.GetId(), PageSize: size}
	for {
		out, err := r.segments.ListSegmentMembers(r.As(access.CRMSpecialist), req)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range out.GetMembers() {
			names = append(names, m.GetName())
		}
		if req.PageToken = out.GetNextPageToken(); req.PageToken == "" {
			return names
		}
	}
}

func TestSegments(t *testing.T) {
	r := start(t)
	made := r.crowd(t)
	segment := r.saved(t, "华中", regionIn("华中"))
	if got, err := r.segments.GetSegment(r.As(access.SalesManager), &customerv1.GetSegmentRequest{Id: segment.GetId()}); err != nil || !proto.Equal(got, segment) {
		t.Errorf("read %v, %v", got, err)
	}
	count := func() int64 {
		t.Helper()
		got, err := r.segments.CountSegment(r.admin(), &customerv1.CountSegmentRequest{Id: segment.GetId()})
		if err != nil {
			t.Fatal(err)
		}
		return got.GetCount()
	}
	if n := count(); n != 2 {
		t.Errorf("%d members, want 2", n)
	}
	if _, err := r.files.RetireCustomer(r.admin(), &customerv1.RetireCustomerRequest{Id: made["a"].GetId(), Reason: "closed"}); err != nil {
		t.Fatal(err)
	}
	if n := count(); n != 1 {
		t.Errorf("%d members with a retired file among them, want 1", n)
	}
	update := func(s *customerv1.Segment, paths ...string) (*customerv1.Segment, error) {
		return r.segments.UpdateSegment(r.admin(), &customerv1.UpdateSegmentRequest{Segment: s, UpdateMask: mask(paths...)})
	}
	changed, err := update(&customerv1.Segment{Id: segment.GetId(), Etag: "1", Condition: regionIn("华中", "华东"), Purpose: "回访"}, "condition", "purpose")
	if err != nil || changed.GetEtag() != "2" || changed.GetPurpose() != "回访" || count() != 2 {
		t.Errorf("changed %v, %v", changed, err)
	}
	r.saved(t, "other", regionIn("x"))
	_, err = update(&customerv1.Segment{Id: segment.GetId(), Name: "other"}, "name")
	refused(t, "a name that is taken", err, codes.AlreadyExists, "SEGMENT_EXISTS")
	_, err = update(&customerv1.Segment{Id: segment.GetId(), Name: "y", Etag: "1"}, "name")
	refused(t, "stale", err, codes.Aborted, "ETAG_MISMATCH")
	_, err = update(&customerv1.Segment{Id: segment.GetId()}, "creator")
	refused(t, "output only", err, codes.InvalidArgument, "UPDATE_MASK_INVALID")
	list, err := r.segments.ListSegments(r.admin(), &customerv1.ListSegmentsRequest{PageSize: 1})
	if err != nil || len(list.GetSegments()) != 1 || list.GetSegments()[0].GetName() != "other" || list.GetNextPageToken() == "" {
		t.Errorf("list %v, %v", list, err)
	}
	_, err = r.segments.DeleteSegment(r.admin(), &customerv1.DeleteSegmentRequest{Id: segment.GetId(), Etag: "1"})
	refused(t, "stale", err, codes.Aborted, "ETAG_MISMATCH")
	if _, err := r.segments.DeleteSegment(r.admin(), &customerv1.DeleteSegmentRequest{Id: segment.GetId()}); err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]func(string) error{
		"get": func(id string) error {
			_, err := r.segments.GetSegment(r.admin(), &customerv1.GetSegmentRequest{Id: id})
			return err
		},
		"count": func(id string) error {
			_, err := r.segments.CountSegment(r.admin(), &customerv1.CountSegmentRequest{Id: id})
			return err
		},
		"list": func(id string) error {
			_, err := r.segments.ListSegmentMembers(r.admin(), &customerv1.ListSegmentMembersRequest{Id: id})
			return err
		},
		"delete": func(id string) error {
			_, err := r.segments.DeleteSegment(r.admin(), &customerv1.DeleteSegmentRequest{Id: id})
			return err
		},
		"update": func(id string) error { _, err := update(&customerv1.Segment{Id: id, Name: "z"}, "name"); return err },
	} {
		refused(t, name, call(segment.GetId()), codes.NotFound, "SEGMENT_NOT_FOUND")
	}
}

func TestConditionsThatMakeNoSense(t *testing.T) {
	r := start(t)
	r.define(t, attribute("fleet", customerv1.AttributeType_ATTRIBUTE_TYPE_NUMBER))
	deep := regionIn("x")
	for range 9 {
		deep = not(deep)
	}
	var many []*condition
	for range 3 {
		var row []*condition
		for range 40 {
			row = append(row, regionIn("x"))
		}
		many = append(many, all(row...))
	}
	two, one, none := 2.0, 1.0, &customerv1.NumberRange{}
	fleet := func(test *customerv1.AttributeIs) *condition { test.Key = "fleet"; return attributeIs(test) }
	for field, c := range map[string]*condition{
		"condition":                                nil,
		"condition.test":                           {},
		"condition.text.field":                     {Test: &customerv1.SegmentCondition_Text{Text: &customerv1.TextIn{Values: []string{"x"}}}},
		"condition.text.values":                    regionIn(),
		"condition" + strings.Repeat(".not", 8):    deep,
		"condition.attribute.key":                  attributeIs(&customerv1.AttributeIs{Key: "ships", Test: &customerv1.AttributeIs_Flag{}}),
		"condition.attribute.flag":                 fleet(&customerv1.AttributeIs{Test: &customerv1.AttributeIs_Flag{}}),
		"condition.attribute.numbers":              fleet(&customerv1.AttributeIs{Test: &customerv1.AttributeIs_Numbers{Numbers: none}}),
		"condition.attribute.numbers.max":          fleet(&customerv1.AttributeIs{Test: &customerv1.AttributeIs_Numbers{Numbers: &customerv1.NumberRange{Min: &two, Max: &one}}}),
		"condition.time":                           {Test: &customerv1.SegmentCondition_Time{Time: &customerv1.TimeIs{Field: 1}}},
		"condition.all.conditions[0].number.range": all(&condition{Test: &customerv1.SegmentCondition_Number{Number: &customerv1.NumberIs{Field: 1, Range: none}}}),
	} {
		_, err := r.segments.ComputeSegment(r.admin(), &customerv1.ComputeSegmentRequest{Condition: c})
		refused(t, field, err, codes.InvalidArgument, "VALIDATION_FAILED", field)
	}
	_, err := r.segments.CreateSegment(r.admin(), &customerv1.CreateSegmentRequest{Segment: &customerv1.Segment{Name: "x", Condition: all(many...)}})
	refused(t, "too many", err, codes.InvalidArgument, "VALIDATION_FAILED", "segment.condition")
	r.saved(t, "x", regionIn("x"))
	_, err = r.segments.CreateSegment(r.admin(), &customerv1.CreateSegmentRequest{Segment: &customerv1.Segment{Name: "x", Condition: regionIn("x")}})
	refused(t, "twice", err, codes.AlreadyExists, "SEGMENT_EXISTS")
	_, err = r.segments.CreateSegment(r.As(access.SalesManager), &customerv1.CreateSegmentRequest{Segment: &customerv1.Segment{Name: "y", Condition: regionIn("x")}})
	refused(t, "no right", err, codes.PermissionDenied, "PERMISSION_DENIED")
}

// streamed reads a stream to its end.
func (r *registry) streamed(t *testing.T, req *customerv1.StreamSegmentMembersRequest) (members []*customerv1.SegmentMember) {
	t.Helper()
	stream, err := r.segments.StreamSegmentMembers(r.AsService("survey"), req)
	if err != nil {
		t.Fatal(err)
	}
	for {
		batch, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return members
		}
		if err != nil || len(batch.GetMembers()) > 500 {
			t.Fatalf("a batch of %d, %v", len(batch.GetMembers()), err)
		}
		members = append(members, batch.GetMembers()...)
	}
}

// Without a segment it is everybody whose file is in use, with what each agreed to and how they
// can be reached.
func TestStreamOfThePopulation(t *testing.T) {
	r := start(t)
	made := r.crowd(t)
	if _, err := r.files.RetireCustomer(r.admin(), &customerv1.RetireCustomerRequest{Id: made["d"].GetId(), Reason: "closed"}); err != nil {
		t.Fatal(err)
	}
	agree := func(who string, purpose customerv1.ConsentPurpose, granted bool) {
		t.Helper()
		if _, err := r.customers.SetConsent(r.As(access.CRMSpecialist), consent(made[who].GetId(), purpose, granted)); err != nil {
			t.Fatal(err)
		}
	}
	agree("a", customerv1.ConsentPurpose_CONSENT_PURPOSE_CARE, true)
	agree("a", customerv1.ConsentPurpose_CONSENT_PURPOSE_SURVEYS, true)
	agree("a", customerv1.ConsentPurpose_CONSENT_PURPOSE_MARKETING, true)
	agree("a", customerv1.ConsentPurpose_CONSENT_PURPOSE_MARKETING, false)
	agree("b", customerv1.ConsentPurpose_CONSENT_PURPOSE_SERVICE_QUALITY, false)
	var got []string
	for _, m := range r.streamed(t, &customerv1.StreamSegmentMembersRequest{}) {
		got = append(got, fmt.Sprint(m.GetName(), int32(m.GetTier()), m.GetLanguage(), m.GetConsents(), m.GetReaches()))
	}
	want := []string{
		"a1zh-CN[CONSENT_PURPOSE_SERVICE_QUALITY CONSENT_PURPOSE_SURVEYS CONSENT_PURPOSE_CARE] [SEGMENT_REACH_PHONE]",
		"b1zh-CN[] [SEGMENT_REACH_EMAIL]", "c4zh-CN[CONSENT_PURPOSE_SERVICE_QUALITY] []",
	}
	if !slices.Equal(got, want) {
		t.Errorf("streamed\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// A stream gives every member once, and goes on after the last one told.
func TestStreamSegmentMembers(t *testing.T) {
	r := start(t)
	const n = 1203
	if _, err := r.Pool.Exec(t.Context(), `
WITH made AS (
  INSERT INTO customers (id, number, name, kind, party, classification_code, industry, region, source_channel, tags, lifecycle,
    tier, tier_reason, status, language, service_quality_consent, create_time, update_time, version)
  SELECT gen_random_uuid(), 'N' || n, 'n' || n, 1, 1, '', '', 'r', '', '{}', 1, 1, '', 1, 'en', true, now(), now(), 1 FROM generate_series(1, $1::int) n
  RETURNING id, number)
INSERT INTO customer_summaries (customer_id, number, name, kind, region, tier, status, folded, grams)
SELECT id, number, number, 1, 'r', 1, 1, '', '{}' FROM made`, n); err != nil {
		t.Fatal(err)
	}
	segment := r.saved(t, "all", regionIn("r"))
	read := func(after string) (ids []string) {
		t.Helper()
		for _, m := range r.streamed(t, &customerv1.StreamSegmentMembersRequest{Id: segment.GetId(), AfterCustomerId: after}) {
			ids = append(ids, m.GetCustomerId())
		}
		return ids
	}
	ids := read("")
	if len(ids) != n || !slices.IsSorted(ids) || len(slices.Compact(slices.Clone(ids))) != n {
		t.Errorf("%d members, want %d, each once and in order", len(ids), n)
	}
	if rest := read(ids[700]); !slices.Equal(rest, ids[701:]) {
		t.Errorf("%d members after the 701st", len(rest))
	}
	stream, err := r.segments.StreamSegmentMembers(r.admin(), &customerv1.StreamSegmentMembersRequest{Id: segment.GetId()})
	if err == nil {
		_, err = stream.Recv()
	}
	refused(t, "a person", err, codes.PermissionDenied, "PERMISSION_DENIED")
	stream, err = r.segments.StreamSegmentMembers(r.AsService("survey"), &customerv1.StreamSegmentMembersRequest{Id: newID(t)})
	if err == nil {
		_, err = stream.Recv()
	}
	refused(t, "unknown", err, codes.NotFound, "SEGMENT_NOT_FOUND")
}
