package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kefu-suite/kefu/gateway/internal/browser"
)

// pause is how long somebody waits before they look again.
func pause() { time.Sleep(100 * time.Millisecond) }

// population makes customers of a region, by name: two of tier key, three of A, seven of C. All
// can be reached by mail, and all but one have agreed to surveys.
func population(t *testing.T, s *stack, region string) map[string]string {
	t.Helper()
	admin, crm := as(t, s, role("information-administrator")...), as(t, s, role("crm-specialist")...)
	ids := map[string]string{}
	for name, tier := range map[string]string{
		"k1": "TIER_KEY", "k2": "TIER_KEY", "a1": "TIER_A", "a2": "TIER_A", "a3": "TIER_A",
		"c1": "", "c2": "", "c3": "", "c4": "", "c5": "", "c6": "", "silent": "",
	} {
		language := "zh-CN"
		if name == "k2" {
			language = "en"
		}
		id := admin.post("/v1/customers", object{
			"name": name + " " + region, "kind": "CUSTOMER_KIND_DIRECT_USER", "party": "PARTY_ORGANISATION", "region": region,
			"email": name + "@" + region + ".example", "language": language,
		}).text("id")
		if ids[name] = id; tier != "" {
			admin.post("/v1/customers/"+id+":setTier", object{"tier": tier, "reason": "contract", "endTime": "2027-09-01T00:00:00Z"})
		}
		if name != "silent" {
			consents(crm, id, true)
		}
	}
	return ids
}

func consents(crm *caller, customer string, granted bool) {
	crm.t.Helper()
	crm.post("/v1/customers/"+customer+":setConsent", object{
		"purpose": "CONSENT_PURPOSE_SURVEYS", "granted": granted, "channel": "CHANNEL_PHONE", "wordingVersion": "v1"})
}

// TestACampaign walks from a segment over a sample by tiers, who is held back and why, answers on
// the page in both languages and a reminder to the end, on a clock of its own.
func TestACampaign(t *testing.T) {
	s := startTimed(t, "2027-03-01 09:00")
	region := strings.ToLower(unique("region"))
	ids := population(t, s.stack, region)
	crm := as(t, s.stack, role("crm-specialist")...)
	consents(crm, ids["c1"], false)
	segment := crm.post("/v1/segments", object{"name": region, "purpose": "half-yearly survey", "condition": object{
		"text": object{"field": "SEGMENT_TEXT_REGION", "values": []string{region}}}}).text("id")
	// c2 was just asked by hand, which uses the budget up.
	crm.post("/v1/invitations", object{"questionnaireId": pageSurvey(t, s.stack), "customerId": ids["c2"]})
	a := newAsking(t, s.stack, object{
		"segmentId": segment, "startTime": moment(t, "2027-03-01 09:00").Format(time.RFC3339), "interval": "CAMPAIGN_INTERVAL_ONCE",
		"channels": []string{"SURVEY_CHANNEL_EMAIL"}, "reminderDays": []int{7}, "answerDays": 30,
		"sampling": object{"seed": "20270301", "stratified": object{"sizes": []object{
			{"tier": "TIER_KEY", "size": 2}, {"tier": "TIER_A", "size": 2}, {"tier": "TIER_C", "size": 7}}}},
	})
	p := a.reaches("11 8 3 0 0")
	if p.text("counts", "audience") != "12" || p.text("messages", "left") != "8" || p.text("driver") != "log" {
		t.Errorf("progress %v", p)
	}
	var tiers []string
	for _, tier := range p.list("tiers") {
		tiers = append(tiers, tier.text("tier")+" "+counted(tier.object("counts")))
	}
	slices.Sort(tiers)
	if want := []string{"TIER_A 2 2 0 0 0", "TIER_C 7 4 3 0 0", "TIER_KEY 2 2 0 0 0"}; !slices.Equal(tiers, want) {
		t.Errorf("by tier %q, want %q", tiers, want)
	}
	members := a.members()
	for name, want := range map[string]string{"c1": "HELD_BACK_WITHDRAWN", "c2": "HELD_BACK_BUDGET_USED", "silent": "HELD_BACK_NO_CONSENT"} {
		if m := members[ids[name]]; m.text("state") != "MEMBER_STATE_HELD_BACK" || m.text("heldBack") != want {
			t.Errorf("%s is %v, want %s", name, m, want)
		}
	}
	a.answeredBy(members[ids["k1"]], members[ids["k2"]])
	// c3 withdraws after the invitation, c4 never answers.
	withdrawn, open := a.link(members[ids["c3"]]), a.link(members[ids["c4"]])
	consents(crm, ids["c3"], false)
	eventually(t, "the end of the invitation", func() bool {
		return crm.get("/v1/invitations/"+members[ids["c3"]].text("invitationId")).text("state") == "INVITATION_STATE_REVOKED"
	})
	pageSays(t, s.stack, withdrawn, http.StatusGone, "无需作答", "No answer is needed")
	pageSays(t, s.stack, strings.Repeat("A", 32), http.StatusNotFound, "此链接无效", "This link does not work")
	a.uncovered(ids)

	// A week later those are reminded who neither answered nor withdrew.
	s.move(t, "2027-03-08 09:01")
	a.reaches("11 8 3 2 5")
	if code, body := page(t, s.stack, open, "?lang=en"); code != http.StatusOK || !strings.Contains(body, "How satisfied are you overall?") {
		t.Errorf("after a week the link gives %d %s", code, body)
	}
	s.move(t, "2027-04-01 09:00")
	pageSays(t, s.stack, open, http.StatusGone, "本次调查已结束", "This survey has ended")
	eventually(t, "the end of the campaign", func() bool {
		return crm.get("/v1/campaigns/"+a.id).text("state") == "CAMPAIGN_STATE_FINISHED"
	})
	last := a.reaches("11 8 3 2 5")
	for _, tier := range last.list("tiers") {
		if want := map[string]float64{"TIER_KEY": 1}[tier.text("tier")]; tier.number("answeredShare") != want {
			t.Errorf("of tier %s are %v of those who answered, want %v", tier.text("tier"), tier.number("answeredShare"), want)
		}
	}
}

// answeredBy lets two members answer on the page, and tries to answer for them again.
func (a *asking) answeredBy(chinese, english object) {
	t := a.t
	t.Helper()
	first, second := a.link(chinese), a.link(english)
	a.answered("campaign-zh", first, "服务与产品满意度调查", "感谢您的参与！", browser.Phone)
	a.answered("campaign-en", second, "How was our service?", "Thank you!", browser.Desktop, browser.WithoutScript)
	as(t, a.s).refused(http.StatusBadRequest, "INVITATION_ANSWERED", "POST", "/v1/answers/"+first, object{
		"responses": []object{{"questionKey": "overall", "score": 1}}})
	pageSays(t, a.s, second, http.StatusGone, "您已作答", "You have already answered")
	given := map[string]bool{}
	for _, answer := range a.crm.get("/v1/questionnaires/" + a.questionnaire + "/answers").list("answers") {
		given[answer.text("invitationId")] = true
		for _, r := range answer.list("responses") {
			if r.text("questionKey") == "overall" && r.number("score") != 5 {
				t.Errorf("kept %v", answer)
			}
		}
	}
	if len(given) != 2 || !given[chinese.text("invitationId")] || !given[english.text("invitationId")] {
		t.Errorf("answers to %v", given)
	}
	a.reaches("11 8 3 2 0")
}

// uncovered checks whom no survey asked: two held back and one who was not drawn.
func (a *asking) uncovered(ids map[string]string) {
	a.t.Helper()
	var got []string
	for _, c := range a.crm.get("/v1/campaigns/" + a.id + "/uncovered").list("customers") {
		for name, id := range ids {
			if id == c.text("customerId") {
				got = append(got, name)
			}
		}
	}
	if slices.Sort(got); len(got) != 3 || got[1] != "c1" || got[2] != "silent" || !strings.HasPrefix(got[0], "a") {
		a.t.Errorf("not asked: %q", got)
	}
}
