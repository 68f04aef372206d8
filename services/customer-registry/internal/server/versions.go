package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
)

// rules is one kind of versioned rule: its number in the table, its name in errors and in the
// audit trail, and how its message is made from a row whose definition was read.
type rules[M proto.Message] struct {
	kind int16
	name string
	fill func(m M, row *db.RuleVersion)
}

// draft stores a definition as the next version and gives its row.
func (r rules[M]) draft(ctx context.Context, s *Server, tx *write.Tx, author string, definition M) (*db.RuleVersion, error) {
	id, err := newID()
	if err != nil {
		return nil, err
	}
	encoded, err := protojson.Marshal(definition)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", r.name, err)
	}
	row := &db.RuleVersion{ID: id, Kind: r.kind, State: 1, Definition: encoded, Author: author, CreateTime: s.now(), Revision: 1}
	row.Version, err = s.q.InsertRuleVersion(ctx, tx, db.InsertRuleVersionParams{
		ID: id, Kind: r.kind, Definition: encoded, Author: author, CreateTime: row.CreateTime,
	})
	if err != nil {
		return nil, fmt.Errorf("insert %s: %w", r.name, err)
	}
	return row, nil
}

// message reads the definition of a row and fills in what the row knows.
func (r rules[M]) message(row *db.RuleVersion) (M, error) {
	var none M
	m, ok := none.ProtoReflect().New().Interface().(M)
	if !ok {
		return none, fmt.Errorf("%T is no generated message", none)
	}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(row.Definition, m); err != nil {
		return none, fmt.Errorf("decode %s %s: %w", r.name, row.ID, err)
	}
	r.fill(m, row)
	return m, nil
}

func (r rules[M]) missing(err error, id uuid.UUID) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return rpcerr.NotFound(r.name, id.String())
	}
	return fmt.Errorf("read %s: %w", r.name, err)
}

// get reads one version.
func (r rules[M]) get(ctx context.Context, s *Server, on pg.DBTX, id uuid.UUID) (M, error) {
	row, err := s.q.GetRuleVersion(ctx, on, id, r.kind)
	if err != nil {
		var none M
		return none, r.missing(err, id)
	}
	return r.message(&row)
}

// inEffect is the version in effect at an instant: the zero message for one before the first.
func (r rules[M]) inEffect(ctx context.Context, s *Server, on pg.DBTX, at time.Time) (M, error) {
	row, err := s.q.RuleInEffect(ctx, on, r.kind, &at)
	if err != nil {
		var none M
		if errors.Is(err, pgx.ErrNoRows) {
			return none, nil
		}
		return none, fmt.Errorf("read the %s in effect: %w", r.name, err)
	}
	return r.message(&row)
}

// publish puts a draft into effect by somebody who did not make it.
func (r rules[M]) publish(ctx context.Context, s *Server, tx *write.Tx, id uuid.UUID, given string, from *timestamppb.Timestamp) (M, error) {
	var none M
	row, err := s.q.LockRuleVersion(ctx, tx, id, r.kind)
	if err != nil {
		return none, r.missing(err, id)
	}
	if err := authz.SecondPerson(ctx, row.Author); err != nil {
		return none, err
	}
	if err := current(given, row.Revision, r.name, id); err != nil {
		return none, err
	}
	if row.State != 1 {
		return none, rpcerr.WrongState("VERSION_PUBLISHED", rpcerr.T(
			"Version %[1]d of the %[2]s is published already; make a draft for another one.",
			"版本 %[1]d（%[2]s）已发布；如需变更请新建草稿。", row.Version, r.name))
	}
	now := s.now()
	effective := now
	if from != nil {
		effective = micro(from.AsTime())
	}
	if effective.Before(now) {
		return none, rpcerr.Invalid("effective_time", rpcerr.T("it is %[1]s, which is in the past; give %[2]s or later",
			"时间为 %[1]s，早于当前时间；请填写不早于 %[2]s 的时间", effective.Format(time.RFC3339), now.Format(time.RFC3339)))
	}
	publisher := authn.FromContext(ctx).Actor()
	if err := s.q.PublishRuleVersion(ctx, tx, effective, publisher, id); err != nil {
		return none, fmt.Errorf("publish %s: %w", r.name, err)
	}
	row.State, row.EffectiveTime, row.Publisher, row.Revision = 2, &effective, &publisher, row.Revision+1
	return r.message(&row)
}

// list reads a page of versions, newest first.
func (r rules[M]) list(ctx context.Context, s *Server, req proto.Message, token string, size int32) ([]M, string, error) {
	before, err := s.idCursor(ctx, req, token, newestID)
	if err != nil {
		return nil, "", err
	}
	rows, err := s.q.ListRuleVersions(ctx, s.pool, r.kind, before, size+1)
	if err != nil {
		return nil, "", fmt.Errorf("list versions of the %s: %w", r.name, err)
	}
	rows, next, err := cut(ctx, s, req, rows, size, func(row *db.RuleVersion) string { return row.ID.String() })
	if err != nil {
		return nil, "", err
	}
	out := make([]M, 0, len(rows))
	for i := range rows {
		m, err := r.message(&rows[i])
		if err != nil {
			return nil, "", err
		}
		out = append(out, m)
	}
	return out, next, nil
}
