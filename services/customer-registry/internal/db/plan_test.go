package db

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/testkit"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/customer"
)

const (
	planRows = 12_000
	staff    = "01890a5d-ac96-774b-bcce-b302099a8057"
)

// crowded is a database with enough rows for the planner to prefer indexes.
func crowded(t *testing.T) *testkit.DB {
	t.Helper()
	base := testkit.Database(t, Migrations())
	ctx := t.Context()
	ids := make([]uuid.UUID, planRows)
	summaries := make([][]any, planRows)
	cities := []string{"武汉", "上海", "深圳", "成都", "沈阳", "西安", "杭州", "天津"}
	for i := range ids {
		var err error
		if ids[i], err = uuid.NewV7(); err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("%s%c%c设备有限公司", cities[i%8], rune(0x4e00+i%997), rune(0x6000+i%1009))
		folded := customer.Fold(name)
		var owner *uuid.UUID
		if i%100 == 0 {
			id := uuid.MustParse(staff)
			owner = &id
		}
		summaries[i] = []any{ids[i], fmt.Sprint("C-", i), name, 1, fmt.Sprint("region ", i%200), 1 + i%4/3*i%4, owner, 1, folded, customer.Grams(folded)}
	}
	fill := []string{
		`INSERT INTO customers (id, number, name, kind, party, classification_code, industry, region, source_channel, tags,
			lifecycle, tier, tier_reason, tier_end_time, status, language, service_quality_consent, phone, phone_index,
			phone_last4_index, email, email_index, create_time, update_time, version)
		 SELECT u, 'C-' || n, '', 1, 1, '', '', '', '', '{}', 1, 1, '', CASE WHEN n % 500 = 0 THEN now() + n * interval '1 s' END,
			1, 'en', true, '\x00', int8send(n), int2send((n % 10000)::int2), '\x00', int8send(n), now(), now(), 1
		 FROM unnest($1::uuid[]) WITH ORDINALITY AS x(u, n)`,
		`INSERT INTO contacts (id, customer_id, name, decision_role, language, phone, phone_index, phone_last4_index, email,
			email_index, create_time, update_time, version)
		 SELECT u, u, 'x', 0, 'en', '\x00', int8send(-n), int2send((n % 10000)::int2), '\x00', int8send(-n), now(), now(), 1
		 FROM unnest($1::uuid[]) WITH ORDINALITY AS x(u, n)`,
		`INSERT INTO orders (id, customer_id, order_number, order_time, status, currency, create_time, update_time, version)
		 SELECT u, ($2::uuid[])[1 + n % 300], 'S-' || n, now(), '', '', now(), now(), 1
		 FROM unnest($1::uuid[]) WITH ORDINALITY AS x(u, n)`,
		`INSERT INTO timeline (id, customer_id, occur_time, type, subject_id, number, state, score, contact, historic)
		 SELECT u, ($2::uuid[])[1 + n % 300], now() - n * interval '1 min', 'x', u, '', '', CASE WHEN n % 9 = 0 THEN 3 ELSE 0 END,
			n % 7 = 0, false
		 FROM unnest($1::uuid[]) WITH ORDINALITY AS x(u, n)`,
		`INSERT INTO cases (subject_id, kind, customer_id, open, version)
		 SELECT u, 1 + n % 2, ($2::uuid[])[1 + n % 300], n % 5 = 0, 1 FROM unnest($1::uuid[]) WITH ORDINALITY AS x(u, n)`,
	}
	for i, sql := range fill {
		args := []any{ids}
		if strings.Contains(sql, "$2") {
			args = append(args, ids[:300])
		}
		if _, err := base.Pool.Exec(ctx, sql, args...); err != nil {
			t.Fatalf("statement %d: %v", i, err)
		}
	}
	if _, err := base.Pool.CopyFrom(ctx, pgx.Identifier{"customer_summaries"}, []string{"customer_id", "number", "name", "kind",
		"region", "tier", "owner_staff_id", "status", "folded", "grams"}, pgx.CopyFromRows(summaries)); err != nil {
		t.Fatal(err)
	}
	if _, err := base.Owner(t).Exec(ctx, `ANALYZE`); err != nil {
		t.Fatal(err)
	}
	return base
}

func explain(t *testing.T, on pg.DBTX, sql string, args ...any) string {
	t.Helper()
	rows, err := on.Query(t.Context(), "EXPLAIN "+sql, append([]any{pgx.QueryExecModeCacheDescribe}, args...)...)
	if err != nil {
		t.Fatalf("explain: %v", err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatalf("explain: %v", err)
	}
	return strings.Join(lines, "\n")
}

func TestHotQueriesUseTheirIndexes(t *testing.T) {
	base := crowded(t)
	var none any
	anyID := uuid.Max
	list := func(tier, status, region, owner, grams, found any, folded string) []any {
		return []any{anyID, tier, status, region, owner, grams, found, folded, int32(51)}
	}
	for _, c := range []struct {
		name, sql string
		args      []any
		index     string
	}{
		{"all", listSummaries, list(none, none, none, none, none, none, ""), "customer_summaries_pkey"},
		{"region", listSummaries, list(none, none, "region 7", none, none, none, ""), "customer_summaries_region_idx"},
		{"owner", listSummaries, list(none, none, none, uuid.MustParse(staff), none, none, ""), "customer_summaries_owner_staff_id_idx"},
		{"two rare characters", listSummaries, list(none, none, none, none, []string{"一怀"}, none, "一怀"), "customer_summaries_grams_idx"},
		{"one character", listSummaries, list(none, none, none, none, []string{"丁"}, none, "丁"), "customer_summaries_grams_idx"},
		{"two common characters", listSummaries, list(none, none, none, none, []string{"公司"}, none, "公司"), "customer_summaries_pkey"},
		{"found by phone", listSummaries, list(none, none, none, none, none, []uuid.UUID{uuid.MustParse(staff)}, ""), "customer_summaries_pkey"},
		{"digits and found", listSummaries, list(none, none, none, none, []string{"20", "00", "08"}, []uuid.UUID{uuid.MustParse(staff)}, "2008"), "customer_summaries_grams_idx"},
		{"phone", findByPhone, []any{[]byte{1}}, "customers_phone_index_idx"},
		{"phone of a contact", findByPhone, []any{[]byte{1}}, "contacts_phone_index_idx"},
		{"last four digits", findByPhoneLast4, []any{[]byte{0, 7}}, "customers_phone_last4_index_idx"},
		{"e-mail", findByEmail, []any{[]byte{1}}, "contacts_email_index_idx"},
		{"number", findByNumber, []any{"C-1"}, "customers_number_key"},
		{"timeline", listTimeline, []any{anyID, time.Now(), anyID, int32(51)}, "timeline_customer_id_idx"},
		{"move of a timeline", moveTimeline, []any{anyID, anyID}, "timeline_subject_id_idx"},
		{"orders", listOrders, []any{anyID, anyID, int32(51)}, "orders_customer_id_idx"},
		{"contacts", listContacts, []any{anyID, uuid.Nil, int32(51)}, "contacts_customer_id_idx"},
		{"ended tiers", lockEndedTiers, []any{time.Now(), int32(100)}, "customers_tier_end_time_idx"},
		{"open cases", refreshOpenCases, []any{[]uuid.UUID{anyID}}, "cases_open_idx"},
		{"scores", refreshScores, []any{[]uuid.UUID{anyID}}, "timeline_score_idx"},
		{"last contact", refreshLastContact, []any{[]uuid.UUID{anyID}}, "timeline_contact_idx"},
	} {
		plan := explain(t, base.Pool, c.sql, c.args...)
		if strings.Contains(plan, "Seq Scan") || !strings.Contains(plan, c.index) {
			t.Errorf("%s: wants %s and no sequential scan:\n%s", c.name, c.index, plan)
		}
	}
	rows, err := New().ListSummaries(t.Context(), base.Pool, ListSummariesParams{
		Before: anyID, Grams: []string{"武汉", "汉一"}, Folded: "武汉一", Count: 51,
	})
	if err != nil || len(rows) == 0 {
		t.Fatalf("a search found %d rows: %v", len(rows), err)
	}
	for _, row := range rows {
		if !strings.Contains(row.Name, "武汉一") {
			t.Errorf("a search for %q found %q", "武汉一", row.Name)
		}
	}
}
