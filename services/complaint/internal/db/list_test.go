package db

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/kefu-suite/kefu/runtime/testkit"
	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/internal/customerref"
	"github.com/kefu-suite/kefu/services/internal/directory"
)

// fill makes 20,000 complaints of 500 customers, 100 handlers and 10 departments.
const fill = `
INSERT INTO customer_refs (id, number, kind, tier, region, status, service_quality_consent, language, version)
SELECT ('00000000-0000-7000-8000-' || lpad(i::text, 12, '0'))::uuid, 'C-' || i, 1, 1, '', 1, true, '', 1 FROM generate_series(1, 500) i;
INSERT INTO directory_departments (id, code, name_zh, name_en, function, version)
SELECT ('00000000-0000-7000-9000-' || lpad(i::text, 12, '0'))::uuid, 'd' || i, '', '', 1, 1 FROM generate_series(1, 10) i;
INSERT INTO directory_staff (id, name, department_id, posts, skills, languages, status, issuer, subject, version)
SELECT ('00000000-0000-7000-a000-' || lpad(i::text, 12, '0'))::uuid, '', '00000000-0000-7000-9000-000000000001', '{}', '{}', '{}', 1, '', i::text, 1
FROM generate_series(1, 100) i;
INSERT INTO complaints (id, number, customer_id, channel, title, description, category, severity_facts, order_number, product_model,
  ticket_id, quantity, currency, amount_units, amount_nanos, demanded_remedy, state, round, quality, severity, department_id,
  handler_staff_id, outcome, close_reason, source, external_id, registered_by, version, create_time, update_time, close_time)
SELECT ('01900000-0000-7000-8000-' || lpad(i::text, 12, '0'))::uuid, 'CP-202611-' || lpad(i::text, 7, '0'),
  ('00000000-0000-7000-8000-' || lpad((i % 500 + 1)::text, 12, '0'))::uuid, 1, 't', '', 7, '{}', '', 'P-' || i % 50,
  CASE WHEN i % 2 = 0 THEN ('00000000-0000-7000-b000-' || lpad((i % 1000 / 2 + 1)::text, 12, '0'))::uuid END, 0, '', 0, 0, '', s, 1, 1, 1,
  ('00000000-0000-7000-9000-' || lpad((i % 10 + 1)::text, 12, '0'))::uuid,
  ('00000000-0000-7000-a000-' || lpad((i % 100 + 1)::text, 12, '0'))::uuid,
  CASE WHEN s = 9 THEN 1 ELSE 0 END, '', CASE WHEN i % 2 = 0 THEN 'nyc311' END, CASE WHEN i % 2 = 0 THEN i::text END, 'x', 1,
  now(), now(), CASE WHEN s = 9 THEN now() END
FROM (SELECT i, CASE WHEN i % 100 < 92 THEN 9 ELSE i % 9 END + CASE WHEN i % 100 >= 92 AND i % 9 = 0 THEN 9 ELSE 0 END AS s FROM generate_series(1, 20000) i) AS made;
INSERT INTO complaint_readers (reader, state, complaint_id)
SELECT 'staff:' || substring(number from 11)::int % 100, state, id FROM complaints
UNION ALL SELECT 'department:' || substring(number from 11)::int % 10, state, id FROM complaints;
`

type plan struct {
	Node     string  `json:"Node Type"`
	Relation string  `json:"Relation Name"`
	Rows     float64 `json:"Actual Rows"`
	Loops    float64 `json:"Actual Loops"`
	Removed  float64 `json:"Rows Removed by Filter"`
	Plans    []plan  `json:"Plans"`
}

// touched is how many rows the plan reads, and what it reads whole.
func (p plan) touched() (rows float64, whole []string) {
	if p.Relation != "" {
		rows = (p.Rows + p.Removed) * p.Loops
		if p.Node == "Seq Scan" {
			whole = append(whole, p.Relation)
		}
	}
	for _, below := range p.Plans {
		r, w := below.touched()
		rows, whole = rows+r, append(whole, w...)
	}
	return rows, whole
}

// A page costs what a page holds, not what the table holds.
func TestAPageReadsNotMuchMoreThanAPage(t *testing.T) {
	d := testkit.Database(t, customerref.Migrations(), directory.Migrations(), clock.Migrations(), Migrations())
	ctx := t.Context()
	for _, statement := range strings.Split(fill, ";\n") {
		if _, err := d.Pool.Exec(ctx, statement); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.Owner(t).Exec(ctx, "ANALYZE"); err != nil {
		t.Fatal(err)
	}
	id := func(s string) *uuid.UUID {
		v := uuid.MustParse(s)
		return &v
	}
	customer, department, handler := id("00000000-0000-7000-8000-000000000007"), id("00000000-0000-7000-9000-000000000003"), id("00000000-0000-7000-a000-000000000005")
	middle := uuid.MustParse("01900000-0000-7000-8000-000000010000")
	for name, f := range map[string]ListFilter{
		"all": {}, "middle": {Before: middle}, "common state": {States: []int16{9}}, "rare states": {States: []int16{1, 2}},
		"customer": {CustomerID: customer}, "handler": {HandlerID: handler}, "department": {DepartmentID: department},
		"department and state": {DepartmentID: department, States: []int16{4}}, "number": {Number: "CP-202611-0000777"},
		"severity": {Severity: 1}, "product": {ProductModel: "P-7"}, "ticket": {TicketID: id("00000000-0000-7000-b000-000000000007")},
		"reader's severity": {Readers: []string{"department:1", "staff:7"}, Severity: 1},
		"source":            {Source: "nyc311"}, "external id": {Source: "nyc311", ExternalID: "4444"},
		"few readers":                  {Readers: []string{"staff:7", "queue", "actor:x"}},
		"many readers":                 {Readers: []string{"department:1", "department:2", "staff:7"}},
		"reader's page":                {Readers: []string{"department:1", "staff:7"}, Before: middle},
		"not accused":                  {NotAccused: handler},
		"many readers of a rare state": {Readers: []string{"department:5", "staff:95"}, States: []int16{4}, NotAccused: handler},
		"reader's customer":            {Readers: []string{"department:6"}, CustomerID: customer, NotAccused: handler},
		"reader's department":          {Readers: []string{"department:2", "staff:2"}, DepartmentID: department},
	} {
		if f.Before == uuid.Nil {
			f.Before = uuid.Max
		}
		f.Size = 51
		rows, whole := explain(ctx, t, d, f)
		// At most a page for each of nine states and three keys, each looked at twice.
		if rows > 51*9*3*2+51 || len(whole) > 0 {
			t.Errorf("%s: reads %v rows, and all of %v", name, rows, whole)
		}
		page, err := ListComplaints(ctx, d.Pool, f)
		if err != nil || len(page) == 0 || len(page) > 51 {
			t.Errorf("%s: a page of %d, %v", name, len(page), err)
		}
	}
}

func explain(ctx context.Context, t *testing.T, d *testkit.DB, f ListFilter) (float64, []string) {
	t.Helper()
	query, args := f.query()
	var raw []byte
	if err := d.Pool.QueryRow(ctx, "EXPLAIN (ANALYZE, FORMAT JSON) "+query, args...).Scan(&raw); err != nil {
		t.Fatal(err)
	}
	var plans []struct{ Plan plan }
	if err := json.Unmarshal(raw, &plans); err != nil {
		t.Fatal(err)
	}
	return plans[0].Plan.touched()
}
