package db

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
)

// SegmentMember is a customer who fits a condition.
type SegmentMember struct {
	ID           uuid.UUID
	Number       string
	Name         string
	Kind         int16
	Tier         int16
	Region       string
	OwnerStaffID *uuid.UUID
	Language     string
	// Phone and Email: the file has a valid one.
	Phone, Email bool
	// ServiceQuality: consent to that purpose, which stands unless withdrawn. Consents are the
	// other purposes that were consented to, in order.
	ServiceQuality bool
	Consents       []int16
}

// Conditions of segments are data, so their SQL is made here and not by sqlc. Every value is a
// parameter; what is written into the text are names of columns from the tables below alone.
const segmentFrom = ` FROM customers c JOIN customer_summaries s ON s.customer_id = c.id
WHERE c.status = 1 AND c.merged_into IS NULL AND `

// serviceQuality is the purpose that is consented to unless withdrawn.
const serviceQuality = customerv1.ConsentPurpose_CONSENT_PURPOSE_SERVICE_QUALITY

// CountSegment counts the customers who fit.
func CountSegment(ctx context.Context, on DBTX, condition *customerv1.SegmentCondition, now time.Time) (int64, error) {
	w := &segmentWriter{now: now}
	w.write(condition)
	if w.err != nil {
		return 0, w.err
	}
	rows, err := on.Query(ctx, "SELECT count(*)"+segmentFrom+w.sql.String(), w.args...)
	if err != nil {
		return 0, err
	}
	return pgx.CollectOneRow(rows, pgx.RowTo[int64])
}

// consentTo tells whether the purpose of a placeholder is consented to, where the second is
// what holds before anybody decided.
const consentTo = `coalesce((SELECT k.granted FROM consents k WHERE k.customer_id = c.id AND k.purpose = %s::smallint ORDER BY k.version DESC LIMIT 1), %s::boolean)`

// ListSegment gives the customers who fit in the order of their ids, from after one; without a
// condition all whose file is in use.
func ListSegment(ctx context.Context, on DBTX, condition *customerv1.SegmentCondition, now time.Time, after uuid.UUID, count int32) ([]SegmentMember, error) {
	w := &segmentWriter{now: now}
	if condition == nil {
		w.add("true")
	} else {
		w.write(condition)
	}
	if w.err != nil {
		return nil, w.err
	}
	columns := "c.id, c.number, c.name, c.kind, c.tier, c.region, c.owner_staff_id, c.language, " +
		segmentReaches[customerv1.SegmentReach_SEGMENT_REACH_PHONE] + ", " + segmentReaches[customerv1.SegmentReach_SEGMENT_REACH_EMAIL] + ", " +
		w.consent(serviceQuality) + `,
ARRAY(SELECT l.purpose FROM (SELECT DISTINCT ON (k.purpose) k.purpose, k.granted FROM consents k
  WHERE k.customer_id = c.id AND k.purpose <> ` + w.bind(int16(serviceQuality)) + `::smallint ORDER BY k.purpose, k.version DESC) l WHERE l.granted)`
	sql := "SELECT " + columns + segmentFrom + w.sql.String() + " AND c.id > " + w.bind(after) + " ORDER BY c.id LIMIT " + w.bind(count)
	rows, err := on.Query(ctx, sql, w.args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[SegmentMember])
}

// segmentWriter turns a condition into SQL.
type segmentWriter struct {
	sql  strings.Builder
	args []any
	now  time.Time
	err  error
}

// bind gives the placeholder of a value.
func (w *segmentWriter) bind(v any) string {
	w.args = append(w.args, v)
	return fmt.Sprintf("$%d", len(w.args))
}

func (w *segmentWriter) add(format string, args ...any) { fmt.Fprintf(&w.sql, format, args...) }

var (
	segmentTexts = map[customerv1.SegmentText]string{
		customerv1.SegmentText_SEGMENT_TEXT_REGION:              "c.region",
		customerv1.SegmentText_SEGMENT_TEXT_INDUSTRY:            "c.industry",
		customerv1.SegmentText_SEGMENT_TEXT_CLASSIFICATION_CODE: "c.classification_code",
		customerv1.SegmentText_SEGMENT_TEXT_SOURCE_CHANNEL:      "c.source_channel",
	}
	segmentNumbers = map[customerv1.SegmentNumber]string{
		customerv1.SegmentNumber_SEGMENT_NUMBER_OPEN_TICKETS:    "s.open_tickets",
		customerv1.SegmentNumber_SEGMENT_NUMBER_OPEN_COMPLAINTS: "s.open_complaints",
		customerv1.SegmentNumber_SEGMENT_NUMBER_ORDERS:          "s.orders",
		customerv1.SegmentNumber_SEGMENT_NUMBER_MEAN_SCORE:      "(s.score_sum::float8 / nullif(s.scores, 0))",
	}
	segmentTimes = map[customerv1.SegmentTime]string{
		customerv1.SegmentTime_SEGMENT_TIME_CREATE:       "c.create_time",
		customerv1.SegmentTime_SEGMENT_TIME_LAST_CONTACT: "s.last_contact_time",
		customerv1.SegmentTime_SEGMENT_TIME_REVIEW_DUE:   "c.review_due_time",
	}
	segmentReaches = map[customerv1.SegmentReach]string{
		customerv1.SegmentReach_SEGMENT_REACH_PHONE: "(c.phone IS NOT NULL AND c.phone_quality = 0)",
		customerv1.SegmentReach_SEGMENT_REACH_EMAIL: "(c.email IS NOT NULL AND c.email_quality = 0)",
	}
)

// column gives that of a value a test names. One it has no column for is an error: it would
// be a test that passes for everybody.
func column[K comparable](w *segmentWriter, of map[K]string, key K) string {
	name, ok := of[key]
	if !ok {
		w.err = fmt.Errorf("a segment's condition names %v, which has no column", key)
	}
	return name
}

// write adds one condition. Each is true or false and never null, so that NOT means what it
// says.
func (w *segmentWriter) write(c *customerv1.SegmentCondition) {
	switch t := c.GetTest().(type) {
	case *customerv1.SegmentCondition_All:
		w.join(" AND ", t.All.GetConditions())
	case *customerv1.SegmentCondition_Any:
		w.join(" OR ", t.Any.GetConditions())
	case *customerv1.SegmentCondition_Not:
		w.add("NOT ")
		w.write(t.Not)
	case *customerv1.SegmentCondition_Kind:
		w.add("(c.kind = ANY(%s::smallint[]))", w.bind(numbers(t.Kind.GetKinds())))
	case *customerv1.SegmentCondition_Party:
		w.add("(c.party = %s::smallint)", w.bind(int16(t.Party)))
	case *customerv1.SegmentCondition_Tier:
		w.add("(c.tier = ANY(%s::smallint[]))", w.bind(numbers(t.Tier.GetTiers())))
	case *customerv1.SegmentCondition_Lifecycle:
		w.add("(c.lifecycle = ANY(%s::smallint[]))", w.bind(numbers(t.Lifecycle.GetLifecycles())))
	case *customerv1.SegmentCondition_Text:
		w.add("(%s = ANY(%s::text[]))", column(w, segmentTexts, t.Text.GetField()), w.bind(t.Text.GetValues()))
	case *customerv1.SegmentCondition_Owner:
		w.add("(c.owner_staff_id IS NOT NULL AND c.owner_staff_id = ANY(%s::text[]::uuid[]))", w.bind(t.Owner.GetStaffIds()))
	case *customerv1.SegmentCondition_Tags:
		operator := "&&"
		if t.Tags.GetAll() {
			operator = "@>"
		}
		w.add("(c.tags %s %s::text[])", operator, w.bind(t.Tags.GetTags()))
	case *customerv1.SegmentCondition_Attribute:
		w.attribute(t.Attribute)
	case *customerv1.SegmentCondition_Number:
		w.between(column(w, segmentNumbers, t.Number.GetField()), t.Number.GetRange())
	case *customerv1.SegmentCondition_Time:
		w.time(t.Time)
	case *customerv1.SegmentCondition_Consent:
		w.add("(%s = %s::boolean)", w.consent(t.Consent.GetPurpose()), w.bind(t.Consent.GetGranted()))
	case *customerv1.SegmentCondition_Reach:
		w.add("%s", column(w, segmentReaches, t.Reach))
	default:
		w.err = fmt.Errorf("a segment's condition has a test of type %T", t)
	}
}

func numbers[E ~int32](enums []E) []int16 {
	out := make([]int16, 0, len(enums))
	for _, e := range enums {
		out = append(out, int16(e))
	}
	return out
}

func (w *segmentWriter) consent(to customerv1.ConsentPurpose) string {
	return fmt.Sprintf(consentTo, w.bind(int16(to)), w.bind(to == serviceQuality))
}

func (w *segmentWriter) join(with string, conditions []*customerv1.SegmentCondition) {
	w.add("(")
	for i, c := range conditions {
		if i > 0 {
			w.add("%s", with)
		}
		w.write(c)
	}
	w.add(")")
}

func (w *segmentWriter) attribute(a *customerv1.AttributeIs) {
	// What is stored may be of another type than the definition is now: no row may fail.
	key := w.bind(a.GetKey())
	switch t := a.GetTest().(type) {
	case *customerv1.AttributeIs_Texts:
		w.add("coalesce(c.attributes ->> %s::text = ANY(%s::text[]), false)", key, w.bind(t.Texts.GetValues()))
	case *customerv1.AttributeIs_Flag:
		w.add("coalesce(c.attributes -> %s::text = to_jsonb(%s::boolean), false)", key, w.bind(t.Flag))
	case *customerv1.AttributeIs_Numbers:
		w.between(fmt.Sprintf("(CASE WHEN jsonb_typeof(c.attributes -> %[1]s::text) = 'number' THEN (c.attributes ->> %[1]s::text)::float8 END)", key), t.Numbers)
	case *customerv1.AttributeIs_Dates:
		w.add("(c.attributes ? %s::text", key)
		// Days are texts whose order is theirs.
		if first := t.Dates.GetFirst(); first != "" {
			w.add(` AND (c.attributes ->> %s::text) COLLATE "C" >= %s::text`, key, w.bind(first))
		}
		if last := t.Dates.GetLast(); last != "" {
			w.add(` AND (c.attributes ->> %s::text) COLLATE "C" <= %s::text`, key, w.bind(last))
		}
		w.add(")")
	default:
		w.err = fmt.Errorf("an attribute's condition has a test of type %T", t)
	}
}

func (w *segmentWriter) between(value string, r *customerv1.NumberRange) {
	w.add("coalesce(%s IS NOT NULL", value)
	if r.Min != nil {
		w.add(" AND %s >= %s::float8", value, w.bind(r.GetMin()))
	}
	if r.Max != nil {
		w.add(" AND %s <= %s::float8", value, w.bind(r.GetMax()))
	}
	w.add(", false)")
}

func (w *segmentWriter) time(t *customerv1.TimeIs) {
	value := column(w, segmentTimes, t.GetField())
	w.add("coalesce(%s <= %s::timestamptz", value, w.bind(w.now.AddDate(0, 0, -int(t.GetMinDays()))))
	if t.MaxDays != nil {
		w.add(" AND %s >= %s::timestamptz", value, w.bind(w.now.AddDate(0, 0, -int(t.GetMaxDays()))))
	}
	w.add(", %s::boolean)", w.bind(t.GetOrNever()))
}
