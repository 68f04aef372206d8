package db

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/kefu-suite/kefu/runtime/audit"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/testkit"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/customer"
	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/internal/directory"
)

const (
	planRows = 12_000
	staff    = "01890a5d-ac96-774b-bcce-b302099a8057"
)

// crowded is a database with enough rows for the planner to prefer indexes.
func crowded(t *testing.T) *testkit.DB {
	t.Helper()
	base := testkit.Database(t, audit.Migrations(), directory.Migrations(), clock.Migrations(), Migrations())
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
		summaries[i] = []any{ids[i], fmt.Sprint("C-", i), name, 1, fmt.Sprint("region ", i%200), 1 + i%4/3*i%4, owner, 1, folded, customer.Terms(folded, int64(i+1)), i + 1}
	}
	fill := []string{
		`INSERT INTO customers (id, number, name, kind, party, classification_code, industry, region, source_channel, tags,
			lifecycle, tier, tier_reason, tier_end_time, status, language, service_quality_consent, phone, phone_index,
			phone_last4_index, email, email_index, create_time, update_time, version, responsible_staff_id)
		 SELECT u, 'C-' || n, '', 1, 1, '', '', '', '', '{}', 1, 1, '', CASE WHEN n % 500 = 0 THEN now() + n * interval '1 s' END,
			1, 'en', true, '\x00', int8send(n), int2send((n % 10000)::int2), '\x00', int8send(n), now(), now(), 1,
			CASE WHEN n % 100 = 0 THEN '01890a5d-ac96-774b-bcce-b302099a8057'::uuid END
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
		`INSERT INTO access_requests (id, asker, purpose, days, state, decider, decide_time, note, end_time, create_time, version)
		 SELECT u, 'asker ' || n % 300, '', 7, s, CASE WHEN s > 1 THEN 'boss' END, CASE WHEN s > 1 THEN now() END, '',
			CASE WHEN s IN (2, 4) THEN now() - (n - 50) * interval '1 min' END, now() - n * interval '1 min', 1
		 FROM unnest($1::uuid[]) WITH ORDINALITY AS x(u, n), LATERAL (SELECT CASE WHEN n % 100 = 0 THEN 1 ELSE 2 + n % 3 END AS s) states`,
		`INSERT INTO access_request_customers (request_id, customer_id)
		 SELECT u, ($2::uuid[])[1 + n % 300] FROM unnest($1::uuid[]) WITH ORDINALITY AS x(u, n)`,
		`INSERT INTO break_glasses (id, actor, customer_id, reason, end_time, create_time, reviewer, review_time, justified, note, version)
		 SELECT u, 'asker ' || n % 300, ($2::uuid[])[1 + n % 300], '', now() - (n - 60) * interval '1 min', now() - n * interval '1 min', v, CASE WHEN v <> '' THEN now() END,
			CASE WHEN v <> '' THEN true END, CASE WHEN v <> '' THEN '' END, 1
		 FROM unnest($1::uuid[]) WITH ORDINALITY AS x(u, n), LATERAL (SELECT CASE WHEN n % 100 > 0 THEN 'boss' END AS v) reviewed`,
		`INSERT INTO file_reads (id, read_time, reader, customer_id, basis)
		 SELECT u, now() - n * interval '1 hour', 'reader ' || n % 40, ($2::uuid[])[1 + n % 300], 1 + n % 5 FROM unnest($1::uuid[]) WITH ORDINALITY AS x(u, n)`,
		`INSERT INTO access_extracts (id, request_id, create_time)
		 SELECT u, u, now() - n * interval '1 min' FROM unnest($1::uuid[]) WITH ORDINALITY AS x(u, n)`,
		`INSERT INTO unmasks (id, actor, customer_id, field, purpose, unmask_time)
		 SELECT u, 'asker ' || n % 300, ($2::uuid[])[1 + n % 300], 1, '', now() - n * interval '1 min'
		 FROM unnest($1::uuid[]) WITH ORDINALITY AS x(u, n)`,
		`INSERT INTO consents (customer_id, purpose, granted, decide_time, channel, wording_version, version)
		 SELECT ($2::uuid[])[1 + n % 300], 1 + n % 4, true, now(), 1, 'v', n FROM unnest($1::uuid[]) WITH ORDINALITY AS x(u, n)`,
		`INSERT INTO customer_changes (id, customer_id, version, field, change_time, actor, source)
		 SELECT u, ($2::uuid[])[1 + n % 300], 1, 'name', now(), '', 0 FROM unnest($1::uuid[]) WITH ORDINALITY AS x(u, n)`,
		`INSERT INTO contact_reservations (id, customer_id, recipient_id, kind, purpose, channel, event_id, sender, request_id, reserve_time)
		 SELECT u, u, ($2::uuid[])[1 + n % 300], 'survey', 1, 0, u, 'survey', n, now() - n * interval '1 min'
		 FROM unnest($1::uuid[]) WITH ORDINALITY AS x(u, n)`,
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
		"region", "tier", "owner_staff_id", "status", "folded", "grams", "position"}, pgx.CopyFromRows(summaries)); err != nil {
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
	list := func(tier, status, region, owner any) []any {
		return []any{anyID, tier, status, region, owner, int32(51)}
	}
	search := func(text string, owner any) []any {
		q := customer.ParseQuery(text, "CN")
		return []any{int32(51), int64(planRows + 1), q.Folded, none, none, none, owner, q.Terms}
	}
	for _, c := range []struct {
		name, sql string
		args      []any
		index     string
	}{
		{"all", listSummaries, list(none, none, none, none), "customer_summaries_pkey"},
		{"region", listSummaries, list(none, none, "region 7", none), "customer_summaries_region_idx"},
		{"owner", listSummaries, list(none, none, none, uuid.MustParse(staff)), "customer_summaries_owner_staff_id_idx"},
		{"two characters", searchText, search("一怀", none), "customer_summaries_grams_idx"},
		{"one character of one's own", searchText, search("丁", uuid.MustParse(staff)), "customer_summaries_grams_idx"},
		{"two characters of one's own", searchText, search("武汉", uuid.MustParse(staff)), "customer_summaries_grams_idx"},
		{"Latin letters", searchText, search("zq", none), "customer_summaries_grams_idx"},
		{"digits", searchText, search("47113", none), "customer_summaries_grams_idx"},
		{"found", listFound, []any{[]uuid.UUID{uuid.MustParse(staff)}, int64(planRows), none, none, none, none, int32(51)}, "customer_summaries_position_of_idx"},
		{"search words", listSearchWords, []any{anyID}, "contacts_customer_id_idx"},
		{"overdue files", listOverdueFiles, []any{time.Now().AddDate(1, 0, 0), time.Now(), uuid.Nil, none, none, int32(51)}, "customers_review_due_time_idx"},
		{"overdue files of one person", listOverdueFiles, []any{time.Now().AddDate(1, 0, 0), time.Now(), uuid.Nil, uuid.MustParse(staff), none, int32(51)}, "customers_responsible_staff_id_idx"},
		{"changes of a file", listCustomerChanges, []any{anyID, anyID, "", int32(51)}, "customer_changes_customer_id_idx"},
		{"phone", findByPhone, []any{[][]byte{{1}, {2}}}, "customers_phone_index_idx"},
		{"phone of a contact", findByPhone, []any{[][]byte{{1}, {2}}}, "contacts_phone_index_idx"},
		{"a caller", findCallers, []any{[][]byte{{1}}}, "contacts_phone_index_idx"},
		{"last four digits", filterPhoneEnds, []any{[]byte{0, 7}, int64(planRows), none, none, none, uuid.MustParse(staff), int32(51)}, "customers_phone_last4_index_idx"},
		{"e-mail", findByEmail, []any{[]byte{1}}, "contacts_email_index_idx"},
		{"number", findByNumber, []any{"C-1"}, "customers_number_key"},
		{"timeline", listTimeline, []any{anyID, time.Now(), anyID, int32(51)}, "timeline_customer_id_idx"},
		{"move of a timeline", moveTimeline, []any{anyID, anyID}, "timeline_subject_id_idx"},
		{"orders", listOrders, []any{anyID, anyID, int32(51)}, "orders_customer_id_idx"},
		{"contacts", listContacts, []any{anyID, uuid.Nil, int32(51)}, "contacts_customer_id_idx"},
		{"ended tiers", lockEndedTiers, []any{time.Now(), int32(100)}, "customers_tier_end_time_idx"},
		{"open cases", refreshOpenCases, []any{[]uuid.UUID{anyID}}, "cases_open_idx"},
		{"scores", refreshScores, []any{[]uuid.UUID{anyID}}, "timeline_score_idx"},
		{"a person's access requests", listAccessRequests, []any{anyID, "asker 7", none, none, none, int32(51)}, "access_requests_asker_idx"},
		{"pending access requests", listAccessRequests, []any{anyID, none, int16(1), none, none, int32(51)}, "access_requests_state_idx"},
		{"all access requests", listAccessRequests, []any{anyID, none, none, none, none, int32(51)}, "access_requests_pkey"},
		{"a file by role", getCustomer, []any{anyID}, "customers_pkey"},
		{"a file", openFile, []any{"asker 7", "issuer", "subject", true, anyID}, "customers_pkey"},
		{"a grant for it", openFile, []any{"asker 7", "issuer", "subject", true, anyID}, "access_request_customers_customer_id_idx"},
		{"broken glass", openFile, []any{"asker 7", "issuer", "subject", true, anyID}, "break_glasses_customer_id_idx"},
		{"a visit", openFile, []any{"asker 7", "issuer", "subject", true, anyID}, "cases_visitor_staff_id_idx"},
		{"a person's broken glass", listBreakGlasses, []any{anyID, "asker 7", int32(51)}, "break_glasses_actor_idx"},
		{"unreviewed broken glass", listUnreviewedBreakGlasses, []any{anyID, none, int32(51)}, "break_glasses_unreviewed_idx"},
		{"requests of a quarter", countAccessRequests, []any{time.Now().Add(-time.Hour), time.Now()}, "access_requests_create_time_idx"},
		{"readers of a quarter", listReaders, []any{"Asia/Shanghai", time.Now().Add(-48 * time.Hour), time.Now()}, "file_reads_read_time_idx"},
		{"clearances of a quarter", listClearances, []any{time.Now().Add(-48 * time.Hour), time.Now()}, "file_reads_read_time_idx"},
		{"a signer's reads", tookPart, []any{"reader 7", time.Now().Add(-time.Hour), time.Now()}, "file_reads_read_time_idx"},
		{"a signer's decisions", tookPart, []any{"reader 7", time.Now().Add(-time.Hour), time.Now()}, "access_requests_decider_idx"},
		{"grants of a quarter", listGrantUses, []any{time.Now().Add(-time.Hour), time.Now()}, "access_requests_end_time_idx"},
		{"emergencies of a quarter", listGrantUses, []any{time.Now().Add(-time.Hour), time.Now()}, "break_glasses_end_time_idx"},
		{"reads under grants", listGrantUses, []any{time.Now().Add(-time.Hour), time.Now()}, "file_reads_granted_idx"},
		{"extracts under grants", listGrantUses, []any{time.Now().Add(-time.Hour), time.Now()}, "access_extracts_request_id_idx"},
		{"the first access", firstAccess, []any{time.Now()}, "file_reads_read_time_idx"},
		{"consent history", listConsentHistory, []any{anyID, int64(9), int32(51)}, "consents_customer_id_version_idx"},
		{"last message", lastReservation, []any{anyID, "survey"}, "contact_reservations_recipient_id_idx"},
		{"message of an event", reservedForEvent, []any{anyID, anyID, "survey"}, "contact_reservations_event_id_key"},
		{"last contact", refreshLastContact, []any{[]uuid.UUID{anyID}}, "timeline_contact_idx"},
	} {
		plan := explain(t, base.Pool, c.sql, c.args...)
		// The directory is small and read as a whole.
		if strings.Contains(strings.ReplaceAll(plan, "Seq Scan on directory_staff", ""), "Seq Scan") || !strings.Contains(plan, c.index) {
			t.Errorf("%s: wants %s and no sequential scan:\n%s", c.name, c.index, plan)
		}
	}
	// Searches are planned once for any text.
	for name, c := range map[string]struct {
		sql     string
		args    int
		indexes []string
	}{
		"found": {listFound, 7, []string{"customer_summaries_position_of_idx"}},
		"text": {searchText, 8, []string{
			"Index Only Scan Backward using customer_summaries_position_key", "Index Scan Backward using customer_summaries_position_key",
			"Index Scan Backward using customer_summaries_position_key",
			"Function Scan on generate_series span", "Function Scan on unnest term", "Bitmap Index Scan on customer_summaries_grams_idx"}},
		"phone ends": {listPhoneEnds, 3, []string{
			"Index Only Scan using customers_phone_last4_index_idx", "Index Only Scan using contacts_phone_last4_index_idx",
			"Index Only Scan using customer_summaries_position_of_idx", "Index Scan using customer_summaries_position_key"}},
		"filtered phone ends": {filterPhoneEnds, 7, []string{
			"Index Only Scan using customers_phone_last4_index_idx", "Index Only Scan using contacts_phone_last4_index_idx",
			"Index Scan using customer_summaries_position_of_idx"}},
	} {
		plan := testkit.OnePlan(t, base.Pool, c.sql, c.args)
		scans := strings.Count(plan, " using ") + strings.Count(plan, "Bitmap Index Scan") + strings.Count(plan, "Function Scan")
		for _, index := range c.indexes {
			if strings.Contains(plan, "Seq Scan") || scans != len(c.indexes) || !strings.Contains(plan, index) {
				t.Errorf("%s: wants %s alone:\n%s", name, c.indexes, plan)
				break
			}
		}
	}
	q := customer.ParseQuery("武汉一", "CN")
	rows, err := New().SearchText(t.Context(), base.Pool, SearchTextParams{Before: planRows + 1, Terms: q.Terms, Folded: q.Folded, Count: 51})
	if err != nil || len(rows) == 0 {
		t.Fatalf("a search found %d rows: %v", len(rows), err)
	}
	for _, row := range rows {
		if !strings.Contains(row.Name, "武汉一") {
			t.Errorf("a search for %q found %q", "武汉一", row.Name)
		}
	}
}
