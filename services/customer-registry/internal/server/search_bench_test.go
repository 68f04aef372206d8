//go:build bench

package server_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/testkit"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/customer"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
	"github.com/kefu-suite/kefu/services/internal/access"
)

var searchRows = flag.Int("customers", 1_000_000, "customers among whom the searches are measured")

const (
	searchPairs = 5
	searchCalls = 400
	// searchTarget is what a search may take in reads of one customer by id.
	searchTarget = 5
)

var (
	places = []string{"武汉", "上海", "深圳", "成都", "沈阳", "西安", "杭州", "天津", "宁波", "温州", "嘉兴", "绍兴", "长沙", "南昌", "合肥", "昆明", "贵阳", "兰州", "银川", "大连"}
	trades = []string{"设备", "船舶", "阀门", "电机", "轴承", "仪表", "化工", "纺织", "水泵", "电缆", "机床", "模具", "铸造", "包装", "照明", "五金"}
	brands = []string{"kefeng", "haida", "yongxing", "hengli", "jinggong", "xinhua", "dongfang", "tianyuan", "ruitai", "mingda", "zhongke", "baolong"}
)

// population is a registry with many customers, whose names, phones and e-mails are as those of
// companies: what is common is common to one in twenty.
type population struct {
	*registry
	ids []uuid.UUID
}

// populate copies n customers in. Their indexes are made afterwards, at once: entering a million
// customers into the index of search terms one by one takes most of an import.
func populate(t *testing.T, n int) *population {
	t.Helper()
	t.Setenv("KEFU_DATABASE_URL", testkit.Durable(t, t.TempDir()))
	p := &population{registry: start(t), ids: make([]uuid.UUID, n)}
	owner, err := p.DB.Owner(t).Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Release()
	run := func(statements ...string) {
		t.Helper()
		for _, sql := range statements {
			if _, err := owner.Exec(t.Context(), sql); err != nil {
				t.Fatalf("%s: %v", sql, err)
			}
		}
	}
	run(`SET statement_timeout = 0`, `SET maintenance_work_mem = '1GB'`)
	rows, err := owner.Query(t.Context(), readLaterIndexes)
	if err != nil {
		t.Fatal(err)
	}
	later, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct{ Drop, Make string }])
	if err != nil {
		t.Fatal(err)
	}
	for _, index := range later {
		run(index.Drop)
	}
	run(`ALTER TABLE customers DISABLE TRIGGER USER`)
	began := time.Now()
	p.copyIn(t)
	copied := time.Since(began)
	run(`ALTER TABLE customers ENABLE TRIGGER USER`)
	for _, index := range later {
		run(index.Make)
	}
	run(`VACUUM ANALYZE customers`, `VACUUM ANALYZE customer_summaries`)
	t.Logf("%d customers copied in within %.0f s, indexed and counted in %.0f s", n, copied.Seconds(), (time.Since(began) - copied).Seconds())
	return p
}

// readLaterIndexes reads how to drop and to make the indexes that no constraint rests on, and the
// reference that would be checked row by row.
const readLaterIndexes = `
SELECT format('DROP INDEX %I', indexname), indexdef FROM pg_indexes
WHERE tablename IN ('customers', 'customer_summaries') AND indexname NOT IN (SELECT conname FROM pg_constraint)
UNION ALL
SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname),
  format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
FROM pg_constraint WHERE contype = 'f' AND conrelid = 'customer_summaries'::regclass`

// copyIn makes the customers and copies them in, in as many sessions as there are processors.
func (p *population) copyIn(t *testing.T) {
	t.Helper()
	const step = 10_000
	var working errgroup.Group
	working.SetLimit(runtime.NumCPU())
	for at := 0; at < len(p.ids); at += step {
		working.Go(func() error {
			rows := make([]db.NewCustomer, 0, step)
			for i := at; i < min(len(p.ids), at+step); i++ {
				row, err := p.citizen(i)
				if err != nil {
					return err
				}
				rows = append(rows, row)
				p.ids[i] = row.ID
			}
			return pgx.BeginFunc(t.Context(), p.Pool, func(tx pgx.Tx) error {
				if _, err := tx.Exec(t.Context(), `SET LOCAL statement_timeout = 0`); err != nil {
					return err
				}
				return db.CopyCustomers(t.Context(), tx, rows)
			})
		})
	}
	if err := working.Wait(); err != nil {
		t.Fatal(err)
	}
}

// citizen is the customer of a number.
func (p *population) citizen(i int) (db.NewCustomer, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return db.NewCustomer{}, err
	}
	now := p.Clock.Now()
	row := &db.Customer{
		ID: id, Number: fmt.Sprintf("C-202611-%07d", i+1), Name: nameOf(i), Kind: 1, Party: 1, Region: places[i%len(places)], Tags: []string{}, Lifecycle: 1,
		Tier: int16(1 + i%4), Status: 1, Language: "zh-CN", Phone: []byte{0}, PhoneIndex: p.Process.Keyring.Index("phone", "+86"+phoneOf(i)),
		PhoneLast4Index: p.Process.Keyring.Index("phone_last4", phoneOf(i)[7:]), Email: []byte{0}, EmailIndex: p.Process.Keyring.Index("email", emailOf(i)),
		Attributes: []byte("{}"), UpdateIntervalDays: 180, ReviewDueTime: now.AddDate(0, 6, 0), CreateTime: now, UpdateTime: now,
	}
	folded := customer.SearchText(row.Name, row.Region, row.Number)
	return db.NewCustomer{Customer: row, Folded: folded, Grams: customer.Terms(folded, int64(i+1)), Position: int64(i + 1)}, nil
}

func nameOf(i int) string {
	return fmt.Sprintf("%s%c%c%s有限公司 %s%d", places[i%len(places)], rune(0x4e00+i*7%5003), rune(0x6000+i*13%4001), trades[i/3%len(trades)], brands[i/7%len(brands)], i%9973)
}

func phoneOf(i int) string { return fmt.Sprintf("138%08d", i*7919%100_000_000) }

func emailOf(i int) string { return fmt.Sprintf("buyer%d@example.com", i) }

// TestBenchSearch measures what finding somebody among very many takes, beside reading one
// customer by id over the same wire, and that the planner never reads all of them; part of
// make bench.
func TestBenchSearch(t *testing.T) {
	p := populate(t, *searchRows)
	r := rand.New(rand.NewPCG(7, 11))
	one := func() int { return r.IntN(len(p.ids)) }
	// One person may not call so often.
	callers := make([]context.Context, 40)
	for i := range callers {
		callers[i] = p.AsPerson(fmt.Sprintf("searcher-%d", i), access.InformationAdministrator)
	}
	find := func(query func() string) func(context.Context) error {
		return func(context.Context) error {
			text := query()
			out, err := p.customers.ListCustomerSummaries(callers[r.IntN(len(callers))], &customerv1.ListCustomerSummariesRequest{Query: text, PageSize: 20})
			if err == nil && len(out.GetCustomerSummaries()) == 0 {
				err = fmt.Errorf("nobody is found by %q", text)
			}
			return err
		}
	}
	pick := func(of []string) func() string { return func() string { return of[r.IntN(len(of))] } }
	rare := func() string { n := []rune(nameOf(one())); return string(n[2:4]) }
	peer := p.AsService("service-ticket")
	floor := func(context.Context) error {
		_, err := p.customers.ResolveCustomer(peer, &customerv1.ResolveCustomerRequest{Id: p.ids[one()].String()})
		return err
	}
	cases := []struct {
		name string
		call func(context.Context) error
	}{
		{"two Chinese characters, one in twenty", find(pick(places))},
		{"two Chinese characters, few have them", find(rare)},
		{"one Chinese character", find(func() string { return string([]rune(nameOf(one()))[2:3]) })},
		{"part of a Latin word", find(func() string { b := pick(brands)(); return b[1:5] })},
		{"a whole number", find(func() string { return fmt.Sprintf("C-202611-%07d", one()+1) })},
		{"a whole phone", find(func() string { return phoneOf(one()) })},
		{"last four of a phone", find(func() string { return phoneOf(one())[7:] })},
		{"a whole e-mail", find(func() string { return emailOf(one()) })},
	}
	whole := p.wholeReads(t)
	for _, c := range cases {
		var ratios, tails, floors []float64
		for range searchPairs {
			read, search := tail(t, floor), tail(t, c.call)
			ratios, tails, floors = append(ratios, search/read), append(tails, search), append(floors, read)
		}
		t.Logf("%-40s p99 %6.2f ms, read by id %6.2f ms, ratio %.1f", c.name, median(tails), median(floors), median(ratios))
		if ratio := median(ratios); ratio > searchTarget {
			t.Errorf("%s: the median ratio of the p99 is %.1f, the target %d", c.name, ratio, searchTarget)
		}
	}
	if n := p.wholeReads(t) - whole; n != 0 {
		t.Errorf("the planner read a table of all customers from end to end %d times", n)
	}
}

// wholeReads counts how often the tables of all customers were read from end to end.
func (p *population) wholeReads(t *testing.T) (n int64) {
	t.Helper()
	if err := p.Pool.QueryRow(t.Context(), `SELECT sum(seq_scan)::bigint FROM pg_stat_user_tables WHERE relname IN ('customers', 'customer_summaries')`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// tail is the 99th percentile of calls one after another, in milliseconds.
func tail(t *testing.T, call func(context.Context) error) float64 {
	t.Helper()
	took := make([]time.Duration, searchCalls)
	for i := range took {
		began := time.Now()
		if err := call(t.Context()); err != nil {
			t.Fatal(err)
		}
		took[i] = time.Since(began)
	}
	slices.Sort(took)
	return took[len(took)*99/100].Seconds() * 1000
}

func median(of []float64) float64 {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[len(sorted)/2]
}
