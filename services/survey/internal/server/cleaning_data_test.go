//go:build testdata

package server_test

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
)

// review is a line of the shop's file.
type review struct {
	id, order     string
	score         int
	title, body   string
	asked, filled time.Time
}

func olistReviews(t *testing.T) []review {
	t.Helper()
	var out []review
	seen := map[string]bool{}
	for _, row := range readTable(t, filepath.Join(os.Getenv("KEFU_TEST_DATA_DIR"), "olist", "order_reviews.csv"))[1:] {
		n, err := strconv.Atoi(row[2])
		if err != nil {
			t.Fatal(err)
		}
		r := review{id: row[0] + "/" + row[1], order: row[1], score: n, title: strings.TrimSpace(row[3]), body: strings.TrimSpace(row[4])}
		if r.asked, err = time.Parse(time.DateTime, row[5]); err == nil {
			r.filled, err = time.Parse(time.DateTime, row[6])
		}
		if err != nil || seen[r.id] {
			t.Fatalf("review %s: %v", r.id, err)
		}
		seen[r.id] = true
		out = append(out, r)
	}
	return out
}

func (r review) record() *surveyv1.AnswerRecord {
	out := &surveyv1.AnswerRecord{ExternalId: r.id, OrderNumber: r.order, InviteTime: timestamppb.New(r.asked), AnswerTime: timestamppb.New(r.filled),
		Responses: []*surveyv1.Response{score("rating", int32(r.score))}}
	if r.title != "" {
		out.Responses = append(out.Responses, comment("title", r.title))
	}
	if r.body != "" {
		out.Responses = append(out.Responses, comment("comment", r.body))
	}
	return out
}

// TestDataOlistCleaning imports the shop's reviews and holds flags and topics against a count of
// the file that shares nothing with the service.
func TestDataOlistCleaning(t *testing.T) {
	reviews := olistReviews(t)
	k := newKit(t)
	q := k.published(question("rating", rating), question("title", words), question("comment", words)).GetId()
	k.setRules(q, func(r *surveyv1.CleaningRules) {
		r.Duplicate = &surveyv1.DuplicateRule{Excludes: true, WithinDays: 30}
		r.TooFast = &surveyv1.TooFastRule{Seconds: 6 * 3600}
	})
	k.setTopics(q, topic("late", "atras*"), topic("good", "recomendo"))
	for part := range slices.Chunk(reviews, 500) {
		var records []*surveyv1.AnswerRecord
		for _, r := range part {
			records = append(records, r.record())
		}
		for _, result := range k.imports(q, records...) {
			if result.GetOutcome() != created {
				t.Fatalf("result %v", result)
			}
		}
	}
	duplicates, fast, either := recount(reviews)
	want := strconv.Itoa(either) + " flagged, " + strconv.Itoa(duplicates) + " excluded: " + strconv.Itoa(duplicates) + " " + strconv.Itoa(fast) + " 0 0 0"
	if got := k.flagged(q); got != want {
		t.Errorf("%s, the file says %s", got, want)
	}
	t.Logf("%d reviews: %s", len(reviews), want)
	topics, err := k.topics().GetTopics(k.crm(), &surveyv1.GetTopicsRequest{QuestionnaireId: q})
	if err != nil {
		t.Fatal(err)
	}
	texts, late, good := recode(reviews)
	if topics.GetTexts() != texts || topics.GetTopics()[0].GetTexts() != late || topics.GetTopics()[1].GetTexts() != good {
		t.Errorf("%v, the file says %d texts, %d late, %d good", topics, texts, late, good)
	}
	t.Logf("%d texts: %d late, %d good", texts, late, good)
	if len(reviews) != 8225 || duplicates == 0 || fast == 0 || late == 0 || good == 0 {
		t.Error("the file does not hold what this test is about")
	}
}

// recount walks each order's reviews in their order of time.
func recount(reviews []review) (duplicates, fast, either int) {
	before := map[string][]time.Time{}
	sorted := slices.Clone(reviews)
	slices.SortStableFunc(sorted, func(a, b review) int { return a.filled.Compare(b.filled) })
	for _, r := range sorted {
		twin := slices.ContainsFunc(before[r.order], func(at time.Time) bool { return r.filled.Sub(at) <= 30*24*time.Hour })
		before[r.order] = append(before[r.order], r.filled)
		quick := r.filled.Sub(r.asked) < 6*time.Hour
		if twin {
			duplicates++
		}
		if quick {
			fast++
		}
		if twin || quick {
			either++
		}
	}
	return duplicates, fast, either
}

// bare takes the accents of Portuguese from lower-case letters.
var bare = strings.NewReplacer("á", "a", "à", "a", "â", "a", "ã", "a", "é", "e", "ê", "e", "í", "i", "ó", "o", "ô", "o", "õ", "o", "ú", "u", "ç", "c")

// recode splits texts into words by what is not a letter.
func recode(reviews []review) (texts, late, good int64) {
	for _, r := range reviews {
		for _, text := range []string{r.title, r.body} {
			if text == "" {
				continue
			}
			texts++
			list := strings.FieldsFunc(bare.Replace(strings.ToLower(text)), func(c rune) bool {
				return !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c > 127)
			})
			if slices.ContainsFunc(list, func(w string) bool { return strings.HasPrefix(w, "atras") }) {
				late++
			}
			if slices.Contains(list, "recomendo") {
				good++
			}
		}
	}
	return texts, late, good
}
