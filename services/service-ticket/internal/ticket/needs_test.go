package ticket_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

func TestNeedsAreMet(t *testing.T) {
	for _, c := range []struct {
		need      ticket.Needs
		languages []string
		skills    []string
		want      bool
	}{
		{ticket.Needs{}, nil, nil, true},
		{ticket.Needs{Language: "en"}, []string{"zh-CN", "en-GB"}, nil, true},
		{ticket.Needs{Language: "en-GB"}, []string{"en"}, nil, true},
		{ticket.Needs{Language: "en-GB"}, []string{"en-US"}, nil, false},
		{ticket.Needs{Language: "en"}, []string{"eng"}, nil, false},
		{ticket.Needs{Language: "zh-cn"}, nil, nil, true},
		{ticket.Needs{Language: "en"}, nil, nil, false},
		{ticket.Needs{Skills: []string{"a", "b"}}, nil, []string{"b", "c", "a"}, true},
		{ticket.Needs{Skills: []string{"a", "b"}}, nil, []string{"b"}, false},
	} {
		if got := c.need.Speaks(c.languages) && c.need.Skilled(c.skills); got != c.want {
			t.Errorf("%v by %v and %v: %v", c.need, c.languages, c.skills, got)
		}
	}
}

// Equal needs are kept as equal texts, and come back from there.
func TestNeedsSurvive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := ticket.Needs{
			Language: rapid.SampledFrom([]string{"", "en", "zh-CN"}).Draw(t, "language"),
			Skills:   rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z水泵]{1,5}`), 0, 4, rapid.ID[string]).Draw(t, "skills"),
		}
		back := ticket.ParseNeeds(n.String())
		mixed := ticket.Needs{Language: n.Language, Skills: slices.Clone(n.Skills)}
		slices.Reverse(mixed.Skills)
		slices.Sort(n.Skills)
		if mixed.String() != back.String() || !slices.Equal(back.Skills, n.Skills) && len(n.Skills) > 0 {
			t.Fatalf("%v came back as %v", n, back)
		}
	})
}

func TestNeedsOfARuleFillWhatIsOpen(t *testing.T) {
	rule := ticket.Needs{Language: "en", Skills: []string{"seals"}}
	for _, c := range []struct {
		given, want ticket.Needs
		covers      bool
	}{
		{ticket.Needs{}, rule, true},
		{ticket.Needs{Language: "EN"}, ticket.Needs{Language: "EN", Skills: []string{"seals"}}, true},
		{ticket.Needs{Language: "de"}, ticket.Needs{Language: "de", Skills: []string{"seals"}}, false},
		{ticket.Needs{Skills: []string{"pumps"}}, ticket.Needs{Language: "en", Skills: []string{"pumps"}}, false},
		{ticket.Needs{Skills: []string{"pumps", "seals"}}, ticket.Needs{Language: "en", Skills: []string{"pumps", "seals"}}, true},
	} {
		got := c.given.Or(rule)
		if got.String() != c.want.String() || got.Cover(rule) != c.covers {
			t.Errorf("%+v: %+v covers %v, want %+v %v", c.given, got, got.Cover(rule), c.want, c.covers)
		}
	}
}
