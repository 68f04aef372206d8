package cleaning_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/survey/internal/cleaning"
	"github.com/kefu-suite/kefu/services/survey/internal/questionnaire"
)

const (
	rating = surveyv1.QuestionType_QUESTION_TYPE_RATING
	nps    = surveyv1.QuestionType_QUESTION_TYPE_NPS
	effort = surveyv1.QuestionType_QUESTION_TYPE_EFFORT
	single = surveyv1.QuestionType_QUESTION_TYPE_SINGLE_CHOICE
	words  = surveyv1.QuestionType_QUESTION_TYPE_TEXT
)

func asked() *surveyv1.Questionnaire {
	q := &surveyv1.Questionnaire{}
	for _, question := range []struct {
		key  string
		kind surveyv1.QuestionType
	}{{"r1", rating}, {"r2", rating}, {"r3", rating}, {"n", nps}, {"e", effort}, {"s", single}, {"t", words}} {
		q.Questions = append(q.Questions, &surveyv1.Question{Key: question.key, Type: question.kind})
	}
	q.Questions[5].Choices = []*surveyv1.Choice{{Key: "yes"}, {Key: "no"}}
	return q
}

func score(key string, n int32) *surveyv1.Response {
	return &surveyv1.Response{QuestionKey: key, Value: &surveyv1.Response_Score{Score: n}}
}

func choice(key, c string) *surveyv1.Response {
	return &surveyv1.Response{QuestionKey: key, Value: &surveyv1.Response_Choice{Choice: c}}
}

func text(key, s string) *surveyv1.Response {
	return &surveyv1.Response{QuestionKey: key, Value: &surveyv1.Response_Text{Text: s}}
}

func TestFlag(t *testing.T) {
	rules := func(change func(*surveyv1.CleaningRules)) *surveyv1.CleaningRules {
		r := &surveyv1.CleaningRules{}
		change(r)
		return cleaning.Complete(r)
	}
	fast := rules(func(r *surveyv1.CleaningRules) { r.TooFast = &surveyv1.TooFastRule{} })
	whole := rules(func(r *surveyv1.CleaningRules) { r.TooFast = &surveyv1.TooFastRule{Seconds: 60} })
	line := rules(func(r *surveyv1.CleaningRules) { r.StraightLining = &surveyv1.StraightLiningRule{Questions: 3} })
	gap := rules(func(r *surveyv1.CleaningRules) { r.Contradictory = &surveyv1.ContradictoryRule{Gap: 0.75} })
	pair := rules(func(r *surveyv1.CleaningRules) {
		r.Contradictory = &surveyv1.ContradictoryRule{Pairs: []*surveyv1.Contradiction{{
			First:  &surveyv1.AnswerTest{QuestionKey: "r1", Least: 4, Greatest: 5},
			Second: &surveyv1.AnswerTest{QuestionKey: "s", Choices: []string{"no"}},
		}}}
	})
	half := rules(func(r *surveyv1.CleaningRules) { r.Incomplete = &surveyv1.IncompleteRule{} })
	double := rules(func(r *surveyv1.CleaningRules) { r.Duplicate = &surveyv1.DuplicateRule{} })
	three := []*surveyv1.Response{score("r1", 4), score("r2", 4), score("r3", 4)}
	for name, c := range map[string]struct {
		rules     *surveyv1.CleaningRules
		took      time.Duration
		duplicate bool
		responses []*surveyv1.Response
		want      cleaning.Flags
	}{
		"no rule, no flag":             {rules(func(*surveyv1.CleaningRules) {}), time.Nanosecond, true, nil, 0},
		"duplicate":                    {double, 0, true, three, cleaning.Duplicate},
		"first of its kind":            {double, 0, false, three, 0},
		"just too fast":                {fast, 6*time.Second - 1, false, three, cleaning.TooFast},
		"just slow enough":             {fast, 6 * time.Second, false, three, 0},
		"time not known":               {fast, 0, false, three, 0},
		"whole too fast":               {whole, time.Minute - 1, false, three, cleaning.TooFast},
		"whole slow enough":            {whole, time.Minute, false, three, 0},
		"one line":                     {line, 0, false, three, cleaning.StraightLining},
		"one off the line":             {line, 0, false, []*surveyv1.Response{score("r1", 4), score("r2", 4), score("r3", 5)}, 0},
		"line too short":               {line, 0, false, three[:2], 0},
		"same score of other types":    {line, 0, false, []*surveyv1.Response{score("r1", 5), score("r2", 5), score("n", 5), score("e", 5)}, 0},
		"gap reached":                  {gap, 0, false, []*surveyv1.Response{score("r1", 5), score("n", 2)}, cleaning.Contradictory},
		"gap reached the other way":    {gap, 0, false, []*surveyv1.Response{score("r1", 2), score("n", 10)}, cleaning.Contradictory},
		"gap of exactly 0.75 by tenth": {gap, 0, false, []*surveyv1.Response{score("r1", 4), score("n", 0)}, cleaning.Contradictory},
		"gap not reached":              {gap, 0, false, []*surveyv1.Response{score("r1", 5), score("n", 3)}, 0},
		"gap with one side":            {gap, 0, false, []*surveyv1.Response{score("r1", 5)}, 0},
		"pair holds":                   {pair, 0, false, []*surveyv1.Response{score("r1", 4), choice("s", "no")}, cleaning.Contradictory},
		"pair, other choice":           {pair, 0, false, []*surveyv1.Response{score("r1", 4), choice("s", "yes")}, 0},
		"pair, other score":            {pair, 0, false, []*surveyv1.Response{score("r1", 3), choice("s", "no")}, 0},
		"pair, one not answered":       {pair, 0, false, []*surveyv1.Response{score("r1", 5)}, 0},
		"half of six":                  {half, 0, false, three, 0},
		"less than half of six":        {half, 0, false, []*surveyv1.Response{score("r1", 1), score("r2", 2), text("t", "more")}, cleaning.Incomplete},
	} {
		got := cleaning.Flag(c.rules, cleaning.Filled{Version: asked(), Responses: c.responses, Took: c.took, Duplicate: c.duplicate})
		if got != c.want {
			t.Errorf("%s: flags %v, want %v", name, got.Names(), c.want.Names())
		}
	}
}

func TestExcludingFollowsTheRules(t *testing.T) {
	if got := cleaning.Excluding(cleaning.Default()); got != cleaning.Duplicate|cleaning.TooFast|cleaning.Incomplete {
		t.Errorf("the default excludes %v", got.Names())
	}
	for bit, rules := range map[cleaning.Flags]*surveyv1.CleaningRules{
		cleaning.Duplicate:      {Duplicate: &surveyv1.DuplicateRule{Excludes: true}, TooFast: &surveyv1.TooFastRule{}},
		cleaning.TooFast:        {TooFast: &surveyv1.TooFastRule{Excludes: true}},
		cleaning.StraightLining: {StraightLining: &surveyv1.StraightLiningRule{Excludes: true}},
		cleaning.Contradictory:  {Contradictory: &surveyv1.ContradictoryRule{Excludes: true}},
		cleaning.Incomplete:     {Incomplete: &surveyv1.IncompleteRule{Excludes: true}},
	} {
		if got := cleaning.Excluding(rules); got != bit {
			t.Errorf("%v excludes %v", bit.Names(), got.Names())
		}
	}
	var tally cleaning.Tally
	tally.Add(cleaning.Duplicate|cleaning.Incomplete, 3)
	tally.Add(cleaning.Incomplete, 4)
	var counts []int64
	for _, c := range tally.Counts() {
		counts = append(counts, c.GetCount())
	}
	if !slices.Equal(counts, []int64{3, 0, 0, 0, 7}) {
		t.Errorf("counts %v", counts)
	}
}

func paths(faults []questionnaire.Fault) []string {
	var out []string
	for _, f := range faults {
		out = append(out, f.Path)
	}
	slices.Sort(out)
	return out
}

func TestCheckNamesWhatDoesNotFit(t *testing.T) {
	test := func(key string, least, greatest int32, choices ...string) *surveyv1.AnswerTest {
		return &surveyv1.AnswerTest{QuestionKey: key, Least: least, Greatest: greatest, Choices: choices}
	}
	good := test("r1", 1, 2)
	for name, c := range map[string]struct {
		second *surveyv1.AnswerTest
		want   []string
	}{
		"fits":                 {test("n", 0, 10), nil},
		"choice fits":          {test("s", 0, 0, "yes"), nil},
		"unknown question":     {test("x", 1, 2), []string{"contradictory.pairs[0].second.question_key"}},
		"text":                 {test("t", 1, 2), []string{"contradictory.pairs[0].second.question_key"}},
		"outside":              {test("n", 0, 11), []string{"contradictory.pairs[0].second.least"}},
		"turned round":         {test("n", 5, 4), []string{"contradictory.pairs[0].second.least"}},
		"choices of scores":    {test("n", 0, 1, "yes"), []string{"contradictory.pairs[0].second.choices"}},
		"no choice":            {test("s", 0, 0), []string{"contradictory.pairs[0].second.choices"}},
		"unknown choice":       {test("s", 0, 0, "maybe"), []string{"contradictory.pairs[0].second.choices"}},
		"both of one question": {test("r1", 4, 5), []string{"contradictory.pairs[0].second.question_key"}},
	} {
		rules := &surveyv1.CleaningRules{Contradictory: &surveyv1.ContradictoryRule{Pairs: []*surveyv1.Contradiction{{First: good, Second: c.second}}}}
		if got := paths(cleaning.Check(rules, asked())); !slices.Equal(got, c.want) {
			t.Errorf("%s: faults at %q, want %q", name, got, c.want)
		}
	}
	if got := paths(cleaning.Check(&surveyv1.CleaningRules{StraightLining: &surveyv1.StraightLiningRule{Questions: 1}}, asked())); !slices.Equal(got, []string{"straight_lining.questions"}) {
		t.Errorf("a line of one: %q", got)
	}
}

func TestCode(t *testing.T) {
	coder := cleaning.NewCoder(&surveyv1.TopicDictionary{Topics: []*surveyv1.Topic{
		{Key: "late", Any: []string{"late", "atras*", "太慢", "Não chegou"}, None: []string{"not late"}},
		{Key: "both", All: []string{"price", "service"}},
		{Key: "any-of-all", Any: []string{"refund"}, All: []string{"order"}},
	}})
	for given, want := range map[string]string{
		"It came LATE.":                     "late",
		"a plate":                           "",
		"lately":                            "",
		"late":                              "late",
		"ｌａｔｅ":                              "late",
		"plate, then late":                  "late",
		"produto ATRASADO":                  "late",
		"o atraso":                          "late",
		"desatraso":                         "",
		"处理太慢了":                             "late",
		"nao chegou":                        "late",
		"NÃO  CHEGOU ainda":                 "late",
		"not late at all":                   "",
		"price and service":                 "both",
		"price alone":                       "",
		"order a refund":                    "any-of-all",
		"refund":                            "",
		"late order, refund":                "late any-of-all",
		"":                                  "",
		strings.Repeat("x", 5000) + " late": "late",
	} {
		if got := strings.Join(coder.Code(given), " "); got != want {
			t.Errorf("%.40q: topics %q, want %q", given, got, want)
		}
	}
}

func TestTheSuitesOwnTopicsAreSound(t *testing.T) {
	own, err := cleaning.Topics()
	if err != nil || len(own.GetTopics()) < 5 {
		t.Fatalf("topics %v, %v", own, err)
	}
	if faults := cleaning.CheckTopics(own); len(faults) > 0 {
		t.Errorf("faults %v", faults)
	}
	coder := cleaning.NewCoder(own)
	for given, want := range map[string]string{"Não recebi o produto": "wrong-item", "物流太慢": "delivery speed", "不满意": "", "非常满意": "praise"} {
		if got := strings.Join(coder.Code(given), " "); got != want {
			t.Errorf("%q: topics %q, want %q", given, got, want)
		}
	}
}

func TestCheckTopics(t *testing.T) {
	name := &typev1.Text{Zh: "名", En: "name"}
	for why, c := range map[string]struct {
		topics []*surveyv1.Topic
		want   []string
	}{
		"sound":      {[]*surveyv1.Topic{{Key: "a", Name: name, Any: []string{"x"}}, {Key: "b", Name: name, All: []string{"y"}}}, nil},
		"key twice":  {[]*surveyv1.Topic{{Key: "a", Name: name, Any: []string{"x"}}, {Key: "a", Name: name, Any: []string{"x"}}}, []string{"topics[1].key"}},
		"no words":   {[]*surveyv1.Topic{{Key: "a", Name: name, None: []string{"x"}}}, []string{"topics[0].any"}},
		"empty word": {[]*surveyv1.Topic{{Key: "a", Name: name, Any: []string{" *"}}}, []string{"topics[0].any"}},
		"one name":   {[]*surveyv1.Topic{{Key: "a", Name: &typev1.Text{Zh: "名"}, Any: []string{"x"}}}, []string{"topics[0].name"}},
		"long name":  {[]*surveyv1.Topic{{Key: "a", Name: &typev1.Text{Zh: strings.Repeat("名", 201), En: "n"}, Any: []string{"x"}}}, []string{"topics[0].name"}},
	} {
		if got := paths(cleaning.CheckTopics(&surveyv1.TopicDictionary{Topics: c.topics})); !slices.Equal(got, c.want) {
			t.Errorf("%s: faults at %q, want %q", why, got, c.want)
		}
	}
}
