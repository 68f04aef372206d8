package e2e

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/kefu-suite/kefu/gateway/internal/browser"
)

// asking is a campaign on a running stack.
type asking struct {
	t             *testing.T
	s             *stack
	crm           *caller
	id            string
	questionnaire string
}

// newAsking makes a campaign of what a test says of it, and starts it.
func newAsking(t *testing.T, s *stack, content object) *asking {
	t.Helper()
	a := &asking{t: t, s: s, crm: as(t, s, role("crm-specialist")...), questionnaire: pageSurvey(t, s)}
	content["name"], content["questionnaireId"] = unique("campaign"), a.questionnaire
	a.id = a.crm.post("/v1/campaigns", content).text("id")
	a.crm.post("/v1/campaigns/"+a.id+":schedule", object{})
	return a
}

func (a *asking) progress() object {
	a.t.Helper()
	return a.crm.get("/v1/campaigns/" + a.id + "/progress")
}

// counted gives counts as "sampled asked held back answered reminders".
func counted(of object) string {
	return fmt.Sprint(of.text("sampled"), " ", of.text("asked"), " ", of.text("heldBack"), " ", of.text("answered"), " ", of.text("reminders"))
}

// reaches waits until the counts of the newest wave are these, and every message has left.
func (a *asking) reaches(want string) (p object) {
	a.t.Helper()
	last := ""
	for range 300 {
		// The first wave begins within a second.
		if got := a.crm.try("GET", "/v1/campaigns/"+a.id+"/progress", nil); got.code == 200 {
			p = got.body
			counts, messages := p.object("counts"), p.object("messages")
			if last = counted(counts); last == want && counts.text("waiting") == "0" && messages.text("due") == "0" {
				return p
			}
		}
		pause()
	}
	a.t.Fatalf("sampled, asked, held back, answered, reminders are %s, not %s: %v", last, want, p)
	return nil
}

// members are the customers of the newest wave by id.
func (a *asking) members() map[string]object {
	a.t.Helper()
	out := map[string]object{}
	path := "/v1/campaigns/" + a.id + "/members?pageSize=500"
	for token := ""; ; {
		list := a.crm.get(path + token)
		for _, m := range list.list("members") {
			out[m.text("customerId")] = m
		}
		if token = list.text("nextPageToken"); token == "" {
			return out
		}
		token = "&pageToken=" + escape(token)
	}
}

// link hands the link of a member over.
func (a *asking) link(member object) string {
	a.t.Helper()
	return a.crm.post("/v1/invitations/"+member.text("invitationId")+":issueLink", object{}).text("token")
}

// answered fills the survey in on its page and looks at it.
func (a *asking) answered(name, token, title, thanks string, before ...chromedp.Action[chromedp.Void]) {
	a.t.Helper()
	st, err := a.s.state()
	if err != nil {
		a.t.Fatal(err)
	}
	url, w := st.REST+"/s/"+token, browser.Open(a.t, name, before...)
	w.Visit(url+"?score=5", `label:has(> input[name="score.overall"][value="5"]:checked)`)
	w.Look("1-open")
	if got := w.Read("h1"); got != title {
		a.t.Errorf("title %q, want %q", got, title)
	}
	w.Press("go", "next", "#q-aspects")
	w.Pick("rows.aspects.use", "4")
	w.Pick("choices.help", "course")
	w.Look("2-product")
	w.Press("go", "submit", "main.thanks")
	w.Look("3-thanks")
	if got := w.Read("h1"); got != thanks {
		a.t.Errorf("thanked with %q, want %q", got, thanks)
	}
	w.Visit(url, "main.notice")
	w.Look("4-again")
}
