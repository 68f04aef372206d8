package server

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/rpc"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/internal/customerref"
	"github.com/kefu-suite/kefu/services/survey/internal/db"
	"github.com/kefu-suite/kefu/services/survey/internal/questionnaire"
)

// ImportAnswers keeps answers of another system, each at most once.
func (s *Server) ImportAnswers(ctx context.Context, req *surveyv1.ImportAnswersRequest) (*surveyv1.ImportAnswersResponse, error) {
	id, err := parse("questionnaire_id", req.GetQuestionnaireId())
	if err != nil {
		return nil, err
	}
	customers, err := customerref.EnsureAll(ctx, s.pool, customerIDs(req.GetRecords()), s.registry)
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*surveyv1.ImportAnswersResponse, error) {
		version, err := s.lastVersion(ctx, tx, id)
		if err != nil {
			return nil, err
		}
		if version.GetAnonymous() {
			return nil, rpcerr.WrongState("QUESTIONNAIRE_ANONYMOUS", rpcerr.T(
				"The questionnaire %[1]s is anonymous, and what is imported names its source; import into one that is not.",
				"问卷 %[1]s 为匿名问卷，而导入的回答带有来源；请导入到非匿名问卷。", id))
		}
		i := &intake{
			server: s, questionnaireID: id, version: version, source: req.GetSource(), customers: customers,
			now: s.moment(), language: rpc.Language(ctx), results: make([]*typev1.ImportResult, len(req.GetRecords())),
		}
		if err := i.run(ctx, tx, req.GetRecords()); err != nil {
			return nil, err
		}
		return &surveyv1.ImportAnswersResponse{Results: i.results}, nil
	})
}

// customerIDs are those of the records that are ids at all.
func customerIDs(records []*surveyv1.AnswerRecord) []uuid.UUID {
	var ids []uuid.UUID
	for _, record := range records {
		if id, err := optional("", record.GetCustomerId()); err == nil && id != nil {
			ids = append(ids, *id)
		}
	}
	return ids
}

// intake is one call's import.
type intake struct {
	server          *Server
	questionnaireID uuid.UUID
	version         *surveyv1.Questionnaire
	source          string
	customers       map[uuid.UUID]customerref.Ref
	now             time.Time
	language        string
	results         []*typev1.ImportResult
}

// accepted is a record that is to be stored.
type accepted struct {
	place     int
	row       db.Answer
	score     questionnaire.Score
	responses []*surveyv1.Response
}

func (i *intake) run(ctx context.Context, tx *write.Tx, records []*surveyv1.AnswerRecord) error {
	var external []string
	for place, record := range records {
		i.results[place] = &typev1.ImportResult{ExternalId: record.GetExternalId()}
		if !i.refuse(place, i.checkShape(record)) {
			external = append(external, record.GetExternalId())
		}
	}
	known, err := i.known(ctx, tx, external)
	if err != nil {
		return err
	}
	var take []accepted
	twins := map[int]string{} // later records of this call with the external id of an accepted one
	first := map[string]bool{}
	for place, record := range records {
		switch {
		case i.results[place].GetOutcome() != typev1.ImportOutcome_IMPORT_OUTCOME_UNSPECIFIED:
		case known[record.GetExternalId()] != uuid.Nil:
			i.exists(place, known[record.GetExternalId()])
		case first[record.GetExternalId()]:
			twins[place] = record.GetExternalId()
		case !i.refuse(place, i.checkRules(record)):
			a, err := i.accept(place, record)
			if err != nil {
				return err
			}
			take, first[record.GetExternalId()] = append(take, a), true
		}
	}
	stored, err := i.store(ctx, tx, take)
	if err != nil {
		return err
	}
	for place, external := range twins {
		i.exists(place, stored[external])
	}
	return nil
}

func (i *intake) exists(place int, id uuid.UUID) {
	i.results[place].Outcome, i.results[place].Id = typev1.ImportOutcome_IMPORT_OUTCOME_EXISTS, id.String()
}

func (i *intake) refuse(place int, refusals []*typev1.Refusal) bool {
	if len(refusals) == 0 {
		return false
	}
	i.results[place].Outcome, i.results[place].Refusals = typev1.ImportOutcome_IMPORT_OUTCOME_REFUSED, refusals
	return true
}

// checkShape tells what the rules of the proto forbid.
func (i *intake) checkShape(record *surveyv1.AnswerRecord) []*typev1.Refusal {
	if err := rpc.Check(i.server.validator, record); err != nil {
		return i.refusals(err)
	}
	if err := noNUL("external_id", record.GetExternalId()); err != nil {
		return i.refusals(err)
	}
	return i.refusals(noNUL("order_number", record.GetOrderNumber()))
}

// refusals gives one entry a field violation.
func (i *intake) refusals(err error) []*typev1.Refusal {
	if err == nil {
		return nil
	}
	public := new(rpcerr.Error)
	if !errors.As(err, &public) {
		return []*typev1.Refusal{{Reason: rpcerr.ReasonValidation, Message: err.Error()}}
	}
	var out []*typev1.Refusal
	for _, detail := range public.Status(i.language).Details() {
		bad, ok := detail.(*errdetails.BadRequest)
		if !ok {
			continue
		}
		for _, v := range bad.GetFieldViolations() {
			out = append(out, &typev1.Refusal{Reason: public.Reason(), Field: v.GetField(), Message: v.GetDescription()})
		}
	}
	return out
}

func (i *intake) refusal(reason, field string, text rpcerr.Text) *typev1.Refusal {
	return &typev1.Refusal{Reason: reason, Field: field, Message: text.In(i.language)}
}

// checkRules tells what else a record must meet.
func (i *intake) checkRules(record *surveyv1.AnswerRecord) []*typev1.Refusal {
	refusals := i.checkTimes(record)
	if id, _ := optional("", record.GetCustomerId()); id != nil {
		if _, known := i.customers[*id]; !known {
			refusals = append(refusals, i.refusal(rpcerr.ReasonValidation, "customer_id", rpcerr.T(
				"there is no customer %[1]s; give the id of a customer of the registry or none.",
				"没有客户 %[1]s；请填写客户资料中已有客户的 id，或留空。", id)))
		}
	}
	for _, fault := range questionnaire.CheckAnswer(i.version, i.facts(record), record.GetResponses()) {
		refusals = append(refusals, i.refusal("ANSWER_INVALID", fault.Path,
			rpcerr.Text{EN: fault.Text.EN + ".", ZH: fault.Text.ZH + "。"}))
	}
	return refusals
}

// facts are what is known of the record's customer; nothing without one.
func (i *intake) facts(record *surveyv1.AnswerRecord) questionnaire.Facts {
	id, _ := optional("", record.GetCustomerId())
	if id == nil {
		return nil
	}
	customer := i.customers[*id]
	return factsOf(customer, languageOf(customer))
}

// noInstant refuses a time that no clock shows.
func noInstant() rpcerr.Text {
	return rpcerr.T("it is no instant between the years 1 and 9999.", "不是公元 1 年至 9999 年之间的有效时间。")
}

func (i *intake) checkTimes(record *surveyv1.AnswerRecord) []*typev1.Refusal {
	if record.GetAnswerTime().CheckValid() != nil {
		return []*typev1.Refusal{i.refusal(rpcerr.ReasonValidation, "answer_time", noInstant())}
	}
	if record.GetInviteTime() != nil && record.GetInviteTime().CheckValid() != nil {
		return []*typev1.Refusal{i.refusal(rpcerr.ReasonValidation, "invite_time", noInstant())}
	}
	answered, invited := record.GetAnswerTime().AsTime(), record.GetInviteTime()
	var refusals []*typev1.Refusal
	if answered.After(i.now) {
		refusals = append(refusals, i.refusal(rpcerr.ReasonValidation, "answer_time", rpcerr.T(
			"it is %[1]s, which is in the future; give the time of the answer.", "为 %[1]s，晚于当前时间；请填写作答时间。",
			answered.Format(time.RFC3339))))
	}
	if invited != nil && invited.AsTime().After(answered) {
		refusals = append(refusals, i.refusal("ANSWER_TIMES_OUT_OF_ORDER", "invite_time", rpcerr.T(
			"it is %[1]s, after the answer at %[2]s; a customer is asked before answering.",
			"为 %[1]s，晚于作答时间 %[2]s；邀请时间不能晚于作答时间。",
			invited.AsTime().Format(time.RFC3339), answered.Format(time.RFC3339))))
	}
	return refusals
}

// accept makes the row of a record that passed.
func (i *intake) accept(place int, record *surveyv1.AnswerRecord) (accepted, error) {
	id, err := newID()
	if err != nil {
		return accepted{}, err
	}
	external := record.GetExternalId()
	a := accepted{place: place, responses: record.GetResponses(), score: i.server.low.Score(i.version, record.GetResponses())}
	a.row = db.Answer{
		ID: id, QuestionnaireID: i.questionnaireID, QuestionnaireVersion: i.version.GetVersion(),
		OrderNumber: record.GetOrderNumber(), Score: int16(a.score.First), Low: a.score.Low,
		AnswerTime: record.GetAnswerTime().AsTime().Truncate(time.Microsecond), Source: &i.source, ExternalID: &external,
	}
	if customer, err := optional("", record.GetCustomerId()); err == nil && customer != nil {
		survivor := i.customers[*customer].ID
		a.row.CustomerID = &survivor
	}
	if record.GetInviteTime() != nil {
		invited := record.GetInviteTime().AsTime().Truncate(time.Microsecond)
		a.row.InviteTime = &invited
	}
	return a, nil
}

// known finds the answers imported earlier, by external id.
func (i *intake) known(ctx context.Context, tx *write.Tx, external []string) (map[string]uuid.UUID, error) {
	rows, err := i.server.queries.ListImportedAnswers(ctx, tx, i.questionnaireID, i.source, external)
	if err != nil {
		return nil, fmt.Errorf("look imported answers up: %w", err)
	}
	known := make(map[string]uuid.UUID, len(rows))
	for _, row := range rows {
		known[value(row.ExternalID)] = row.ID
	}
	return known, nil
}

// store inserts what was accepted and gives the ids of all of it by external id, whether
// this call made the answer or another one at the same moment.
func (i *intake) store(ctx context.Context, tx *write.Tx, take []accepted) (map[string]uuid.UUID, error) {
	if len(take) == 0 {
		tx.Unchanged()
		return nil, nil
	}
	// Two imports of the same records must meet them in the same order.
	slices.SortFunc(take, func(a, b accepted) int { return strings.Compare(*a.row.ExternalID, *b.row.ExternalID) })
	made, err := i.insert(ctx, tx, take)
	if err != nil {
		return nil, err
	}
	ids := make(map[string]uuid.UUID, len(take))
	responses := responseRows(i.questionnaireID, i.version.GetVersion())
	var lost []string
	for _, a := range take {
		if !made[a.row.ID] {
			lost = append(lost, *a.row.ExternalID)
			continue
		}
		ids[*a.row.ExternalID] = a.row.ID
		addResponses(&responses, a.row.ID, a.responses)
		recordAnswer(tx, a.row, a.score, a.responses, true)
		i.results[a.place].Outcome, i.results[a.place].Id = typev1.ImportOutcome_IMPORT_OUTCOME_CREATED, a.row.ID.String()
	}
	if len(made) == 0 {
		tx.Unchanged()
	} else if err := i.server.insertResponses(ctx, tx, responses, slices.Collect(maps.Keys(made))); err != nil {
		return nil, err
	}
	return ids, i.settleLost(ctx, tx, take, lost, ids)
}

func (i *intake) insert(ctx context.Context, tx *write.Tx, take []accepted) (map[uuid.UUID]bool, error) {
	p := db.InsertAnswersParams{
		QuestionnaireID: i.questionnaireID, QuestionnaireVersion: i.version.GetVersion(), Source: i.source, RecordTime: i.now,
	}
	for _, a := range take {
		var invited time.Time // the zero time stands for none
		if a.row.InviteTime != nil {
			invited = *a.row.InviteTime
		}
		p.Ids, p.CustomerIds = append(p.Ids, a.row.ID), append(p.CustomerIds, uuidOf(a.row.CustomerID))
		p.OrderNumbers, p.ExternalIds = append(p.OrderNumbers, a.row.OrderNumber), append(p.ExternalIds, *a.row.ExternalID)
		p.Scores, p.Lows = append(p.Scores, a.row.Score), append(p.Lows, a.row.Low)
		p.AnswerTimes, p.InviteTimes = append(p.AnswerTimes, a.row.AnswerTime), append(p.InviteTimes, invited)
	}
	ids, err := i.server.queries.InsertAnswers(ctx, tx, p)
	if err != nil {
		return nil, fmt.Errorf("insert answers: %w", err)
	}
	made := make(map[uuid.UUID]bool, len(ids))
	for _, id := range ids {
		made[id] = true
	}
	return made, nil
}

// settleLost finds the answers that another import made since this one looked.
func (i *intake) settleLost(ctx context.Context, tx *write.Tx, take []accepted, lost []string, ids map[string]uuid.UUID) error {
	if len(lost) == 0 {
		return nil
	}
	known, err := i.known(ctx, tx, lost)
	if err != nil {
		return err
	}
	for _, a := range take {
		external := *a.row.ExternalID
		if _, made := ids[external]; made {
			continue
		}
		ids[external] = known[external]
		i.exists(a.place, known[external])
	}
	return nil
}
