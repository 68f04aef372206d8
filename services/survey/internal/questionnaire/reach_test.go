package questionnaire_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	"github.com/kefu-suite/kefu/services/survey/internal/questionnaire"
)

// findings gives the faults of a draft as "KIND path".
func findings(t *testing.T, q *surveyv1.Questionnaire, around questionnaire.Around) []string {
	t.Helper()
	faults := questionnaire.CheckPublish(q, around)
	where(t, faults)
	var out []string
	for _, f := range faults {
		if surveyv1.FindingKind_value["FINDING_KIND_"+string(f.Kind)] == 0 {
			t.Errorf("%s has the kind %q, which the API does not know", f.Path, f.Kind)
		}
		out = append(out, string(f.Kind)+" "+f.Path)
	}
	return out
}

func inSection(key string, questions ...*surveyv1.Question) []*surveyv1.Question {
	for _, q := range questions {
		q.SectionKey = key
	}
	return questions
}

func section(key string) *surveyv1.Section { return &surveyv1.Section{Key: key, Title: both(key)} }

func TestCheckFindsPlantedFaults(t *testing.T) {
	hard := section("s2")
	hard.ShowIf = condition(all(within("a", 1, 2)))
	sectioned := of(slices.Concat(inSection("s1", question("a", rating)), inSection("s2", question("b", rating), when(question("c", rating), all(within("a", 4, 5)))))...)
	sectioned.Sections = []*surveyv1.Section{section("s1"), hard}
	disorder := of(slices.Concat(inSection("s2", question("a", rating)), inSection("s1", question("b", rating)), []*surveyv1.Question{question("c", rating)}, inSection("s9", question("d", rating)))...)
	disorder.Sections = []*surveyv1.Section{section("s1"), section("s2"), section("s3")}
	shuffled := of(question("a", rating), when(question("b", rating), all(answered("a", true))))
	shuffled.RandomOrder = true
	own := of(inSection("s1", question("a", rating), question("b", rating))...)
	own.Sections = []*surveyv1.Section{section("s1")}
	own.Sections[0].ShowIf = condition(all(answered("a", true)))
	numbers := question("n", figure)
	numbers.NumberRule = &surveyv1.NumberRule{Least: proto.Float64(0), Greatest: proto.Float64(1)}
	scales := of(question("a", rating), question("b", nps))
	scales.Questions[0].Aspect, scales.Questions[1].Aspect = "speed", "speed"
	one, other := "questions[1].show_if.any_of[0]", "questions[2].show_if.any_of[0]"
	for name, c := range map[string]struct {
		q    *surveyv1.Questionnaire
		want []string
	}{
		"a chain that cannot be followed": {of(question("a", single, "x", "y"), when(question("b", single, "x", "y"), all(oneOf("a", "x"))),
			when(question("c", rating), all(oneOf("b", "y"), oneOf("a", "y")))), []string{"UNREACHABLE questions[2]"}},
		"what tests the unreachable": {of(when(question("a", rating), all(tier("TIER_C"))), when(question("b", rating), all(answered("a", true), tier("TIER_KEY"))),
			when(question("c", rating), all(answered("b", true)))), []string{"UNREACHABLE questions[1]", "UNREACHABLE questions[2]"}},
		"one way of two is open": {of(question("a", rating), when(question("b", rating), all(within("a", 1, 1)), all(within("a", 5, 5))),
			when(question("c", rating), all(answered("b", true), within("a", 4, 5)))), nil},
		"a section that excludes its question": {sectioned, []string{"UNREACHABLE questions[2]"}},
		"contradictory group": {of(question("a", rating), when(question("b", rating), all(within("a", 1, 2), within("a", 3, 5)))),
			[]string{"CONTRADICTORY " + one, "UNREACHABLE questions[1]"}},
		"between two scores": {of(question("a", rating), when(question("b", rating), all(within("a", 2.2, 2.8)))),
			[]string{"CONTRADICTORY " + one, "UNREACHABLE questions[1]"}},
		"answered and not": {of(question("a", words), when(question("b", rating), all(answered("a", true), answered("a", false)))),
			[]string{"CONTRADICTORY " + one, "UNREACHABLE questions[1]"}},
		"two choices of one": {of(question("a", single, "x", "y"), when(question("b", rating), all(oneOf("a", "x"), oneOf("a", "y")))),
			[]string{"CONTRADICTORY " + one, "UNREACHABLE questions[1]"}},
		"two choices of many": {of(question("a", multi, "x", "y"), when(question("b", rating), all(oneOf("a", "x"), oneOf("a", "y")))), nil},
		"wanted and refused of many": {of(question("a", multi, "x", "y"), when(question("b", rating), all(oneOf("a", "x"), noneOf("a", "x")))),
			[]string{"CONTRADICTORY " + one, "UNREACHABLE questions[1]"}},
		"two regions": {of(question("a", rating), when(question("b", rating), all(region(oneOf("", "SP")), region(oneOf("", "RJ"))))),
			[]string{"CONTRADICTORY " + one, "UNREACHABLE questions[1]"}},
		"another region": {of(question("a", rating), when(question("b", rating), all(region(noneOf("", "SP")), region(noneOf("", "RJ"))))), nil},
		"days that do not meet": {of(question("a", date), when(question("b", rating), all(between("a", "2026-01-01", "2026-01-31"), between("a", "2026-02-01", "")))),
			[]string{"CONTRADICTORY " + one, "UNREACHABLE questions[1]"}},
		"rows of a matrix":    {of(rows("a", "x", "y"), when(question("b", rating), all(rowWithin("a", "x", 1, 1), rowWithin("a", "y", 5, 5)))), nil},
		"a row twice":         {of(rows("a", "x"), when(question("b", rating), all(rowWithin("a", "x", 1, 1), rowWithin("a", "x", 5, 5)))), []string{"CONTRADICTORY " + one, "UNREACHABLE questions[1]"}},
		"unknown row":         {of(rows("a", "x"), when(question("b", rating), all(rowWithin("a", "z", 1, 1)))), []string{"UNKNOWN_REFERENCE " + one + ".all_of[0].row_key"}},
		"row of no matrix":    {of(question("a", rating), when(question("b", rating), all(rowWithin("a", "x", 1, 1)))), []string{"WRONG_TEST " + one + ".all_of[0].row_key"}},
		"unknown choice":      {of(question("a", single, "x", "y"), when(question("b", rating), all(oneOf("a", "z")))), []string{"UNKNOWN_REFERENCE " + one + ".all_of[0]"}},
		"number out of rule":  {of(numbers, when(question("b", rating), all(within("n", 2, 3)))), []string{"SCALE_MISMATCH " + one + ".all_of[0].within"}},
		"no range":            {of(question("a", rating), when(question("b", rating), all(openRange("a")))), []string{"WRONG_TEST " + one + ".all_of[0].within"}},
		"itself":              {of(question("a", rating), when(question("b", rating), all(answered("b", true)))), []string{"LATER_REFERENCE " + one + ".all_of[0].question_key"}},
		"in random order":     {shuffled, []string{"LATER_REFERENCE " + one + ".all_of[0].question_key"}},
		"a section on itself": {own, []string{"LATER_REFERENCE sections[0].show_if.any_of[0].all_of[0].question_key"}},
		"sections": {disorder, []string{"WRONG_SECTION questions[1].section_key", "WRONG_SECTION questions[2].section_key", "WRONG_SECTION questions[3].section_key",
			"WRONG_SECTION sections[2]"}},
		"two scales of an aspect": {scales, []string{"SCALE_MISMATCH questions[1].aspect"}},
		"a test on text":          {of(question("a", words), question("b", rating), when(question("c", rating), all(oneOf("a", "x")))), []string{"WRONG_TEST " + other + ".all_of[0]"}},
	} {
		if got := findings(t, c.q, questionnaire.Around{}); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func openRange(key string) *surveyv1.ConditionTest {
	t := within(key, 0, 0)
	t.GetWithin().Least, t.GetWithin().Greatest = nil, nil
	return t
}

// What the checker calls unreachable nobody is shown, however they answer; and what it takes for
// reachable is shown to somebody, but for limits of multiple choice, which none of these has.
func TestReachAgreesWithTrying(t *testing.T) {
	c := chance{rand.New(rand.NewPCG(3, 4))}
	lost := 0
	for range 150 {
		q := c.questionnaire()
		seen := map[string]bool{}
		for range 2000 {
			for _, key := range questionnaire.Shown(q, c.facts(), questionnaire.ByQuestion(c.responses(q))) {
				seen[key] = true
			}
		}
		unreachable := map[string]bool{}
		unsound := false
		for _, f := range questionnaire.CheckPublish(q, questionnaire.Around{}) {
			if f.Kind == questionnaire.Unreachable {
				unreachable[f.Question] = true
			}
			unsound = unsound || !slices.Contains([]questionnaire.Kind{questionnaire.Unreachable, questionnaire.Contradictory}, f.Kind)
		}
		if unsound {
			continue // then reachability is not looked at
		}
		for _, question := range q.GetQuestions() {
			key := question.GetKey()
			if seen[key] && unreachable[key] {
				t.Fatalf("%s is called unreachable and was shown, in %v", key, q)
			}
			if !seen[key] && !unreachable[key] {
				t.Errorf("%s was never shown and is taken for reachable, in %s", key, strings.ReplaceAll(q.String(), "  ", " "))
			}
			if unreachable[key] {
				lost++
			}
		}
	}
	if lost < 5 {
		t.Errorf("only %d questions were out of reach: the test tests little", lost)
	}
}
