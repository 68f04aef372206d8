package server

import (
	"context"
	"fmt"
	"strconv"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	"github.com/kefu-suite/kefu/services/survey/internal/db"
	"github.com/kefu-suite/kefu/services/survey/internal/questionnaire"
	"github.com/kefu-suite/kefu/services/survey/internal/statistics"
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
	out := &surveyv1.Results{QuestionnaireId: row.ID.String(), Version: req.GetVersion()}
	if out.Answers, err = s.queries.CountAnswers(ctx, s.pool, id, first, last); err != nil {
		return nil, fmt.Errorf("count answers: %w", err)
	}
	sent, err := s.queries.CountInvitations(ctx, s.pool, id, first, last)
	if err != nil {
		return nil, fmt.Errorf("count invitations: %w", err)
	}
	out.Invitations, out.ResponseRate = sent.Sent, statistics.Share(sent.Answered, sent.Sent)
	counts, err := s.queries.CountResponses(ctx, s.pool, id, first, last)
	if err != nil {
		return nil, fmt.Errorf("count responses: %w", err)
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
	out.Questions = t.results()
	return out, nil
}

// asked is a question over the versions that asked it. One whose type changed is another
// question: its answers cannot be counted together.
type asked struct {
	key     string
	kind    surveyv1.QuestionType
	choices []string
	scores  map[int32]int64
	chosen  map[string]int64
	texts   int64
}

// tally counts the responses of some versions.
type tally struct {
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
		t.byVersion[row.Version] = map[string]*asked{}
		for _, question := range version.GetQuestions() {
			id := identity{question.GetKey(), question.GetType()}
			a := known[id]
			if a == nil {
				a = &asked{key: id.key, kind: id.kind, scores: map[int32]int64{}, chosen: map[string]int64{}}
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
		if _, known := a.chosen[choice.GetKey()]; !known {
			a.chosen[choice.GetKey()] = 0
			a.choices = append(a.choices, choice.GetKey())
		}
	}
}

func (t *tally) add(rows []db.CountResponsesRow) {
	for _, row := range rows {
		a := t.byVersion[row.QuestionnaireVersion][row.QuestionKey]
		switch {
		case a == nil: // published since the versions were read
		case row.Score != nil:
			a.scores[int32(*row.Score)] += row.N
		case row.Choice != nil:
			a.chosen[*row.Choice] += row.N
		default:
			a.texts += row.N
		}
	}
}

func (t *tally) results() []*surveyv1.QuestionResult {
	out := make([]*surveyv1.QuestionResult, 0, len(t.questions))
	for _, a := range t.questions {
		out = append(out, a.result())
	}
	return out
}

func (a *asked) result() *surveyv1.QuestionResult {
	out := &surveyv1.QuestionResult{QuestionKey: a.key, Type: a.kind}
	switch least, greatest, scored := questionnaire.Range(a.kind); {
	case scored:
		counts := make([]statistics.Count, 0, greatest-least+1)
		for score := least; score <= greatest; score++ {
			counts = append(counts, statistics.Count{Score: score, N: a.scores[score]})
		}
		out.N = statistics.N(counts)
		for _, c := range counts {
			out.Distribution = append(out.Distribution, bucket(strconv.Itoa(int(c.Score)), c.N, out.N))
		}
		out.Mean, out.StandardDeviation = statistics.MeanDeviation(counts)
		if a.kind == surveyv1.QuestionType_QUESTION_TYPE_RATING {
			out.Csat = statistics.TopTwo(counts)
		} else {
			out.Nps = statistics.NetPromoter(counts)
		}
	case a.kind == surveyv1.QuestionType_QUESTION_TYPE_SINGLE_CHOICE:
		for _, n := range a.chosen {
			out.N += n
		}
		for _, choice := range a.choices {
			out.Distribution = append(out.Distribution, bucket(choice, a.chosen[choice], out.N))
		}
	default:
		out.N = a.texts
	}
	return out
}

func bucket(value string, count, n int64) *surveyv1.Bucket {
	return &surveyv1.Bucket{Value: value, Count: count, Share: statistics.Share(count, n)}
}
