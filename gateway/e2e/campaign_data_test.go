//go:build testdata

package e2e

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kefu-suite/kefu/gateway/internal/browser"
)

// olistTable reads one of the shop's files, a map a line.
func olistTable(t *testing.T, name string) (rows []map[string]string) {
	t.Helper()
	f, err := os.Open(filepath.Join(os.Getenv("KEFU_TEST_DATA_DIR"), "olist", name))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // only read
	all, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range all[1:] {
		row := map[string]string{}
		for i, head := range all[0] {
			row[strings.TrimPrefix(head, "\ufeff")] = line[i]
		}
		rows = append(rows, row)
	}
	return rows
}

// reais is an amount as the API has it.
func reais(amount *big.Rat) object {
	cents := new(big.Rat).Mul(amount, big.NewRat(100, 1))
	whole := new(big.Int).Quo(cents.Num(), cents.Denom()).Int64()
	return object{"currencyCode": "BRL", "units": fmt.Sprint(whole / 100), "nanos": whole % 100 * 10_000_000}
}

// olistPurchases are the shop's orders with the persons who placed them, in the order in which
// the persons first appear.
func olistPurchases(t *testing.T) (persons []string, records []object) {
	t.Helper()
	person, sums, seen := map[string]string{}, map[string]*big.Rat{}, map[string]bool{}
	for _, row := range olistTable(t, "customers.csv") {
		person[row["customer_id"]] = row["customer_unique_id"]
	}
	for _, row := range olistTable(t, "order_items.csv") {
		for _, column := range []string{"price", "freight_value"} {
			part, ok := new(big.Rat).SetString(row[column])
			if !ok {
				t.Fatalf("%s is %q", column, row[column])
			}
			if sums[row["order_id"]] == nil {
				sums[row["order_id"]] = new(big.Rat)
			}
			sums[row["order_id"]].Add(sums[row["order_id"]], part)
		}
	}
	for _, row := range olistTable(t, "orders.csv") {
		who := person[row["customer_id"]]
		if !seen[who] {
			seen[who] = true
			persons = append(persons, who)
		}
		order := object{"orderNumber": row["order_id"], "orderTime": strings.Replace(row["order_purchase_timestamp"], " ", "T", 1) + "Z"}
		if sum := sums[row["order_id"]]; sum != nil {
			order["amount"], order["cost"] = reais(sum), reais(new(big.Rat).Mul(sum, big.NewRat(int64(50+len(persons)%40), 100)))
			order["lines"] = []object{{"productModel": "goods", "quantity": 1}}
		}
		records = append(records, object{"customerExternalId": who, "order": order})
	}
	return persons, records
}

// tiered sorts the shop's customers into tiers by what they bought, and gives how many each has.
func tiered(t *testing.T, s *stack, records []object) map[string]string {
	t.Helper()
	admin, crm, sales := as(t, s, role("information-administrator")...), as(t, s, role("crm-specialist")...), as(t, s, role("sales-manager")...)
	for part := range slices.Chunk(records, 500) {
		for _, made := range admin.post("/v1/purchases:import", object{"source": "olist", "historic": true, "records": part}).list("results") {
			if made.text("outcome") != "IMPORT_OUTCOME_CREATED" {
				t.Fatalf("order %v", made)
			}
		}
	}
	model := crm.post("/v1/tierModels", object{"weights": object{"scale": 0.35, "length": 0.15, "profit": 0.3, "growth": 0.2},
		"limits": object{"key": 85, "a": 70, "b": 40}, "currencyCode": "BRL"}).text("id")
	sales.post("/v1/tierModels/"+model+":publish", object{})
	run := crm.post("/v1/tierRuns", object{"tierModelId": model}).text("id")
	reaches := func(state string) (last object) {
		for deadline := time.Now().Add(3 * time.Minute); ; pause() {
			if last = crm.get("/v1/tierRuns/" + run); last.text("state") == state {
				return last
			}
			if time.Now().After(deadline) {
				t.Fatalf("the run does not get to %s: %v", state, last)
			}
		}
	}
	reaches("TIER_RUN_STATE_PREVIEW")
	sales.post("/v1/tierRuns/"+run+":apply", object{})
	out := map[string]string{}
	for _, tier := range reaches("TIER_RUN_STATE_APPLIED").list("tiers") {
		out[tier.text("tier")] = tier.text("after")
	}
	return out
}

// shares parts a total as the audience is, by largest remainders with one for each at least.
func shares(total int64, audience map[string]string) map[string]int64 {
	type part struct {
		tier      string
		n         int64
		remainder int64
	}
	var parts []part
	all, given := int64(0), int64(0)
	sizes := map[string]int64{}
	for tier, text := range audience {
		var n int64
		_, _ = fmt.Sscan(text, &n) // 0 without anybody
		sizes[tier] = n
		all += n
	}
	for tier, n := range sizes {
		if n == 0 {
			continue
		}
		p := part{tier, total * n / all, total * n % all}
		if p.n == 0 { // raised to the one that each gets
			p.n, p.remainder = 1, -1
		}
		given += p.n
		parts = append(parts, p)
	}
	slices.SortFunc(parts, func(a, b part) int { return cmp.Compare(b.remainder, a.remainder) })
	for i := 0; given < total; i++ {
		parts[i].n++
		given++
	}
	out := map[string]int64{}
	for _, p := range parts {
		out[p.tier] = p.n
	}
	return out
}

// TestDataOlistCampaign: the shop's customers are sorted into tiers by what they bought; a sample
// of all tiers is asked, reminded, and answers on the page in both languages.
func TestDataOlistCampaign(t *testing.T) {
	const total, consented = 800, 3
	s := startTimed(t, "2018-11-01 09:00")
	persons, records := olistPurchases(t)
	ids := imported(t, s.stack, "olist", "Brasil", persons)
	audience := tiered(t, s.stack, records)
	agreed := map[string]bool{}
	var some []string
	for i, person := range persons {
		if i%consented == 0 {
			agreed[ids[person]] = true
			some = append(some, ids[person])
		}
	}
	consenting(t, s.stack, some)
	crm := as(t, s.stack, role("crm-specialist")...)
	segment := crm.post("/v1/segments", object{"name": "olist", "condition": object{"text": object{"field": "SEGMENT_TEXT_REGION", "values": []string{"Brasil"}}}}).text("id")
	content := func() object {
		return object{"segmentId": segment, "startTime": moment(t, "2018-11-01 09:00").Format(time.RFC3339), "interval": "CAMPAIGN_INTERVAL_ONCE",
			"channels": []string{"SURVEY_CHANNEL_EMAIL"}, "reminderDays": []int{7}, "sampling": object{"seed": "8016", "stratified": object{"total": total}}}
	}
	a := newAsking(t, s.stack, content())
	drawn, asked := a.sampled(total, len(persons), agreed, audience)

	// The same seed draws the same customers, whom the budget now protects.
	again := newAsking(t, s.stack, content())
	p := again.reaches(fmt.Sprintf("%d 0 %d 0 0", total, total))
	for id, m := range again.members() {
		if in := m.text("state") != "MEMBER_STATE_NOT_SAMPLED"; in != drawn[id] {
			t.Errorf("customer %s: drawn %v, then %v", id, drawn[id], in)
		}
	}
	reasons := map[string]string{}
	for _, reason := range p.list("heldBack") {
		reasons[reason.text("reason")] = reason.text("count")
	}
	if reasons["HELD_BACK_BUDGET_USED"] != fmt.Sprint(len(asked)) || reasons["HELD_BACK_NO_CONSENT"] != fmt.Sprint(total-len(asked)) {
		t.Errorf("held back %v, want %d asked lately", reasons, len(asked))
	}

	// Every other customer's language is English.
	slices.SortStableFunc(asked, func(a, b object) int { return cmp.Compare(language(persons, ids, a), language(persons, ids, b)) })
	slices.Reverse(asked)
	a.answered("olist-zh", a.link(asked[0]), "服务与产品满意度调查", "感谢您的参与！", browser.Phone)
	english := a.link(asked[len(asked)-1])
	a.answered("olist-en", english, "How was our service?", "Thank you!", browser.Desktop, browser.WithoutScript)
	pageSays(t, s.stack, english, http.StatusGone, "您已作答", "You have already answered")
	late := a.link(asked[2])
	a.reaches(fmt.Sprintf("%d %d %d 2 0", total, len(asked), total-len(asked)))
	s.move(t, "2018-11-08 09:01")
	a.reaches(fmt.Sprintf("%d %d %d 2 %d", total, len(asked), total-len(asked), len(asked)-2))
	s.move(t, "2018-12-02 09:00")
	pageSays(t, s.stack, late, http.StatusGone, "本次调查已结束", "This survey has ended")
}

// language is that of a member, as imported gives it.
func language(persons []string, ids map[string]string, member object) string {
	return languages[slices.IndexFunc(persons, func(p string) bool { return ids[p] == member.text("customerId") })%2]
}

// sampled checks who was drawn and asked.
func (a *asking) sampled(total, persons int, agreed map[string]bool, audience map[string]string) (drawn map[string]bool, asked []object) {
	t := a.t
	t.Helper()
	waited := time.Now()
	for a.crm.try("GET", "/v1/campaigns/"+a.id+"/progress", nil).body.text("closeTime") == "" {
		if pause(); time.Since(waited) > 3*time.Minute {
			t.Fatalf("the asking does not end: %v", a.progress())
		}
	}
	drawn, members := map[string]bool{}, a.members()
	if len(members) != persons {
		t.Errorf("%d members, want %d", len(members), persons)
	}
	for id, m := range members {
		drawn[id] = m.text("state") != "MEMBER_STATE_NOT_SAMPLED"
		switch {
		case !drawn[id]:
		case agreed[id] && m.text("state") == "MEMBER_STATE_ASKED":
			asked = append(asked, m)
		case !agreed[id] && m.text("state") == "MEMBER_STATE_HELD_BACK" && m.text("heldBack") == "HELD_BACK_NO_CONSENT":
		default:
			t.Errorf("agreed %v, is %v", agreed[id], m)
		}
	}
	slices.SortFunc(asked, func(a, b object) int { return cmp.Compare(a.text("customerId"), b.text("customerId")) })
	p := a.reaches(fmt.Sprintf("%d %d %d 0 0", total, len(asked), total-len(asked)))
	if len(asked) < total/8 {
		t.Fatalf("%d of %d are asked", len(asked), total)
	}
	want := shares(int64(total), audience)
	for _, tier := range p.list("tiers") {
		name, counts := tier.text("tier"), tier.object("counts")
		if counts.text("audience") != audience[name] || counts.text("sampled") != fmt.Sprint(want[name]) {
			t.Errorf("of tier %s %s of %s are drawn, want %d of %s", name, counts.text("sampled"), counts.text("audience"), want[name], audience[name])
		}
	}
	t.Logf("audience %v, drawn %v, asked %d", audience, want, len(asked))
	return drawn, asked
}
