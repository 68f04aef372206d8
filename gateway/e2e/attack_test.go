package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"github.com/kefu-suite/kefu/runtime/discovery"
)

// What must not be found where it does not belong. The stored values are of a customer, the
// sent ones of requests that are refused.
var canaries = struct{ name, phone, email, street, sentPhone, sentEmail string }{
	"金丝雀甲", "13911112222", "canary-stored@canary.example", "金丝雀路1987号", "13933334444", "canary-sent@canary.example",
}

// attack is one way to get at what is not the caller's. Each is made over REST, over gRPC, or
// over both, and must be refused exactly as said, with nothing changed.
type attack struct {
	name       string
	rest, rpcs func(a *attacker)
}

// attacker is somebody outside with the addresses of a stack, and some accounts of theirs.
type attacker struct {
	t     *testing.T
	s     *stack
	url   string
	conns map[string]*grpc.ClientConn
	// ids stand for $NAME in the requests of attacks.
	ids *strings.Replacer
	// said is everything that the suite answered.
	said bytes.Buffer
}

// TestAttacks runs all of them against a stack of its own, so that whatever changes is the
// attack's doing.
func TestAttacks(t *testing.T) {
	traces := collectTraces(t)
	s, err := start(suite.bin, filepath.Join(t.TempDir(), "stack"))
	if err != nil {
		t.Fatal(err)
	}
	stopped := false
	defer func() {
		if !stopped {
			_ = s.stop()
		}
	}()
	w := prepare(t, s)
	a := &attacker{t: t, s: s, url: as(t, s).url, conns: dialAll(t, s), ids: w}
	tables := openTables(t, s)
	tables.settle(t)
	all := attacks()
	over := map[string]int{}
	for i, attack := range all {
		t.Run(fmt.Sprintf("%02d %s", i+1, attack.name), func(t *testing.T) {
			a.t = t
			for way, run := range map[string]func(*attacker){"REST": attack.rest, "gRPC": attack.rpcs} {
				if run != nil {
					over[way]++
					run(a)
				}
			}
			tables.unchanged(t)
		})
	}
	a.t = t
	t.Logf("%d attacks, %d over REST and %d over gRPC", len(all), over["REST"], over["gRPC"])
	if len(all) < 60 {
		t.Errorf("only %d attacks", len(all))
	}
	tables.hold(t)
	checkEtcd(t, s)
	if bad := canaryIn(a.said.Bytes(), canaries.phone, canaries.email, canaries.street, canaries.name); bad != "" {
		t.Errorf("an answer holds what is the customer's: %s", bad)
	}
	stopped = true
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	checkLogs(t, s)
	traces.check(t)
}

// attacks are all of them; their numbers are their places. Those that use up the rates of
// everybody come last.
func attacks() []attack {
	var all []attack
	for _, part := range [][]attack{tokenAttacks(), rightAttacks(), inputAttacks(), surfaceAttacks(), shapeAttacks(), wireAttacks(), floodAttacks()} {
		all = append(all, part...)
	}
	return all
}

// prepare makes the people and things that are attacked, and gives their ids by name.
func prepare(t *testing.T, s *stack) *strings.Replacer {
	t.Helper()
	admin, crm, manager := as(t, s, role("information-administrator")...), as(t, s, role("crm-specialist")...), as(t, s, role("service-manager")...)
	department := func(code string) string {
		return admin.post("/v1/departments", object{"code": code, "name": object{"zh": code, "en": code}, "function": "DEPARTMENT_FUNCTION_AFTER_SALES"}).text("id")
	}
	person := func(department, post string) string {
		return admin.post("/v1/staff", object{"name": "李雷", "departmentId": department, "posts": []string{post}}).text("id")
	}
	ours, theirs := department("ours"), department("theirs")
	agent, other, seller := person(ours, "POST_SERVICE_AGENT"), person(theirs, "POST_SERVICE_AGENT"), person(theirs, "POST_SALESPERSON")
	customer := func(name, phone, email, owner string) string {
		return crm.post("/v1/customers", object{"name": name, "kind": "CUSTOMER_KIND_DIRECT_USER", "party": "PARTY_PERSON",
			"phone": phone, "email": email, "ownerStaffId": owner, "address": object{"street": canaries.street, "countryCode": "CN"}}).text("id")
	}
	victim, me := customer(canaries.name, canaries.phone, canaries.email, seller), customer("攻击者", "13955556666", "me@attack.example", "")
	admin.post("/v1/customers/"+victim+":setTier", object{"tier": "TIER_KEY", "reason": "strategic", "endTime": "2100-01-01T00:00:00Z"})
	open := func(body object) string {
		return manager.do("POST", "/v1/tickets", body, "Idempotency-Key", "attack-"+body.text("title")).text("id")
	}
	ticket := open(object{"customerId": victim, "channel": "CHANNEL_PHONE", "title": "worked", "reporter": object{"name": canaries.name, "phone": canaries.phone}})
	manager.post("/v1/tickets/"+ticket+":assign", object{"staffId": agent})
	fresh := open(object{"customerId": victim, "channel": "CHANNEL_PHONE", "title": "fresh"})
	complaint := manager.post("/v1/complaints", object{"customerId": victim, "channel": "CHANNEL_PHONE", "title": "x"}).text("id")
	salesperson := as(t, s, staff("salesperson", seller)...)
	eventually(t, "the salesperson's access request", func() bool {
		return salesperson.try("POST", "/v1/accessRequests", object{"customerIds": []string{victim}, "purpose": "a visit"}, "Idempotency-Key", "ask").code == 200
	})
	request := salesperson.do("POST", "/v1/accessRequests", object{"customerIds": []string{victim}, "purpose": "a visit"}, "Idempotency-Key", "ask").text("id")
	return strings.NewReplacer(append(openDoors(t, s, me), "$VICTIM", victim, "$ME", me, "$TICKET", ticket, "$FRESH", fresh, "$COMPLAINT", complaint,
		"$REQUEST", request, "$AGENT", agent, "$OTHER", other, "$SELLER", seller, "$NOBODY", nobodysID)...)
}

// tables are the databases of a stack, for what a refused request must not touch.
type tables struct {
	conns map[string]*pgx.Conn
	last  map[string]string
}

func openTables(t *testing.T, s *stack) *tables {
	t.Helper()
	all := &tables{conns: map[string]*pgx.Conn{}}
	for name := range served {
		environ, err := os.ReadFile(filepath.Join(s.dir, "keys", name+".env"))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(environ)) {
			if url, ok := strings.CutPrefix(strings.TrimSpace(line), "KEFU_DATABASE_URL="); ok {
				conn, err := pgx.Connect(t.Context(), url)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = conn.Close(context.Background()) })
				all.conns[name] = conn
			}
		}
	}
	if len(all.conns) != len(served) {
		t.Fatalf("%d databases of %d services are known", len(all.conns), len(served))
	}
	return all
}

// digest gives a hash of each table. The trail is left out: that somebody was refused may
// stand there; and so is what the machinery of jobs notes of itself, and the quality of files,
// which is judged behind all calls.
func (x *tables) digest(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for service, conn := range x.conns {
		names := tableNames(t, conn, "c.relname !~ '^(audit_|river_leader|river_queue|river_client|customer_quality)|_goose$'")
		batch := new(pgx.Batch)
		for _, name := range names {
			batch.Queue("SELECT md5(string_agg(md5(t::text), '' ORDER BY md5(t::text))) FROM " + pgx.Identifier{name}.Sanitize() + " AS t").
				QueryRow(func(row pgx.Row) error {
					var sum *string
					if err := row.Scan(&sum); err != nil || sum == nil {
						return err
					}
					out[service+"."+name] = *sum
					return nil
				})
		}
		if err := conn.SendBatch(t.Context(), batch).Close(); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func tableNames(t *testing.T, conn *pgx.Conn, which string) []string {
	t.Helper()
	rows, err := conn.Query(t.Context(), `
SELECT c.relname FROM pg_class AS c WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace
  AND has_table_privilege(c.oid, 'SELECT') AND `+which+` ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// settle waits until what the preparation caused has happened.
func (x *tables) settle(t *testing.T) {
	t.Helper()
	quiet := 0
	eventually(t, "quiet in the databases", func() bool {
		now := x.digest(t)
		if x.last == nil || difference(x.last, now) != "" {
			quiet = 0
		}
		x.last = now
		quiet++
		time.Sleep(150 * time.Millisecond)
		return quiet > 8
	})
}

func difference(before, after map[string]string) string {
	var names []string
	for name, sum := range after {
		if before[name] != sum {
			names = append(names, name)
		}
	}
	for name := range before {
		if _, ok := after[name]; !ok {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

func (x *tables) unchanged(t *testing.T) {
	t.Helper()
	now := x.digest(t)
	if changed := difference(x.last, now); changed != "" {
		t.Errorf("it changed %s", changed)
	}
	x.last = now
}

// hold checks that no table holds contact data in the clear, and that events, jobs, outcomes
// and the trail hold no name either.
func (x *tables) hold(t *testing.T) {
	t.Helper()
	for service, conn := range x.conns {
		for _, name := range tableNames(t, conn, "true") {
			secrets := []string{canaries.phone, canaries.email, canaries.street, canaries.sentPhone, canaries.sentEmail}
			for _, prefix := range []string{"event_", "audit_", "river_", "idempotency_"} {
				if strings.HasPrefix(name, prefix) {
					secrets = append(secrets, canaries.name)
				}
			}
			for _, secret := range secrets {
				var n int
				// In bytea a text stands as hexadecimal digits.
				err := conn.QueryRow(t.Context(), "SELECT count(*) FROM "+pgx.Identifier{name}.Sanitize()+
					" AS t WHERE t::text LIKE '%' || $1 || '%' OR t::text LIKE '%' || encode(convert_to($1, 'UTF8'), 'hex') || '%'", secret).Scan(&n)
				if err != nil {
					t.Fatal(err)
				}
				if n > 0 {
					t.Errorf("%s.%s holds %q in %d rows", service, name, secret, n)
				}
			}
		}
	}
}

// canaryIn gives the first of the texts that stands in content, with what is around it.
func canaryIn(content []byte, secrets ...string) string {
	for _, secret := range secrets {
		if i := bytes.Index(content, []byte(secret)); i >= 0 {
			return fmt.Sprintf("%q in %q", secret, content[max(0, i-200):min(len(content), i+100)])
		}
	}
	return ""
}

func everyCanary() []string {
	return []string{canaries.name, canaries.phone, canaries.email, canaries.street, canaries.sentPhone, canaries.sentEmail}
}

// checkLogs: no log holds a canary, or a token.
func checkLogs(t *testing.T, s *stack) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(s.dir, "logs", "*.log"))
	if err != nil || len(files) < 5 {
		t.Fatalf("%d logs, %v", len(files), err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if bad := canaryIn(content, append(everyCanary(), "eyJhbGciOi")...); bad != "" {
			t.Errorf("%s holds %s", filepath.Base(file), bad)
		}
	}
}

// checkEtcd: neither keys nor values say anything but who is where.
func checkEtcd(t *testing.T, s *stack) {
	t.Helper()
	st, err := s.state()
	if err != nil {
		t.Fatal(err)
	}
	client, err := discovery.Dial(strings.Split(st.Etcd, ","), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	all, err := client.Get(ctx, "", clientv3.WithPrefix())
	if err != nil || len(all.Kvs) < len(served) {
		t.Fatalf("etcd: %v, %v", all, err)
	}
	for _, kv := range all.Kvs {
		if bad := canaryIn(append(kv.Key, kv.Value...), everyCanary()...); bad != "" {
			t.Errorf("etcd holds %s", bad)
		}
	}
}
