package server

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/triage"
)

const (
	// maxTeaching bounds the past tickets that a model learns from.
	maxTeaching = 20000
	// learnEvery is how old what was learned may get, and learnLook how often that is looked at.
	learnEvery = 24 * time.Hour
	learnLook  = time.Hour
)

// model is what was learned, as of a version.
type model struct {
	version int64
	fields  lesson
}

// lesson holds a classifier for each field that past tickets teach.
type lesson struct {
	Type       triage.Learned `json:"type"`
	Department triage.Learned `json:"department"`
}

// TrainTriageModel learns anew from past tickets.
func (s *Server) TrainTriageModel(ctx context.Context, req *ticketv1.TrainTriageModelRequest) (*ticketv1.TriageModel, error) {
	made, err := s.train(ctx)
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*ticketv1.TriageModel, error) {
		return s.keepModel(ctx, tx, made)
	})
}

// LearnDaily trains, until ctx ends, a model a day. Every replica runs it; what one has
// learned no other learns again.
func (s *Server) LearnDaily(ctx context.Context) error {
	return s.every(ctx, learnLook, "training of the triage model", s.LearnWhenOld)
}

// LearnWhenOld trains a model where the newest is a day old or there is none, and there are
// tickets that teach.
func (s *Server) LearnWhenOld(ctx context.Context) error {
	if old, err := s.modelOld(ctx, s.pool); err != nil || !old {
		return err
	}
	made, err := s.train(ctx)
	if err != nil || made.figures.GetTicketCount() == 0 {
		return err
	}
	return write.Job(ctx, s.write, "triage/train", func(ctx context.Context, tx *write.Tx) error {
		if err := s.q.LockTriageTraining(ctx, tx); err != nil {
			return fmt.Errorf("wait for other trainings: %w", err)
		}
		// Another replica may have been first.
		old, err := s.modelOld(ctx, tx)
		if err == nil && !old {
			tx.Unchanged()
		}
		if err != nil || !old {
			return err
		}
		_, err = s.keepModel(ctx, tx, made)
		return err
	})
}

// modelOld tells whether what was learned is a day old, or nothing was.
func (s *Server) modelOld(ctx context.Context, on db.DBTX) (bool, error) {
	latest, err := s.q.LatestTriageModel(ctx, on)
	if err != nil {
		return false, fmt.Errorf("find the newest model: %w", err)
	}
	return latest.Version == 0 || !s.now().Before(latest.CreateTime.Add(learnEvery)), nil
}

// trained is a model before it is stored.
type trained struct {
	figures *ticketv1.TriageModel
	content []byte
}

// train learns from past tickets. It takes seconds for many, so it is no part of a transaction.
func (s *Server) train(ctx context.Context) (trained, error) {
	rows, err := s.q.ListTeachingTickets(ctx, s.pool, maxTeaching)
	if err != nil {
		return trained{}, fmt.Errorf("read past tickets: %w", err)
	}
	slices.Reverse(rows) // the oldest first
	learned, figures := learn(rows)
	figures.CreateTime, figures.TicketCount = timestamppb.New(s.now()), int64(len(rows))
	content, err := json.Marshal(learned)
	if err != nil {
		return trained{}, fmt.Errorf("encode a model: %w", err)
	}
	return trained{figures, content}, nil
}

// keepModel stores what was learned; of older models only the figures stay.
func (s *Server) keepModel(ctx context.Context, tx *write.Tx, made trained) (*ticketv1.TriageModel, error) {
	id, err := newID()
	if err != nil {
		return nil, err
	}
	out := proto.CloneOf(made.figures)
	told, err := proto.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("encode figures: %w", err)
	}
	out.Version, err = s.q.InsertTriageModel(ctx, tx, db.InsertTriageModelParams{
		ID: id, CreateTime: out.GetCreateTime().AsTime(), Figures: told, Content: made.content,
	})
	if err != nil {
		return nil, fmt.Errorf("store a model: %w", err)
	}
	if err := s.q.ForgetTriageModels(ctx, tx, out.Version); err != nil {
		return nil, fmt.Errorf("forget older models: %w", err)
	}
	tx.Audit("triage-model", id, out)
	return out, nil
}

// learn makes a classifier of types and one of departments from tickets in the order of time.
func learn(rows []db.ListTeachingTicketsRow) (lesson, *ticketv1.TriageModel) {
	types, departments := make([]triage.Text, len(rows)), make([]triage.Text, len(rows))
	for i, row := range rows {
		features := triage.Features(row.Title + "\n" + row.Description)
		types[i].Features, departments[i].Features = features, features
		// What is told of nothing else is `other`, which teaches nothing.
		if kind := ticketv1.TicketType(row.Type); kind != ticketv1.TicketType_TICKET_TYPE_OTHER {
			types[i].Label = kind.String()
		}
		departments[i].Label = idString(row.DepartmentID)
	}
	out := lesson{Type: triage.Measure(types), Department: triage.Measure(departments)}
	at := func(i int) *timestamppb.Timestamp {
		if i >= len(rows) {
			return nil
		}
		return timestamppb.New(rows[i].CreateTime)
	}
	return out, &ticketv1.TriageModel{Accuracies: []*ticketv1.TriageAccuracy{
		accuracy(ticketv1.TriageField_TRIAGE_FIELD_TYPE, out.Type.Found, at),
		accuracy(ticketv1.TriageField_TRIAGE_FIELD_DEPARTMENT, out.Department.Found, at),
	}}
}

func accuracy(field ticketv1.TriageField, f triage.Figures, at func(int) *timestamppb.Timestamp) *ticketv1.TriageAccuracy {
	out := &ticketv1.TriageAccuracy{
		Field: field, TrainCount: int64(f.Train), TestCount: int64(f.Test), ValueCount: int32(f.Values),
		Accuracy: f.Accuracy(), BaselineAccuracy: f.BaselineAccuracy(), BaselineValue: f.Baseline, Used: f.Used(),
	}
	if f.Train > 0 && f.Test > 0 {
		out.TrainUntil, out.TestFrom, out.TestUntil = at(f.TrainUntil), at(f.TestFrom), at(f.Until)
	}
	switch {
	case out.GetUsed():
	case !f.Enough():
		out.UnusedReason = &typev1.Text{Zh: "工单数量或取值种类不足，无法衡量", En: "too few tickets, or only one value, to measure with"}
	default:
		out.UnusedReason = &typev1.Text{Zh: "不比始终选择最常见的值更准确", En: "it is right no more often than saying the commonest value"}
	}
	return out
}

// ListTriageModels lists what was learned, newest first.
func (s *Server) ListTriageModels(ctx context.Context, req *ticketv1.ListTriageModelsRequest) (*ticketv1.ListTriageModelsResponse, error) {
	before, err := s.versionBefore(ctx, req)
	if err != nil {
		return nil, err
	}
	rows, err := s.q.ListTriageModels(ctx, s.pool, before, onceMore(req))
	if err != nil {
		return nil, fmt.Errorf("list models: %w", err)
	}
	rows, next, err := onePage(ctx, s, req, rows, func(r db.ListTriageModelsRow) string { return strconv.FormatInt(r.Version, 10) })
	if err != nil {
		return nil, err
	}
	out := &ticketv1.ListTriageModelsResponse{NextPageToken: next}
	for _, row := range rows {
		one := new(ticketv1.TriageModel)
		if err := proto.Unmarshal(row.Figures, one); err != nil {
			return nil, fmt.Errorf("decode the figures of model %d: %w", row.Version, err)
		}
		one.Version = row.Version
		out.TriageModels = append(out.TriageModels, one)
	}
	return out, nil
}

// learned adds what past tickets suggest for a text.
func (s *Server) learned(ctx context.Context, to *ticketv1.TicketTriage, text string) error {
	latest, err := s.q.LatestTriageModel(ctx, s.pool)
	if err != nil {
		return fmt.Errorf("find the newest model: %w", err)
	}
	if latest.Version == 0 {
		return nil
	}
	known, err := s.triager.lesson(ctx, s.pool, latest.Version)
	if err != nil {
		return err
	}
	to.ModelVersion = known.version
	features := triage.Features(text)
	for _, of := range []struct {
		field   ticketv1.TriageField
		learned *triage.Learned
	}{
		{ticketv1.TriageField_TRIAGE_FIELD_TYPE, &known.fields.Type},
		{ticketv1.TriageField_TRIAGE_FIELD_DEPARTMENT, &known.fields.Department},
	} {
		if !of.learned.Found.Used() {
			continue
		}
		guess := of.learned.Bayes.Guess(features)
		made := &ticketv1.TriageSuggestion{
			Field: of.field, Source: ticketv1.TriageSource_TRIAGE_SOURCE_LEARNED, Confidence: of.learned.Found.Confidence(guess), Words: guess.Words,
			Reason: &typev1.Text{
				Zh: "以往工单：" + strings.Join(guess.Words, "、"), En: "past tickets: " + strings.Join(guess.Words, ", "),
			},
		}
		if of.field == ticketv1.TriageField_TRIAGE_FIELD_TYPE {
			made.Type = ticketv1.TicketType(ticketv1.TicketType_value[guess.Label])
		} else {
			made.DepartmentId = guess.Label
		}
		to.Learned = append(to.Learned, made)
	}
	return nil
}

// lesson gives what was learned as of a version, from memory where it can.
func (t *triager) lesson(ctx context.Context, on db.DBTX, version int64) (model, error) {
	t.mu.Lock()
	kept := t.model
	t.mu.Unlock()
	if kept.version >= version {
		return kept, nil
	}
	row, err := t.q.GetTriageModel(ctx, on, version)
	if err != nil {
		return model{}, fmt.Errorf("read a model: %w", err)
	}
	fresh := model{version: version}
	if row.Content == nil {
		// A newer one was learned since; the next call finds it.
		return kept, nil
	}
	if err := json.Unmarshal(row.Content, &fresh.fields); err != nil {
		return model{}, fmt.Errorf("decode model %d: %w", version, err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.model.version < version {
		t.model = fresh
	}
	return fresh, nil
}
