package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	"github.com/kefu-suite/kefu/services/survey/internal/analysis"
	"github.com/kefu-suite/kefu/services/survey/internal/db"
	"github.com/kefu-suite/kefu/services/survey/internal/questionnaire"
	"github.com/kefu-suite/kefu/services/survey/internal/report"
)

// GetResults computes the figures of all versions, or one.
func (s *Server) GetResults(ctx context.Context, req *surveyv1.GetResultsRequest) (*surveyv1.Results, error) {
	id, err := parse("questionnaire_id", req.GetQuestionnaireId())
	if err != nil {
		return nil, err
	}
	row, err := s.questionnaire(ctx, s.pool, id)
	if err != nil {
		return nil, err
	}
	first, last := int32(1), row.PublishedVersion
	if wanted := req.GetVersion(); wanted != 0 {
		if wanted > row.PublishedVersion {
			return nil, unknownVersion(row, wanted)
		}
		first, last = wanted, wanted
	}
	// Those of the other versions tell whether these could be found by subtraction.
	counts, err := s.queries.ReadCounts(ctx, s.pool, id, 1, row.PublishedVersion)
	if err != nil {
		return nil, fmt.Errorf("read counts: %w", err)
	}
	versions, err := s.queries.ListQuestionnaireVersions(ctx, s.pool, id)
	if err != nil {
		return nil, fmt.Errorf("read versions: %w", err)
	}
	t, err := tallyOf(versions, first, last)
	if err != nil {
		return nil, err
	}
	t.add(counts)
	out := &surveyv1.Results{QuestionnaireId: row.ID.String(), Version: req.GetVersion(), Invitations: t.asked}
	if t.anonymous && (few(t.answered+t.imported) || few(t.others)) {
		out.Withheld = true
		return out, nil
	}
	out.Answers, out.ResponseRate = t.answered+t.imported, analysis.Part(t.answered, t.asked)
	out.Questions, err = t.results()
	return out, err
}

// fewest is how many answers a figure of anonymous ones needs at least.
const fewest = 5

// few tells that somebody might find out who said what.
func few(answers int64) bool { return answers > 0 && answers < fewest }

// asked is a question over the versions that asked it. One whose type changed is another
// question: its answers cannot be counted together.
type asked struct {
	key     string
	kind    surveyv1.QuestionType
	choices []string
	// counts by score or number in digits, day or key of the choice; texts are under the empty value.
	counts map[string]int64
}

// tally counts invitations, answers and responses of some versions.
type tally struct {
	asked, answered, imported, withdrawn int64
	// others are the answers to other versions; anonymous says that the answers are.
	others    int64
	anonymous bool

	questions []*asked
	byVersion map[int32]map[string]*asked
}

// tallyOf begins with the versions from the newest on, so that the questions stand in the
// order of the last version and those that only older ones asked come last.
func tallyOf(newestFirst []db.QuestionnaireVersion, first, last int32) (*tally, error) {
	t := &tally{byVersion: map[int32]map[string]*asked{}}
	type identity struct {
		key  string
		kind surveyv1.QuestionType
	}
	known := map[identity]*asked{}
	for _, row := range newestFirst {
		if row.Version < first || row.Version > last {
			continue
		}
		version, err := decode(row.Content)
		if err != nil {
			return nil, err
		}
		t.byVersion[row.Version], t.anonymous = map[string]*asked{}, version.GetAnonymous()
		for _, question := range questionnaire.Flat(version) {
			id := identity{question.GetKey(), question.GetType()}
			a := known[id]
			if a == nil {
				a = &asked{key: id.key, kind: id.kind, counts: map[string]int64{}}
				known[id], t.questions = a, append(t.questions, a)
			}
			a.offer(question.GetChoices())
			t.byVersion[row.Version][id.key] = a
		}
	}
	return t, nil
}

// offer adds the choices not offered by a newer version.
func (a *asked) offer(choices []*surveyv1.Choice) {
	for _, choice := range choices {
		if !slices.Contains(a.choices, choice.GetKey()) {
			a.choices = append(a.choices, choice.GetKey())
		}
	}
}

func (t *tally) add(rows []db.ReadCountsRow) {
	for _, row := range rows {
		_, counted := t.byVersion[row.QuestionnaireVersion]
		switch {
		case row.QuestionKey == "" && counted:
			t.addWhole(row)
			continue
		case row.QuestionKey == "" && (row.Value == "answered" || row.Value == "imported"):
			t.others += row.N
			continue
		}
		// Without a version it was published since the versions were read.
		if a := t.byVersion[row.QuestionnaireVersion][row.QuestionKey]; a != nil {
			a.counts[row.Value] += row.N
		}
	}
}

func (t *tally) addWhole(row db.ReadCountsRow) {
	switch row.Value {
	case "asked":
		t.asked += row.N
	case "answered":
		t.answered += row.N
	case "imported":
		t.imported += row.N
	case "withdrawn":
		t.withdrawn += row.N
	}
}

func (t *tally) results() ([]*surveyv1.QuestionResult, error) {
	out := make([]*surveyv1.QuestionResult, 0, len(t.questions))
	for _, a := range t.questions {
		result, err := a.result()
		if err != nil {
			return nil, fmt.Errorf("results of question %s: %w", a.key, err)
		}
		if t.anonymous {
			// What only one person may have said.
			result.Least, result.Greatest, result.EarliestDate, result.LatestDate = nil, nil, "", ""
			if few(result.GetN()) {
				result = &surveyv1.QuestionResult{QuestionKey: a.key, Type: a.kind, Withheld: true}
			}
		}
		out = append(out, result)
	}
	return out, nil
}

func (a *asked) result() (*surveyv1.QuestionResult, error) {
	out := &surveyv1.QuestionResult{QuestionKey: a.key, Type: a.kind}
	if least, greatest, scored := questionnaire.Range(a.kind); scored {
		return out, a.scores(out, analysis.Scale{Least: least, Greatest: greatest})
	}
	switch a.kind {
	case surveyv1.QuestionType_QUESTION_TYPE_NUMBER:
		return out, a.numbers(out)
	case surveyv1.QuestionType_QUESTION_TYPE_DATE:
		a.days(out)
	case surveyv1.QuestionType_QUESTION_TYPE_SINGLE_CHOICE:
		for _, n := range a.counts {
			out.N += n
		}
		a.distribute(out, func(choice string) string { return choice })
	case surveyv1.QuestionType_QUESTION_TYPE_MULTIPLE_CHOICE:
		out.N = a.counts[""]
		a.distribute(out, func(choice string) string { return choice })
	case surveyv1.QuestionType_QUESTION_TYPE_RANKING:
		out.N = a.counts[""]
		a.distribute(out, func(choice string) string { return placed(choice, 1) })
		a.rank(out)
	default:
		out.N = a.counts[""]
	}
	return out, nil
}

// distribute adds a bar for each choice; value is under which its count is kept.
func (a *asked) distribute(out *surveyv1.QuestionResult, value func(choice string) string) {
	for _, choice := range a.choices {
		out.Distribution = append(out.Distribution, bucket(choice, a.counts[value(choice)], out.N))
	}
}

// placed is the value that counts how often a choice was put in a place.
func placed(choice string, place int) string { return fmt.Sprintf("%s#%d", choice, place) }

// rank adds the mean place of each choice.
func (a *asked) rank(out *surveyv1.QuestionResult) {
	for _, choice := range a.choices {
		result, sum := &surveyv1.RankResult{Value: choice}, int64(0)
		for place := 1; place <= len(a.choices); place++ {
			n := a.counts[placed(choice, place)]
			result.N, sum = result.N+n, sum+n*int64(place)
		}
		if result.N > 0 {
			mean := float64(sum) / float64(result.N)
			result.MeanRank = &mean
		}
		out.Ranks = append(out.Ranks, result)
	}
}

// numbers adds the figures of a question that is answered with numbers. Its table is as long as
// different numbers were given.
func (a *asked) numbers(out *surveyv1.QuestionResult) error {
	table := make(analysis.Numbers, 0, len(a.counts))
	for value, n := range a.counts {
		out.N += n
		if value == "" {
			continue
		}
		number, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return fmt.Errorf("a number that was counted: %w", err)
		}
		table = append(table, analysis.Number{Value: number, N: n})
	}
	summary, err := analysis.Summarise(table)
	if analysis.AsLack(err) != nil {
		return nil
	}
	out.Mean, out.StandardDeviation = &summary.Mean, summary.Deviation
	out.Least, out.Median, out.Greatest = &summary.Least, &summary.Median, &summary.Greatest
	return err
}

// days adds the first and the last day that was given.
func (a *asked) days(out *surveyv1.QuestionResult) {
	for day, n := range a.counts {
		out.N += n
		if day == "" || n == 0 {
			continue
		}
		if out.EarliestDate == "" || day < out.EarliestDate {
			out.EarliestDate = day
		}
		out.LatestDate = max(out.LatestDate, day)
	}
}

// scores adds the figures of a question that is answered with scores.
func (a *asked) scores(out *surveyv1.QuestionResult, scale analysis.Scale) error {
	var counts analysis.Counts
	for score := scale.Least; score <= scale.Greatest; score++ {
		counts = append(counts, analysis.Count{Score: score, N: a.counts[strconv.Itoa(int(score))]})
	}
	out.N = counts.N()
	for _, c := range counts {
		out.Distribution = append(out.Distribution, bucket(strconv.Itoa(int(c.Score)), c.N, out.N))
	}
	var faults [3]error
	out.Mean, faults[0] = present(analysis.Mean(counts))
	out.StandardDeviation, faults[1] = present(analysis.Deviation(counts))
	switch a.kind {
	case surveyv1.QuestionType_QUESTION_TYPE_RATING:
		out.Csat, faults[2] = estimated(analysis.CSAT(counts, report.Level))
	case surveyv1.QuestionType_QUESTION_TYPE_NPS:
		out.Nps, faults[2] = estimated(analysis.NPS(counts, report.Level))
	}
	return errors.Join(faults[:]...)
}

// present is a figure, nil where the answers are not enough for it.
func present(figure float64, err error) (*float64, error) {
	if analysis.AsLack(err) != nil {
		return nil, nil
	}
	return &figure, err
}

func estimated(e analysis.Estimate, err error) (*float64, error) { return present(e.Value, err) }

func bucket(value string, count, n int64) *surveyv1.Bucket {
	return &surveyv1.Bucket{Value: value, Count: count, Share: analysis.Part(count, n)}
}
