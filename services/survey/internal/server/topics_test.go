package server_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
)

func (k *kit) topics() surveyv1.TopicServiceClient { return surveyv1.NewTopicServiceClient(k.Conn) }

// coded flags and codes what waits and gives the counts in short, e.g. "3 texts, 1 uncoded: late 2".
func (k *kit) coded(q string) string {
	k.t.Helper()
	if err := k.server.FlagAnswers(k.t.Context()); err != nil {
		k.t.Fatal(err)
	}
	topics, err := k.topics().GetTopics(k.crm(), &surveyv1.GetTopicsRequest{QuestionnaireId: q})
	if err != nil || topics.GetWaiting() != 0 || topics.GetRunning() {
		k.t.Fatalf("topics %v, %v", topics, err)
	}
	var counts []string
	for _, c := range topics.GetTopics() {
		if c.GetTexts() > 0 {
			counts = append(counts, fmt.Sprintf("%s %d", c.GetTopicKey(), c.GetTexts()))
		}
	}
	return fmt.Sprintf("%d texts, %d uncoded: %s", topics.GetTexts(), topics.GetUncoded(), strings.Join(counts, ", "))
}

func (k *kit) setTopics(q string, topics ...*surveyv1.Topic) {
	k.t.Helper()
	if _, err := k.topics().SetTopicDictionary(k.crm(), &surveyv1.SetTopicDictionaryRequest{
		Dictionary: &surveyv1.TopicDictionary{QuestionnaireId: q, Topics: topics}}); err != nil {
		k.t.Fatal(err)
	}
}

func topic(key string, any ...string) *surveyv1.Topic {
	return &surveyv1.Topic{Key: key, Name: both(key), Any: any}
}

func TestTextsAreCodedAndCorrectionsStay(t *testing.T) {
	k := newKit(t)
	q := k.published(question("a", rating), question("t", words), question("u", words)).GetId()
	ids := k.imports(q,
		k.record("1", score("a", 1), comment("t", "物流太慢"), comment("u", "the price")),
		k.record("2", score("a", 2), comment("t", "nothing to say")), k.record("3", score("a", 5)))
	if got := k.coded(q); got != "3 texts, 1 uncoded: delivery 1, speed 1, price 1" {
		t.Error(got)
	}
	k.setTopics(q, topic("slow", "慢"), topic("silent", "nothing"))
	if got := k.coded(q); got != "3 texts, 1 uncoded: slow 1, silent 1" {
		t.Error(got)
	}
	set := func(place int, key string, topics ...string) error {
		_, err := k.topics().SetTextTopics(k.crm(), &surveyv1.SetTextTopicsRequest{QuestionnaireId: q, AnswerId: ids[place].GetId(), QuestionKey: key, TopicKeys: topics})
		return err
	}
	if err := set(0, "t", "silent", "slow"); err != nil {
		t.Fatal(err)
	}
	if err := set(1, "t"); err != nil {
		t.Fatal(err)
	}
	if got := k.coded(q); got != "3 texts, 2 uncoded: slow 1, silent 1" {
		t.Error(got)
	}
	// Coded anew, the corrections stay and the rest follows.
	k.setTopics(q, topic("silent", "nothing"), topic("money", "price"))
	if got := k.coded(q); got != "3 texts, 1 uncoded: silent 1, money 1, slow 1" {
		t.Error(got)
	}
	list, err := k.topics().ListCodedTexts(k.crm(), &surveyv1.ListCodedTextsRequest{QuestionnaireId: q, TopicKey: "silent"})
	if err != nil || len(list.GetTexts()) != 1 {
		t.Fatalf("texts %v, %v", list, err)
	}
	if got := list.GetTexts()[0]; !got.GetByHand() || got.GetText() != "物流太慢" || !slices.Equal(got.GetTopicKeys(), []string{"silent", "slow"}) {
		t.Errorf("text %v", got)
	}
	refused(t, set(0, "t", "price"), codes.InvalidArgument, "VALIDATION_FAILED", "topic_keys[0]")
	refused(t, set(0, "a", "money"), codes.NotFound, "ANSWER_NOT_FOUND")
	refused(t, set(2, "t", "money"), codes.NotFound, "ANSWER_NOT_FOUND")
}

func TestTheTextsOfATopicComeInPages(t *testing.T) {
	k := newKit(t)
	q := k.published(question("t", words), question("u", words)).GetId()
	for i := range 3 {
		k.imports(q, k.record(fmt.Sprint(i), comment("t", fmt.Sprint("慢 t", i)), comment("u", fmt.Sprint("慢 u", i))))
	}
	k.setTopics(q, topic("slow", "慢"))
	k.coded(q)
	var got []string
	req := &surveyv1.ListCodedTextsRequest{QuestionnaireId: q, TopicKey: "slow", PageSize: 2}
	for {
		list, err := k.topics().ListCodedTexts(k.crm(), req)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range list.GetTexts() {
			got = append(got, text.GetText())
		}
		if req.PageToken = list.GetNextPageToken(); req.GetPageToken() == "" {
			break
		}
	}
	if !slices.Equal(got, []string{"慢 u2", "慢 t2", "慢 u1", "慢 t1", "慢 u0", "慢 t0"}) {
		t.Errorf("texts %q", got)
	}
}

func TestATopicOfFewTellsNoMean(t *testing.T) {
	k := newKit(t)
	q := k.published(question("a", rating), question("t", words)).GetId()
	var records []*surveyv1.AnswerRecord
	for i := range 16 {
		text := "slow"
		if i < 4 {
			text = "rude"
		} else if i < 10 {
			text = "late"
		}
		records = append(records, k.record(fmt.Sprint(i), score("a", int32(i%2+1)), comment("t", text)))
	}
	k.imports(q, records...)
	k.setTopics(q, topic("slow", "slow"), topic("rude", "rude"), topic("late", "late"), topic("some", "slow", "late"))
	k.coded(q)
	topics, err := k.topics().GetTopics(k.crm(), &surveyv1.GetTopicsRequest{QuestionnaireId: q})
	if err != nil {
		t.Fatal(err)
	}
	var means []string
	for _, c := range topics.GetTopics() {
		means = append(means, fmt.Sprintf("%s %v %v", c.GetTopicKey(), c.GetShare(), c.MeanScore != nil))
	}
	if !slices.Equal(means, []string{"slow 0.375 true", "rude 0.25 false", "late 0.375 true", "some 0.75 false"}) {
		t.Errorf("means %q", means)
	}
	if m := topics.GetTopics()[0].GetMeanScore(); m != 1.5 {
		t.Errorf("mean %v", m)
	}
}

func TestTopicsRefuse(t *testing.T) {
	k := newKit(t)
	q := k.published(question("t", words)).GetId()
	set := func(d *surveyv1.TopicDictionary) error {
		_, err := k.topics().SetTopicDictionary(k.crm(), &surveyv1.SetTopicDictionaryRequest{Dictionary: d})
		return err
	}
	refused(t, set(&surveyv1.TopicDictionary{QuestionnaireId: q, Topics: []*surveyv1.Topic{topic("x")}}), codes.InvalidArgument, "TOPIC_DICTIONARY_INVALID", "dictionary.topics[0].any")
	refused(t, set(&surveyv1.TopicDictionary{QuestionnaireId: q, Etag: "4"}), codes.Aborted, "ETAG_MISMATCH")
	refused(t, set(&surveyv1.TopicDictionary{QuestionnaireId: q, Note: "\x00"}), codes.InvalidArgument, "VALIDATION_FAILED", "dictionary.note")
	refused(t, set(&surveyv1.TopicDictionary{QuestionnaireId: uuid.NewString()}), codes.NotFound, "QUESTIONNAIRE_NOT_FOUND")
	_, err := k.topics().GetTopicDictionary(k.crm(), &surveyv1.GetTopicDictionaryRequest{QuestionnaireId: q, Version: 2})
	refused(t, err, codes.NotFound, "TOPIC_DICTIONARY_NOT_FOUND")
	_, err = k.topics().GetTopics(k.crm(), &surveyv1.GetTopicsRequest{QuestionnaireId: uuid.NewString()})
	refused(t, err, codes.NotFound, "QUESTIONNAIRE_NOT_FOUND")
	_, err = k.topics().ListCodedTexts(k.crm(), &surveyv1.ListCodedTextsRequest{QuestionnaireId: uuid.NewString()})
	refused(t, err, codes.NotFound, "QUESTIONNAIRE_NOT_FOUND")
}
