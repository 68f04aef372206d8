//go:build bench

package bench

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/pii"
)

// known is how many customers have a phone that is searched for, and tickets.
const known = 1000

func customerID(n int) uuid.UUID { return seededID(1, n) }
func ticketID(n int) uuid.UUID   { return seededID(2, n) }

// seededID is older than every id that the suite makes, so that new things come first.
func seededID(kind, n int) uuid.UUID {
	return uuid.MustParse(fmt.Sprintf("01890000-%04d-7000-8000-%012x", kind, n))
}

func phone(n int) string { return fmt.Sprintf("+86138%08d", n) }

// name is one of eighty thousand, made as seedSummaries makes it.
func name(n int) []rune {
	cities := []string{"武汉", "上海", "深圳", "成都", "沈阳", "西安", "杭州", "天津"}
	return []rune(fmt.Sprintf("%s%c%c机械有限公司", cities[n/10000%8], rune(0x4e00+n%100), rune(0x6000+n/100%100)))
}

const (
	seedTickets = `
INSERT INTO tickets (id, number, customer_id, channel, mode, phase, type, priority, title, description, product_model,
  serial_number, order_number, reporter_name, reporter_subject_id, state, round, wait_for, resolution,
  evidence_question_key, evidence_score, create_time, update_time, resolve_time, version)
SELECT ('01890000-0002-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'T-202301-' || lpad(n::text, 7, '0'), c.id, 2, 1, 3, 1, 3,
  '机器不启动 ' || n, '客户报修：开机后无反应，指示灯不亮。', 'KX-' || n % 50, 'SN' || n, '', '', c.id, 1 + n % 5, 1, 0, '',
  '', 0, t.at, t.at, NULL, 1
FROM generate_series($1::int, $2::int) AS n,
  LATERAL (SELECT ('01890000-0001-7000-8000-' || lpad(to_hex(n % 1000), 12, '0'))::uuid AS id) AS c,
  LATERAL (SELECT timestamptz '2023-01-01Z' + n * interval '1 second' AS at) AS t`

	seedRefs = `
INSERT INTO customer_refs (id, number, kind, tier, region, status, service_quality_consent, language, version)
SELECT ('01890000-0001-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'C-202301-' || lpad(n::text, 7, '0'), 1, 1, '', 1, true, 'zh-CN', 1
FROM generate_series(0, $1::int - 1) AS n`

	seedCustomers = `
INSERT INTO customers (id, number, name, kind, party, classification_code, industry, region, source_channel, tags,
  lifecycle, tier, tier_reason, status, language, service_quality_consent, phone, phone_index, phone_last4_index,
  create_time, update_time, version)
SELECT ('01890000-0001-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'C-202301-' || lpad(n::text, 7, '0'), seeded_name(n), 1, 2,
  '', '', '', '', '{}', 1, 1, '', 1, 'zh-CN', true, '\x00', sha256(int8send(n)), sha256(int8send(-1 - n % 10000)), now(), now(), 1
FROM generate_series($1::bigint, $2::bigint) AS n`

	seedSummaries = `
INSERT INTO customer_summaries (customer_id, number, name, kind, region, tier, status, folded, grams, position)
SELECT ('01890000-0001-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'C-202301-' || lpad(n::text, 7, '0'), s.name, 1, '', 1, 1, s.name,
  ARRAY(SELECT substr(s.name, i, size) || '/' || (position >> 16) FROM generate_series(1, length(s.name)) AS i, generate_series(1, 2) AS size
    WHERE i + size - 1 <= length(s.name) GROUP BY 1), position
FROM generate_series($1::bigint, $2::bigint) AS n, LATERAL (SELECT seeded_name(n) AS name, nextval('customer_numbers') + 0 * n AS position) AS s`

	seededName = `
CREATE OR REPLACE FUNCTION seeded_name(n bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT ('{武汉,上海,深圳,成都,沈阳,西安,杭州,天津}'::text[])[1 + n / 10000 % 8] || chr((19968 + n % 100)::int)
    || chr((24576 + n / 100 % 100)::int) || '机械有限公司' $$`
)

// connect opens a pool on a service's database, as large as there are callers.
func (s *stack) connect(t *testing.T, database string, size int) *pgxpool.Pool {
	t.Helper()
	cfg, err := pgxpool.ParseConfig(s.admin)
	if err != nil {
		t.Fatal(err)
	}
	login, err := pg.Login(s.admin, cfg.ConnConfig.User, cfg.ConnConfig.Password, database)
	if err != nil {
		t.Fatal(err)
	}
	pool, err := pg.Open(t.Context(), pg.Config{URL: login, MaxConns: int32(size), StatementTimeout: 10 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// bulk runs statements on one table with its plain indexes away and its foreign keys
// unchecked, and puts the indexes back.
func bulk(t *testing.T, pool *pgxpool.Pool, table string, fill func(tx pgx.Tx) error) {
	t.Helper()
	ctx := t.Context()
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL session_replication_role = replica`); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `SET LOCAL maintenance_work_mem = '512MB'`); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) FROM pg_index i
WHERE i.indrelid = $1::text::regclass AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid)`, table)
		if err != nil {
			return err
		}
		indexes, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct{ Name, Definition string }])
		if err != nil {
			return err
		}
		for _, i := range indexes {
			if _, err := tx.Exec(ctx, `DROP INDEX `+i.Name); err != nil {
				return err
			}
		}
		if err := fill(tx); err != nil {
			return err
		}
		for _, i := range indexes {
			if _, err := tx.Exec(ctx, i.Definition); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		_, err = pool.Exec(ctx, `VACUUM (ANALYZE) `+table)
	}
	if err != nil {
		t.Fatalf("fill %s: %v", table, err)
	}
}

func run(t *testing.T, pool *pgxpool.Pool, sql string, args ...any) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// seedTicketsTo fills the tickets from one number up to another.
func seedTicketsTo(t *testing.T, pool *pgxpool.Pool, from, to int) {
	t.Helper()
	bulk(t, pool, "tickets", func(tx pgx.Tx) error {
		_, err := tx.Exec(context.Background(), seedTickets, from, to-1)
		return err
	})
}

// seedCustomersTo fills the registry; the first of them can be found by their phone.
func (s *stack) seedCustomersTo(t *testing.T, pool *pgxpool.Pool, count int) {
	t.Helper()
	run(t, pool, seededName)
	for table, sql := range map[string]string{"customers": seedCustomers, "customer_summaries": seedSummaries} {
		bulk(t, pool, table, func(tx pgx.Tx) error {
			_, err := tx.Exec(context.Background(), sql, 0, count-1)
			return err
		})
	}
	run(t, pool, `DROP FUNCTION seeded_name`)
	batch := new(pgx.Batch)
	index := s.phoneIndex(t, pool)
	for n := range min(known, count) {
		batch.Queue(`UPDATE customers SET phone_index = $2 WHERE id = $1`, customerID(n), index(phone(n)))
	}
	if err := pool.SendBatch(t.Context(), batch).Close(); err != nil {
		t.Fatal(err)
	}
}

// keyring opens the keys of a service.
func (s *stack) keyring(t *testing.T, service string, pool *pgxpool.Pool) *pii.Keyring {
	t.Helper()
	master, err := pii.OpenFileMaster(filepath.Join(s.dir, "keys", "master-"+service+".key"))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := pii.Open(t.Context(), pool, master, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// phoneIndex is the registry's blind index.
func (s *stack) phoneIndex(t *testing.T, pool *pgxpool.Pool) func(phone string) []byte {
	t.Helper()
	keys := s.keyring(t, "customer-registry", pool)
	return func(phone string) []byte { return keys.Index("phone", phone) }
}
