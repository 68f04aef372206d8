package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/page"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/survey/internal/analysis"
	"github.com/kefu-suite/kefu/services/survey/internal/cleaning"
	"github.com/kefu-suite/kefu/services/survey/internal/db"
)

// GetTopicDictionary gives a version of the dictionary.
func (s *Server) GetTopicDictionary(ctx context.Context, req *surveyv1.GetTopicDictionaryRequest) (*surveyv1.TopicDictionary, error) {
	id, err := s.asked(ctx, req.GetQuestionnaireId())
	if err != nil {
		return nil, err
	}
	return s.dictionary(ctx, s.pool, id, req.GetVersion())
}

// dictionary gives a version, 0 for the newest: the suite's own where there is none.
func (s *Server) dictionary(ctx context.Context, from pg.DBTX, id uuid.UUID, version int32) (*surveyv1.TopicDictionary, error) {
	row, err := s.queries.GetTopicDictionary(ctx, from, id, version)
	switch {
	case errors.Is(err, pgx.ErrNoRows) && version == 0:
		out, err := cleaning.Topics()
		if err != nil {
			return nil, err
		}
		out.QuestionnaireId, out.Etag = id.String(), etag(0)
		return out, nil
	case errors.Is(err, pgx.ErrNoRows):
		return nil, unknownRules("TOPIC_DICTIONARY_NOT_FOUND", rpcerr.T("topic dictionary", "主题词典"), id, version)
	case err != nil:
		return nil, fmt.Errorf("read dictionary: %w", err)
	}
	out := new(surveyv1.TopicDictionary)
	if err := protojson.Unmarshal(row.Content, out); err != nil {
		return nil, fmt.Errorf("decode stored dictionary: %w", err)
	}
	out.QuestionnaireId, out.Version, out.Etag = id.String(), row.Version, etag(int64(row.Version))
	out.SetTime, out.SetActor = timestamppb.New(row.SetTime), row.SetActor
	return out, nil
}

// SetTopicDictionary sets the next version and has every text coded anew.
func (s *Server) SetTopicDictionary(ctx context.Context, req *surveyv1.SetTopicDictionaryRequest) (*surveyv1.TopicDictionary, error) {
	id, err := parse("dictionary.questionnaire_id", req.GetDictionary().GetQuestionnaireId())
	if err != nil {
		return nil, err
	}
	d := &surveyv1.TopicDictionary{Topics: req.GetDictionary().GetTopics(), Note: req.GetDictionary().GetNote()}
	if faults := cleaning.CheckTopics(d); len(faults) > 0 {
		return nil, faulty(codes.InvalidArgument, "TOPIC_DICTIONARY_INVALID", "dictionary.",
			rpcerr.T("The dictionary is not usable", "词典不可用"), faults)
	}
	content, err := protojson.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("encode dictionary: %w", err)
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*surveyv1.TopicDictionary, error) {
		// The questionnaire's row keeps two from setting the same version.
		if _, err := s.lockQuestionnaire(ctx, tx, id, ""); err != nil {
			return nil, err
		}
		newest, err := s.dictionary(ctx, tx, id, 0)
		if err != nil {
			return nil, err
		}
		if tag := req.GetDictionary().GetEtag(); tag != "" && tag != newest.GetEtag() {
			return nil, rpcerr.Stale("topic_dictionary", id.String())
		}
		row := db.InsertTopicDictionaryParams{
			QuestionnaireID: id, Version: newest.GetVersion() + 1, Content: content, SetTime: s.moment(), SetActor: authn.FromContext(ctx).Actor(),
		}
		if err := s.queries.InsertTopicDictionary(ctx, tx, row); err != nil {
			return nil, fmt.Errorf("insert dictionary: %w", err)
		}
		if err := s.flagAnew(ctx, tx, id); err != nil {
			return nil, err
		}
		tx.Audit("topic_dictionary", id, d)
		return s.dictionary(ctx, tx, id, row.Version)
	})
}

// GetTopics counts the texts of each topic.
func (s *Server) GetTopics(ctx context.Context, req *surveyv1.GetTopicsRequest) (*surveyv1.Topics, error) {
	id, err := parse("questionnaire_id", req.GetQuestionnaireId())
	if err != nil {
		return nil, err
	}
	var out *surveyv1.Topics
	// One snapshot: the numbers fit each other.
	err = pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if _, err := s.questionnaire(ctx, tx, id); err != nil {
			return err
		}
		out, err = s.topics(ctx, tx, id)
		return err
	})
	return out, err
}

func (s *Server) topics(ctx context.Context, tx pgx.Tx, id uuid.UUID) (*surveyv1.Topics, error) {
	if err := s.queries.AllowLong(ctx, tx, analysisLimit); err != nil {
		return nil, fmt.Errorf("allow long statements: %w", err)
	}
	dictionary, err := s.dictionary(ctx, tx, id, 0)
	if err != nil {
		return nil, err
	}
	rows, err := s.queries.CountTopics(ctx, tx, id)
	if err != nil {
		return nil, fmt.Errorf("count topics: %w", err)
	}
	whole, err := s.queries.CountTexts(ctx, tx, id)
	if err != nil {
		return nil, fmt.Errorf("count texts: %w", err)
	}
	out := &surveyv1.Topics{QuestionnaireId: id.String(), Texts: whole.Texts, DictionaryVersion: dictionary.GetVersion()}
	if out.Waiting, out.Running, err = s.waiting(ctx, tx, id); err != nil {
		return nil, err
	}
	byKey := map[string]db.CountTopicsRow{}
	for _, row := range rows {
		byKey[row.TopicKey] = row
	}
	out.Uncoded = byKey[""].Texts
	delete(byKey, "")
	for _, topic := range dictionary.GetTopics() {
		count, err := topicCount(byKey[topic.GetKey()], whole)
		if err != nil {
			return nil, err
		}
		count.TopicKey, count.Name = topic.GetKey(), topic.GetName()
		out.Topics = append(out.Topics, count)
		delete(byKey, topic.GetKey())
	}
	for _, row := range rows {
		if _, left := byKey[row.TopicKey]; !left {
			continue
		}
		count, err := topicCount(row, whole)
		if err != nil {
			return nil, err
		}
		count.TopicKey = row.TopicKey
		out.Topics = append(out.Topics, count)
	}
	return out, nil
}

// topicCount withholds a mean that would tell what few people said.
func topicCount(row db.CountTopicsRow, whole db.CountTextsRow) (*surveyv1.TopicCount, error) {
	out := &surveyv1.TopicCount{Texts: row.Texts, ByHand: row.ByHand, Share: analysis.Part(row.Texts, whole.Texts)}
	reason, err := analysis.WithholdPart(row.Scored, whole.Scored)
	if err != nil {
		return nil, fmt.Errorf("topic %s: %w", row.TopicKey, err)
	}
	if reason == 0 && row.Scored > 0 {
		mean := float64(row.Total) / float64(row.Scored)
		out.MeanScore = &mean
	}
	return out, nil
}

// ListCodedTexts gives the texts of a topic, the newest recorded first.
func (s *Server) ListCodedTexts(ctx context.Context, req *surveyv1.ListCodedTextsRequest) (*surveyv1.ListCodedTextsResponse, error) {
	id, err := s.asked(ctx, req.GetQuestionnaireId())
	if err != nil {
		return nil, err
	}
	if few, err := s.fewToList(ctx, id); err != nil || few {
		return new(surveyv1.ListCodedTextsResponse), err
	}
	cursor, err := s.pages.Open(ctx, req, req.GetPageToken())
	if err != nil {
		return nil, err
	}
	// The page before ended with this text; a question's key is less than any of these.
	before, beforeKey := uuid.Max, "~"
	if cursor != "" {
		at, key, _ := strings.Cut(cursor, " ")
		if before, err = uuid.Parse(at); err != nil {
			return nil, fmt.Errorf("page token: %w", err)
		}
		beforeKey = key
	}
	size := page.Size(req.GetPageSize())
	rows, err := s.queries.ListTextsOfTopic(ctx, s.pool, db.ListTextsOfTopicParams{
		QuestionnaireID: id, TopicKey: req.GetTopicKey(), Before: before, BeforeKey: beforeKey, Size: size + 1,
	})
	if err != nil {
		return nil, fmt.Errorf("list texts: %w", err)
	}
	out := new(surveyv1.ListCodedTextsResponse)
	if len(rows) > int(size) {
		rows = rows[:size]
		last := rows[size-1]
		if out.NextPageToken, err = s.pages.Seal(ctx, req, last.AnswerID.String()+" "+last.QuestionKey); err != nil {
			return nil, err
		}
	}
	for _, row := range rows {
		out.Texts = append(out.Texts, &surveyv1.CodedText{
			AnswerId: row.AnswerID.String(), QuestionKey: row.QuestionKey, Text: row.Body, TopicKeys: row.TopicKeys, ByHand: row.ByHand,
		})
	}
	return out, nil
}

// SetTextTopics corrects the topics of a text.
func (s *Server) SetTextTopics(ctx context.Context, req *surveyv1.SetTextTopicsRequest) (*surveyv1.CodedText, error) {
	questionnaireID, err := parse("questionnaire_id", req.GetQuestionnaireId())
	if err != nil {
		return nil, err
	}
	id, err := parse("answer_id", req.GetAnswerId())
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*surveyv1.CodedText, error) {
		given, err := s.queries.GetText(ctx, tx, id, questionnaireID, req.GetQuestionKey())
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, rpcerr.New(codes.NotFound, "ANSWER_NOT_FOUND", rpcerr.T(
				"There is no answer %[1]s to this questionnaire with a text for %[2]q; take both from its list of texts.",
				"该问卷没有对 %[2]q 填写了文本的答卷 %[1]s；请从文本列表中选取。", id, req.GetQuestionKey())).With("id", id.String())
		}
		if err != nil {
			return nil, fmt.Errorf("read text: %w", err)
		}
		// A coding under way would otherwise put its own topics beside.
		if err := s.queries.LockCleaning(ctx, tx, questionnaireID); err != nil {
			return nil, fmt.Errorf("lock cleaning: %w", err)
		}
		if err := s.knownTopics(ctx, tx, questionnaireID, req.GetTopicKeys()); err != nil {
			return nil, err
		}
		if err := s.setTopics(ctx, tx, questionnaireID, id, given.Score, req); err != nil {
			return nil, err
		}
		tx.AuditOf(uuidOf(given.CustomerID), "answer", id, struct {
			Question string
			Topics   []string
		}{req.GetQuestionKey(), req.GetTopicKeys()})
		return &surveyv1.CodedText{
			AnswerId: id.String(), QuestionKey: req.GetQuestionKey(), Text: value(given.Body), TopicKeys: slices.Sorted(slices.Values(req.GetTopicKeys())), ByHand: true,
		}, nil
	})
}

func (s *Server) knownTopics(ctx context.Context, tx *write.Tx, questionnaireID uuid.UUID, keys []string) error {
	dictionary, err := s.dictionary(ctx, tx, questionnaireID, 0)
	if err != nil {
		return err
	}
	var known []string
	for _, topic := range dictionary.GetTopics() {
		known = append(known, topic.GetKey())
	}
	for i, key := range keys {
		if !slices.Contains(known, key) {
			return rpcerr.Invalid(fmt.Sprintf("topic_keys[%d]", i), rpcerr.T("there is no topic %[1]q; give some of %[2]s.",
				"没有主题 %[1]q；请从 %[2]s 中选择。", key, strings.Join(known, ", ")))
		}
	}
	return nil
}

func (s *Server) setTopics(ctx context.Context, tx *write.Tx, questionnaireID, id uuid.UUID, score int16, req *surveyv1.SetTextTopicsRequest) error {
	if err := s.queries.DeleteTextTopics(ctx, tx, id, req.GetQuestionKey()); err != nil {
		return fmt.Errorf("delete topics: %w", err)
	}
	keys := req.GetTopicKeys()
	if len(keys) == 0 {
		keys = []string{""}
	}
	err := s.queries.InsertTextTopics(ctx, tx, db.InsertTextTopicsParams{
		AnswerID: id, QuestionKey: req.GetQuestionKey(), TopicKeys: keys, QuestionnaireID: questionnaireID, Score: score,
	})
	if err != nil {
		return fmt.Errorf("insert topics: %w", err)
	}
	return nil
}
