package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/page"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpc"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/internal/fieldmask"
	"github.com/kefu-suite/kefu/services/survey/internal/db"
	"github.com/kefu-suite/kefu/services/survey/internal/questionnaire"
)

// CreateQuestionnaire begins a draft.
func (s *Server) CreateQuestionnaire(ctx context.Context, req *surveyv1.CreateQuestionnaireRequest) (*surveyv1.Questionnaire, error) {
	draft := questionnaire.Content(req.GetQuestionnaire())
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*surveyv1.Questionnaire, error) {
		return s.begin(ctx, tx, "questionnaire.", draft)
	})
}

func recordQuestionnaire(tx *write.Tx, kind string, row db.Questionnaire, content *surveyv1.Questionnaire) {
	tx.Emit(event.Event{
		Type: kind, SubjectID: row.ID, SubjectVersion: row.Version,
		Payload: &surveyv1.QuestionnairePublished{Version: row.PublishedVersion},
	})
	tx.Audit("questionnaire", row.ID, content)
}

// checkDraft tells the limits that depend on where a text stands; prefix leads the paths.
func checkDraft(prefix string, draft *surveyv1.Questionnaire) error {
	if faults := questionnaire.CheckDraft(draft); len(faults) > 0 {
		return faulty(codes.InvalidArgument, rpcerr.ReasonValidation, prefix,
			rpcerr.T("The request is not valid", "请求无效"), faults)
	}
	return nil
}

// GetQuestionnaire gives the draft or a published version.
func (s *Server) GetQuestionnaire(ctx context.Context, req *surveyv1.GetQuestionnaireRequest) (*surveyv1.Questionnaire, error) {
	id, err := parse("id", req.GetId())
	if err != nil {
		return nil, err
	}
	row, err := s.questionnaire(ctx, s.pool, id)
	if err != nil {
		return nil, err
	}
	if req.GetVersion() == 0 {
		return draftOf(row)
	}
	version, err := s.queries.GetQuestionnaireVersion(ctx, s.pool, id, req.GetVersion())
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, unknownVersion(row, req.GetVersion())
	}
	if err != nil {
		return nil, fmt.Errorf("read version: %w", err)
	}
	return publishedOf(row, version)
}

func unknownVersion(row db.Questionnaire, version int32) error {
	text := rpcerr.T("The questionnaire %[1]s has no version %[2]d; its last published one is %[3]d.",
		"问卷 %[1]s 没有版本 %[2]d；最近发布的版本为 %[3]d。", row.ID, version, row.PublishedVersion)
	if row.PublishedVersion == 0 {
		text = rpcerr.T("The questionnaire %[1]s has no version %[2]d; none is published yet.",
			"问卷 %[1]s 没有版本 %[2]d；尚未发布任何版本。", row.ID, version)
	}
	return rpcerr.New(codes.NotFound, "QUESTIONNAIRE_NOT_FOUND", text).With("id", row.ID.String())
}

func (s *Server) questionnaire(ctx context.Context, from pg.DBTX, id uuid.UUID) (db.Questionnaire, error) {
	row, err := s.queries.GetQuestionnaire(ctx, from, id)
	return foundQuestionnaire(row, err, id)
}

func foundQuestionnaire(row db.Questionnaire, err error, id uuid.UUID) (db.Questionnaire, error) {
	if errors.Is(err, pgx.ErrNoRows) {
		return row, rpcerr.NotFound("questionnaire", id.String())
	}
	if err != nil {
		return row, fmt.Errorf("read questionnaire: %w", err)
	}
	return row, nil
}

// ListQuestionnaires gives drafts, the newest first.
func (s *Server) ListQuestionnaires(ctx context.Context, req *surveyv1.ListQuestionnairesRequest) (*surveyv1.ListQuestionnairesResponse, error) {
	before, err := s.before(ctx, req)
	if err != nil {
		return nil, err
	}
	size := page.Size(req.GetPageSize())
	rows, err := s.queries.ListQuestionnaires(ctx, s.pool, before, size+1)
	if err != nil {
		return nil, fmt.Errorf("list questionnaires: %w", err)
	}
	out := new(surveyv1.ListQuestionnairesResponse)
	rows, out.NextPageToken, err = cut(ctx, s.pages, req, rows, size, func(r db.Questionnaire) uuid.UUID { return r.ID })
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		q, err := draftOf(row)
		if err != nil {
			return nil, err
		}
		out.Questionnaires = append(out.Questionnaires, q)
	}
	return out, nil
}

// UpdateQuestionnaire changes the draft.
func (s *Server) UpdateQuestionnaire(ctx context.Context, req *surveyv1.UpdateQuestionnaireRequest) (*surveyv1.Questionnaire, error) {
	id, err := parse("questionnaire.id", req.GetQuestionnaire().GetId())
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*surveyv1.Questionnaire, error) {
		row, err := s.lockQuestionnaire(ctx, tx, id, req.GetQuestionnaire().GetEtag())
		if err != nil {
			return nil, err
		}
		draft, err := decode(row.Draft)
		if err != nil {
			return nil, err
		}
		before := proto.CloneOf(draft)
		if err := s.change(draft, req); err != nil {
			return nil, err
		}
		if proto.Equal(before, draft) {
			tx.Unchanged()
			return draftOf(row)
		}
		row.UpdateTime, row.Version = s.moment(), row.Version+1
		if row.Draft, err = encode(draft); err != nil {
			return nil, err
		}
		if err := s.queries.UpdateQuestionnaireDraft(ctx, tx, row.Draft, row.UpdateTime, id); err != nil {
			return nil, fmt.Errorf("update draft: %w", err)
		}
		recordQuestionnaire(tx, "questionnaire.drafted.v1", row, draft)
		return draftOf(row)
	})
}

// change applies the mask and checks the result as if it were new.
func (s *Server) change(draft *surveyv1.Questionnaire, req *surveyv1.UpdateQuestionnaireRequest) error {
	if err := fieldmask.Apply(draft, req.GetQuestionnaire(), req.GetUpdateMask(), "id"); err != nil {
		return err
	}
	content := questionnaire.Content(draft)
	proto.Reset(draft)
	proto.Merge(draft, content)
	if err := rpc.Check(s.validator, &surveyv1.CreateQuestionnaireRequest{Questionnaire: draft}); err != nil {
		return err
	}
	return checkDraft("questionnaire.", draft)
}

func (s *Server) lockQuestionnaire(ctx context.Context, tx *write.Tx, id uuid.UUID, tag string) (db.Questionnaire, error) {
	row, err := s.queries.LockQuestionnaire(ctx, tx, id)
	if row, err = foundQuestionnaire(row, err, id); err != nil {
		return row, err
	}
	if tag != "" && tag != etag(row.Version) {
		return row, rpcerr.Stale("questionnaire", id.String())
	}
	return row, nil
}

// PublishQuestionnaire freezes the draft as the next version.
func (s *Server) PublishQuestionnaire(ctx context.Context, req *surveyv1.PublishQuestionnaireRequest) (*surveyv1.Questionnaire, error) {
	id, err := parse("id", req.GetId())
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*surveyv1.Questionnaire, error) {
		row, err := s.lockQuestionnaire(ctx, tx, id, req.GetEtag())
		if err != nil {
			return nil, err
		}
		draft, err := decode(row.Draft)
		if err != nil {
			return nil, err
		}
		faults, err := s.checkPublish(ctx, tx, id, draft)
		if err != nil {
			return nil, err
		}
		if faults = questionnaire.Blocking(faults); len(faults) > 0 {
			return nil, faulty(codes.FailedPrecondition, "QUESTIONNAIRE_INCOMPLETE", "questionnaire.",
				rpcerr.T("The draft cannot be published yet", "草稿尚不能发布"), faults)
		}
		if err := s.checkChanged(ctx, tx, row, draft); err != nil {
			return nil, err
		}
		now := s.moment()
		row.PublishedVersion, row.PublishedTrigger = row.PublishedVersion+1, int16(draft.GetTrigger())
		row.PublishTime, row.UpdateTime, row.Version = &now, now, row.Version+1
		if err := s.publish(ctx, tx, row); err != nil {
			return nil, err
		}
		if err := s.placeQuestions(ctx, tx, row, draft); err != nil {
			return nil, err
		}
		recordQuestionnaire(tx, "questionnaire.published.v1", row, draft)
		return draftOf(row)
	})
}

func (s *Server) checkChanged(ctx context.Context, tx *write.Tx, row db.Questionnaire, draft *surveyv1.Questionnaire) error {
	if row.PublishedVersion == 0 {
		return nil
	}
	last, err := s.queries.GetQuestionnaireVersion(ctx, tx, row.ID, row.PublishedVersion)
	if err != nil {
		return fmt.Errorf("read last version: %w", err)
	}
	content, err := decode(last.Content)
	if err != nil {
		return err
	}
	if proto.Equal(content, draft) {
		return rpcerr.WrongState("QUESTIONNAIRE_UNCHANGED", rpcerr.T(
			"The draft equals version %[1]d, which is published already; change it first.",
			"草稿与已发布的版本 %[1]d 相同；请先修改。", row.PublishedVersion))
	}
	return nil
}

func (s *Server) publish(ctx context.Context, tx *write.Tx, row db.Questionnaire) error {
	err := s.queries.InsertQuestionnaireVersion(ctx, tx, db.InsertQuestionnaireVersionParams{
		QuestionnaireID: row.ID, Version: row.PublishedVersion, Content: row.Draft,
		PublishTime: *row.PublishTime, PublishActor: authn.FromContext(ctx).Actor(),
	})
	if err != nil {
		return fmt.Errorf("insert version: %w", err)
	}
	err = s.queries.UpdateQuestionnairePublished(ctx, tx, db.UpdateQuestionnairePublishedParams{
		PublishedVersion: row.PublishedVersion, PublishedTrigger: row.PublishedTrigger,
		PublishTime: row.PublishTime, ID: row.ID,
	})
	if err != nil {
		return fmt.Errorf("update questionnaire: %w", err)
	}
	return nil
}

// lastVersion gives the last published version, which a questionnaire must have to be sent.
func (s *Server) lastVersion(ctx context.Context, from pg.DBTX, id uuid.UUID) (*surveyv1.Questionnaire, error) {
	row, err := s.questionnaire(ctx, from, id)
	if err != nil {
		return nil, err
	}
	if row.PublishedVersion == 0 {
		return nil, rpcerr.WrongState("QUESTIONNAIRE_NOT_PUBLISHED", rpcerr.T(
			"The questionnaire %[1]s is a draft without a published version; publish it first.",
			"问卷 %[1]s 仍是草稿，尚未发布；请先发布。", id))
	}
	return s.version(ctx, from, id, row.PublishedVersion)
}

// version gives a published version that is known to exist: id, number and content.
func (s *Server) version(ctx context.Context, from pg.DBTX, id uuid.UUID, number int32) (*surveyv1.Questionnaire, error) {
	row, err := s.queries.GetQuestionnaireVersion(ctx, from, id, number)
	if err != nil {
		return nil, fmt.Errorf("read version %d of questionnaire %s: %w", number, id, err)
	}
	q, err := decode(row.Content)
	if err != nil {
		return nil, err
	}
	q.Id, q.Version, q.PublishTime = id.String(), number, timestamppb.New(row.PublishTime)
	return q, nil
}
