package ticket_test

import (
	"slices"
	"testing"

	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

func TestCannedVariables(t *testing.T) {
	for body, ok := range map[string]bool{
		"您好 {reporter.name}，工单 {ticket.number}": true, "a {{ brace }": true, "{": false, "{}": false, "{phone}": false, "{ticket.number": false,
	} {
		if err := ticket.CheckCanned("body", body); (err == nil) != ok || err != nil && rpcerr.Reason(err) != "VALIDATION_FAILED" {
			t.Errorf("%q: %v", body, err)
		}
	}
	text, missing := ticket.FillCanned("{{{ticket.number}} {date} {reporter.name}{reporter.name}", map[string]string{"ticket.number": "T-1 {date}", "date": "today"})
	if text != "{T-1 {date}} today " || !slices.Equal(missing, []string{"reporter.name"}) {
		t.Errorf("%q, missing %v", text, missing)
	}
}

func TestPickLanguage(t *testing.T) {
	has := []string{"zh-CN", "en-GB", "en-US", "de"}
	for _, c := range []struct {
		wanted []string
		at     int
	}{
		{[]string{"en-us"}, 2}, {[]string{"en"}, 1}, {[]string{"", "de-AT"}, 3}, {[]string{"fr", "en"}, 1}, {[]string{"fr"}, 0}, {nil, 0},
	} {
		if got := ticket.PickLanguage(has, c.wanted...); got != c.at {
			t.Errorf("%v: %d, want %d", c.wanted, got, c.at)
		}
	}
}
