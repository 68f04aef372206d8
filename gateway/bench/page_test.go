//go:build bench

package bench

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/kefu-suite/kefu/runtime/testkit/measure"
)

const (
	// answersAMinute is the load under which the page is measured, and REST creates beside it.
	answersAMinute = 2000
	// mostPage bounds the processor time of one answer on the page, in REST creates.
	mostPage  = 3.0
	pageSlice = 3 * time.Second
	pageRound = 5
	// linked is how many invitations are seeded: more than are answered, and enough others
	// that finding one by its link is no walk through all.
	linked = 100_000
	// ticketSurvey is the questionnaire that a new installation sends for resolved tickets.
	ticketSurvey = "01900000-0000-7000-8000-000000000001"
)

const seedInvitations = `
INSERT INTO invitations (id, questionnaire_id, questionnaire_version, customer_id, state, round, language, expire_time, link_hash,
  create_actor, create_time, version)
SELECT ('01890000-0003-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, $1, 1,
  ('01890000-0001-7000-8000-' || lpad(to_hex(n % $2::int), 12, '0'))::uuid, 1, 1, 'zh-CN', now() + interval '30 days', sha256(int4send(n)),
  'bench', now(), 1
FROM generate_series(0, $3::int - 1) AS n`

// TestBenchPage holds an answer on the page (opening the link, the style sheet, sending the
// form) against a REST create, both at the rate of 2,000 answers a minute and less what the
// idle suite uses.
func TestBenchPage(t *testing.T) {
	s := startStack(t, chosen.bin)
	w := newWorld(t, s)
	b := &bench{stack: s, world: w, pools: s.pools(t)}
	run(t, b.pools["service-ticket"], seedRefs, known)
	tokens := s.seedLinks(t, b.pools["survey"])
	client, err := newClient(s.rest)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.conn.Close() }()
	create := w.create()
	var answered atomic.Int64
	ways := []struct {
		name string
		call func(context.Context) error
	}{
		{"idle", func(context.Context) error { return nil }},
		{"REST create", func(context.Context) error {
			verb, target, body := create.rest()
			return client.call(w.manager, verb, target, body)
		}},
		{"answer on the page", func(ctx context.Context) error {
			return s.answerOnPage(ctx, tokens[answered.Add(1)-1])
		}},
	}
	used := make([][]time.Duration, len(ways))
	for round := range pageRound {
		for turn := range ways {
			n := (round + turn) % len(ways)
			before, err := s.usage()
			if err != nil {
				t.Fatal(err)
			}
			times, _, err := measure.Drive(t.Context(), []func(context.Context) error{paced(ways[n].call)}, pageSlice)
			if err != nil {
				t.Fatalf("%s: %v", ways[n].name, err)
			}
			b.settle(t, create)
			after, err := s.usage()
			if err != nil {
				t.Fatal(err)
			}
			sum := time.Duration(0)
			for _, d := range after.minus(before) {
				sum += d
			}
			used[n] = append(used[n], sum/time.Duration(len(times)))
		}
	}
	if kept := b.count(t, `SELECT count(*) FROM answers WHERE invitation_id IS NOT NULL`); kept != answered.Load() {
		t.Errorf("%d answers are kept of %d", kept, answered.Load())
	}
	reportPage(t, used)
}

// reportPage prints the medians and holds them against the target.
func reportPage(t *testing.T, used [][]time.Duration) {
	t.Helper()
	var creates, answers []time.Duration
	var ratios []float64
	for round := range used[0] {
		c, a := used[1][round]-used[0][round], used[2][round]-used[0][round]
		creates, answers, ratios = append(creates, c), append(answers, a), append(ratios, float64(a)/float64(c))
	}
	ratio := measure.Quantile(ratios, .5)
	fmt.Print(measure.Table("CPU ms at 2,000 a minute, less idle|REST create|answer on the page|page/create|wanted|", func(row func(...any)) {
		row("median", measure.Ms(measure.Quantile(creates, .5)), measure.Ms(measure.Quantile(answers, .5)), fmt.Sprintf("%.2f", ratio),
			fmt.Sprint("≤ ", mostPage), map[bool]string{true: "met", false: "MISSED"}[ratio <= mostPage])
	}))
}

func (b *bench) count(t *testing.T, sql string) (n int64) {
	t.Helper()
	if err := b.pools["survey"].QueryRow(t.Context(), sql).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// paced lets a call begin at the rate of the load.
func paced(call func(context.Context) error) func(context.Context) error {
	next := time.Now()
	return func(ctx context.Context) error {
		time.Sleep(time.Until(next))
		next = next.Add(time.Minute / answersAMinute)
		return call(ctx)
	}
}

// seedLinks makes invitations and gives the links of some of them.
func (s *stack) seedLinks(t *testing.T, pool *pgxpool.Pool) []string {
	t.Helper()
	run(t, pool, seedRefs, known)
	run(t, pool, seedInvitations, ticketSurvey, known, linked)
	// As the service derives it.
	key := s.keyring(t, "survey", pool).Derive("survey-link")
	tokens := make([]string, int(pageSlice/time.Second+2)*pageRound*answersAMinute/60)
	batch := new(pgx.Batch)
	for n := range tokens {
		tokens[n] = fmt.Sprintf("bench-%026d", n)
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(tokens[n]))
		batch.Queue(`UPDATE invitations SET link_hash = $2 WHERE id = $1`, seededID(3, n), mac.Sum(nil))
	}
	if err := pool.SendBatch(t.Context(), batch).Close(); err != nil {
		t.Fatal(err)
	}
	run(t, pool, `VACUUM ANALYZE invitations`)
	return tokens
}

// answerOnPage does what a customer's browser does.
func (s *stack) answerOnPage(ctx context.Context, token string) error {
	at := "http://" + s.rest + "/s/" + token
	if err := s.browse(ctx, http.MethodGet, at, nil, "score.overall"); err != nil {
		return err
	}
	if err := s.browse(ctx, http.MethodGet, "http://"+s.rest+"/s/page.css", nil, "--main"); err != nil {
		return err
	}
	form := url.Values{"go": {"submit"}, "lang": {"zh-CN"}, "page": {""}, "once": {uuid.NewString()},
		"q":             {"score.overall", "score.speed", "score.attitude", "score.recommend", "text.comment"},
		"score.overall": {"4"}, "score.speed": {"5"}, "score.attitude": {"5"}, "score.recommend": {"9"}, "text.comment": {"很满意，师傅来得很快。"}}
	return s.browse(ctx, http.MethodPost, at, []byte(form.Encode()), "感谢您的参与")
}

// browse makes one request, whose page must hold some words.
func (s *stack) browse(ctx context.Context, verb, at string, form []byte, words string) error {
	req, err := http.NewRequestWithContext(ctx, verb, at, bytes.NewReader(form))
	if err != nil {
		return err
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	page, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK || !bytes.Contains(page, []byte(words)) {
		return fmt.Errorf("%s of the page: %d %s", verb, res.StatusCode, page)
	}
	return nil
}
