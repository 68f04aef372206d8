package policy

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/internal/worktime"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations makes the table of policies; apply it before the service's own.
func Migrations() pg.MigrationSet { return pg.MigrationSet{Name: "policy", FS: migrations} }

// Reasons of the errors of a Book, besides POLICY_NOT_FOUND and ETAG_MISMATCH.
const (
	// ReasonNotDraft (FAILED_PRECONDITION): a published version never changes.
	ReasonNotDraft = "POLICY_NOT_DRAFT"
	// ReasonInvalid (FAILED_PRECONDITION): a draft with faults is not published.
	ReasonInvalid = "POLICY_INVALID"
)

// maxKept bounds the published versions kept in memory.
const maxKept = 256

// CalendarSource gives calendars as they are now; *calendar.Cache does.
type CalendarSource interface {
	Load(ctx context.Context, db pg.DBTX, id string) (*worktime.Calendar, int64, error)
}

// Book keeps the versions of the policy of one service: any number of drafts, and published
// ones of which at each instant one is in effect. It is safe for concurrent use. Its errors
// are public where the caller of an RPC is at fault.
type Book struct {
	words     Vocabulary
	calendars CalendarSource
	now       func() time.Time

	mu   sync.Mutex
	kept map[int64]*clockv1.Policy // published ones, by version
}

// NewBook makes a Book. words.Calendar is not looked at: the Book asks calendars itself.
func NewBook(words Vocabulary, calendars CalendarSource, now func() time.Time) *Book {
	return &Book{words: words, calendars: calendars, now: now, kept: map[int64]*clockv1.Policy{}}
}

const selectPolicy = `
SELECT p.id, p.version, p.state, p.effective_time, p.definition, p.create_time, p.update_time, p.revision,
  p.state = 2 AND EXISTS (SELECT FROM clock_policies q WHERE q.state = 2 AND q.effective_time <= $1
    AND (q.effective_time, q.version) > (p.effective_time, p.version))
FROM clock_policies p `

// scan reads a row of selectPolicy.
func scan(row pgx.Row) (*clockv1.Policy, error) {
	var (
		id                 uuid.UUID
		version, revision  int64
		state              int16
		effective          *time.Time
		definition         []byte
		createTime, update time.Time
		retired            bool
	)
	err := row.Scan(&id, &version, &state, &effective, &definition, &createTime, &update, &revision, &retired)
	if err != nil {
		return nil, err
	}
	p := new(clockv1.Policy)
	if err := proto.Unmarshal(definition, p); err != nil {
		return nil, fmt.Errorf("decode policy %s: %w", id, err)
	}
	p.Id, p.Version, p.State, p.Etag = id.String(), version, clockv1.PolicyState(state), strconv.FormatInt(revision, 10)
	if retired {
		p.State = clockv1.PolicyState_POLICY_STATE_RETIRED
	}
	p.CreateTime, p.UpdateTime = timestamppb.New(createTime), timestamppb.New(update)
	if effective != nil {
		p.EffectiveTime = timestamppb.New(*effective)
	}
	return p, nil
}

// encode gives what callers may set of a policy.
func encode(p *clockv1.Policy) ([]byte, error) {
	out, err := proto.MarshalOptions{Deterministic: true}.Marshal(
		&clockv1.Policy{Name: p.GetName(), Note: p.GetNote(), Clauses: p.GetClauses()})
	if err != nil {
		return nil, fmt.Errorf("encode a policy: %w", err)
	}
	return out, nil
}

// Create stores a draft, with whatever faults it has, and audits it.
func (b *Book) Create(ctx context.Context, tx *write.Tx, draft *clockv1.Policy) (*clockv1.Policy, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("policy id: %w", err)
	}
	definition, err := encode(draft)
	if err != nil {
		return nil, err
	}
	_, err = tx.Exec(ctx, `
INSERT INTO clock_policies (id, version, state, definition, create_time, update_time, revision)
VALUES ($1, nextval('clock_policy_versions'), 1, $2, $3, $3, 1)`, id, definition, b.now())
	if err != nil {
		return nil, fmt.Errorf("store a policy: %w", err)
	}
	return b.changed(ctx, tx, id)
}

// changed gives a policy after a write and audits that.
func (b *Book) changed(ctx context.Context, tx *write.Tx, id uuid.UUID) (*clockv1.Policy, error) {
	p, err := b.Get(ctx, tx, id.String())
	if err != nil {
		return nil, err
	}
	tx.Audit("policy", id, p)
	return p, nil
}

// Get gives a version by its id or its number.
func (b *Book) Get(ctx context.Context, db pg.DBTX, name string) (*clockv1.Policy, error) {
	where, key, err := named(name)
	if err != nil {
		return nil, err
	}
	return b.one(db.QueryRow(ctx, selectPolicy+where, b.now(), key), name)
}

// named gives the condition that a name, an id or a number, stands for.
func named(name string) (where string, key any, err error) {
	if n, err := strconv.ParseInt(name, 10, 64); err == nil {
		return `WHERE p.version = $2`, n, nil
	}
	id, err := uuid.Parse(name)
	if err != nil {
		return "", nil, rpcerr.NotFound("policy", name)
	}
	return `WHERE p.id = $2`, id, nil
}

func (b *Book) one(row pgx.Row, name string) (*clockv1.Policy, error) {
	p, err := scan(row)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, rpcerr.NotFound("policy", name)
	}
	if err != nil {
		return nil, fmt.Errorf("read a policy: %w", err)
	}
	return p, nil
}

// List gives versions, newest first, from the one before a version on; before 0 is from the
// newest.
func (b *Book) List(ctx context.Context, db pg.DBTX, before int64, size int32) ([]*clockv1.Policy, error) {
	rows, err := db.Query(ctx, selectPolicy+`WHERE $2 = 0 OR p.version < $2 ORDER BY p.version DESC LIMIT $3`, b.now(), before, size)
	if err != nil {
		return nil, fmt.Errorf("list policies: %w", err)
	}
	out, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*clockv1.Policy, error) { return scan(row) })
	if err != nil {
		return nil, fmt.Errorf("list policies: %w", err)
	}
	return out, nil
}

// hold locks a draft for a change.
func (b *Book) hold(ctx context.Context, tx *write.Tx, name, etag string) (*clockv1.Policy, error) {
	where, key, err := named(name)
	if err != nil {
		return nil, err
	}
	p, err := b.one(tx.QueryRow(ctx, selectPolicy+where+` FOR UPDATE OF p`, b.now(), key), name)
	if err != nil {
		return nil, err
	}
	if p.GetState() != clockv1.PolicyState_POLICY_STATE_DRAFT {
		return nil, rpcerr.WrongState(ReasonNotDraft, rpcerr.T(
			"Version %[1]d of the policy is published and never changes; make a draft of what should apply next.",
			"策略第 %[1]d 版已发布，不能再修改；请为今后适用的内容新建草稿。", p.GetVersion())).
			With("version", strconv.FormatInt(p.GetVersion(), 10))
	}
	if etag != "" && etag != p.GetEtag() {
		return nil, rpcerr.Stale("policy", p.GetId())
	}
	return p, nil
}

// Update changes name, note and clauses of a draft to what change gives for it, and audits
// it. An empty etag overwrites whatever is there.
func (b *Book) Update(ctx context.Context, tx *write.Tx, name, etag string, change func(now *clockv1.Policy) (*clockv1.Policy, error)) (*clockv1.Policy, error) {
	p, err := b.hold(ctx, tx, name, etag)
	if err != nil {
		return nil, err
	}
	draft, err := change(p)
	if err != nil {
		return nil, err
	}
	definition, err := encode(draft)
	if err != nil {
		return nil, err
	}
	id := uuid.MustParse(p.GetId())
	_, err = tx.Exec(ctx, `UPDATE clock_policies SET definition = $2, update_time = $3, revision = revision + 1 WHERE id = $1`,
		id, definition, b.now())
	if err != nil {
		return nil, fmt.Errorf("update a policy: %w", err)
	}
	return b.changed(ctx, tx, id)
}

// Publish lets a draft apply to cases that begin at an instant or later, and audits it; the
// zero time is now. Refused are an instant in the past and a draft with faults.
func (b *Book) Publish(ctx context.Context, tx *write.Tx, name, etag string, from time.Time) (*clockv1.Policy, error) {
	p, err := b.hold(ctx, tx, name, etag)
	if err != nil {
		return nil, err
	}
	now := b.now()
	if from.IsZero() {
		from = now
	}
	if from.Before(now) {
		return nil, rpcerr.Invalid("effective_time", rpcerr.T(
			"it is %[1]s, before now; give the present or a later instant, so that no case began under another version",
			"现为 %[1]s，早于当前时间；请填写当前或以后的时刻", from.UTC().Format(time.RFC3339)))
	}
	if err := b.sound(ctx, tx, p); err != nil {
		return nil, err
	}
	id := uuid.MustParse(p.GetId())
	_, err = tx.Exec(ctx, `
UPDATE clock_policies SET state = 2, effective_time = $2, update_time = $3, revision = revision + 1 WHERE id = $1`, id, from, now)
	if err != nil {
		return nil, fmt.Errorf("publish a policy: %w", err)
	}
	return b.changed(ctx, tx, id)
}

// sound refuses a version with faults, naming each.
func (b *Book) sound(ctx context.Context, db pg.DBTX, p *clockv1.Policy) error {
	faults, err := b.Validate(ctx, db, p)
	if err != nil || len(faults) == 0 {
		return err
	}
	refusal := rpcerr.WrongState(ReasonInvalid, rpcerr.T(
		"Version %[1]d of the policy has %[2]d faults; mend them first.", "策略第 %[1]d 版有 %[2]d 处错误；请先修正。", p.GetVersion(), len(faults)))
	for _, f := range faults {
		refusal = refusal.Field("policy."+f.GetField(), rpcerr.Text{EN: f.GetText().GetEn(), ZH: f.GetText().GetZh()})
	}
	return refusal
}

// Validate names everything that is wrong with a version: also calendars that do not exist,
// targets that their calendars never reach, and clause ids that stand for another kind of
// clock in the version in effect.
func (b *Book) Validate(ctx context.Context, db pg.DBTX, p *clockv1.Policy) ([]*clockv1.PolicyFault, error) {
	known, err := b.known(ctx, db, p)
	if err != nil {
		return nil, err
	}
	words := b.words
	words.Calendar = func(id string) bool { return known[id] != nil }
	words.Reach = func(id string, target worktime.Target) error { return reach(known[id], b.now(), target) }
	words.Kind, err = b.standing(ctx, db)
	if err != nil {
		return nil, err
	}
	return Validate(p, words), nil
}

// reach tells whether a target from an instant on is ever complete.
func reach(cal *worktime.Calendar, start time.Time, target worktime.Target) (err error) {
	if cal == nil {
		return nil
	}
	working := target.WorkingTime
	if target.WorkingDays != 0 {
		working, err = cal.WorkingTime(start, target.WorkingDays)
	}
	if err == nil {
		_, err = cal.Add(start, working)
	}
	return err
}

// standing gives the kind of clock that a clause id stands for in the version in effect,
// empty for none.
func (b *Book) standing(ctx context.Context, db pg.DBTX) (func(clauseID string) string, error) {
	p, err := b.InEffect(ctx, db, b.now())
	var public *rpcerr.Error
	if err != nil && !errors.As(err, &public) {
		return nil, err
	}
	kinds := map[string]string{} // none before the first version
	for _, c := range p.GetClauses() {
		kinds[c.GetClauseId()] = c.GetKind()
	}
	return func(id string) string { return kinds[id] }, nil
}

// Calendars loads the calendars that policies name; the result does no I/O.
func (b *Book) Calendars(ctx context.Context, db pg.DBTX, policies ...*clockv1.Policy) (Calendars, error) {
	known, err := b.known(ctx, db, policies...)
	if err != nil {
		return nil, err
	}
	return Loaded(known), nil
}

// known loads calendars; ones that do not exist, or cannot be had, are left out unless the
// database fails.
func (b *Book) known(ctx context.Context, db pg.DBTX, policies ...*clockv1.Policy) (map[string]*worktime.Calendar, error) {
	out := map[string]*worktime.Calendar{}
	for _, p := range policies {
		for _, c := range p.GetClauses() {
			id := c.GetCalendarId()
			if _, ok := out[id]; ok || id == "" {
				continue
			}
			cal, _, err := b.calendars.Load(ctx, db, id)
			if pg.Unavailable(err) || ctx.Err() != nil || pg.Code(err) != "" {
				return nil, fmt.Errorf("calendar %q: %w", id, err)
			}
			out[id] = cal
		}
	}
	return out, nil
}

// InEffect gives the version that cases beginning at an instant come under. The policy is
// shared and must not be changed. POLICY_NOT_FOUND where none is in effect.
func (b *Book) InEffect(ctx context.Context, db pg.DBTX, at time.Time) (*clockv1.Policy, error) {
	var version int64
	if err := db.QueryRow(ctx, `SELECT policy_in_effect($1)`, at).Scan(&version); err != nil {
		return nil, fmt.Errorf("read the policy in effect: %w", err)
	}
	return b.Published(ctx, db, version)
}

// Published gives a published version by its number, from memory where it can: what a case
// goes by. The policy is shared and must not be changed; its state is that of the first
// reading. POLICY_NOT_FOUND where there is none, or it is a draft.
func (b *Book) Published(ctx context.Context, db pg.DBTX, version int64) (*clockv1.Policy, error) {
	b.mu.Lock()
	p := b.kept[version]
	b.mu.Unlock()
	if p != nil {
		return p, nil
	}
	name := strconv.FormatInt(version, 10)
	p, err := b.Get(ctx, db, name)
	if err != nil {
		return nil, err
	}
	if p.GetState() == clockv1.PolicyState_POLICY_STATE_DRAFT {
		return nil, rpcerr.NotFound("policy", name)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.kept) >= maxKept {
		clear(b.kept)
	}
	b.kept[version] = p
	return p, nil
}

// Applicable gives a published version that is in effect or was, for a case that is to go
// by it; any other is refused as a value of the field.
func (b *Book) Applicable(ctx context.Context, db pg.DBTX, field string, version int64) (*clockv1.Policy, error) {
	p, err := b.Published(ctx, db, version)
	var public *rpcerr.Error
	switch {
	case errors.As(err, &public):
		return nil, rpcerr.Invalid(field, rpcerr.T(
			"%[1]d is no published version; give the number of one that the list of policies shows as published or retired",
			"%[1]d 不是已发布的版本；请填写策略列表中状态为已发布或已停用的版本号", version))
	case err != nil:
		return nil, err
	case p.GetEffectiveTime().AsTime().After(b.now()):
		return nil, rpcerr.Invalid(field, rpcerr.T(
			"version %[1]d applies from %[2]s on; give one that applies by now", "第 %[1]d 版自 %[2]s 起适用；请填写目前已适用的版本",
			version, p.GetEffectiveTime().AsTime().Format(time.RFC3339)))
	}
	return p, nil
}

// Seed publishes a policy from the beginning of time unless any is published, and says
// whether it did; it audits nothing then. It takes a lock, so any number of replicas may
// seed at once.
func (b *Book) Seed(ctx context.Context, tx *write.Tx, p *clockv1.Policy) (bool, error) {
	var there bool
	err := tx.QueryRow(ctx, `
SELECT EXISTS (SELECT FROM clock_policies WHERE state = 2) FROM pg_advisory_xact_lock(hashtext('clock_policies'))`).Scan(&there)
	if err == nil && !there {
		// The lock was waited for after the statement's snapshot.
		err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM clock_policies WHERE state = 2)`).Scan(&there)
	}
	if err != nil {
		return false, fmt.Errorf("look for a policy: %w", err)
	}
	if there {
		return false, nil
	}
	draft, err := b.Create(ctx, tx, p)
	if err != nil {
		return false, err
	}
	faults, err := b.Validate(ctx, tx, draft)
	if err != nil {
		return false, err
	}
	if len(faults) > 0 {
		return false, fmt.Errorf("the first policy is wrong at %s: %s", faults[0].GetField(), faults[0].GetText().GetEn())
	}
	_, err = tx.Exec(ctx, `UPDATE clock_policies SET state = 2, effective_time = 'epoch', revision = revision + 1 WHERE id = $1`, draft.GetId())
	if err != nil {
		return false, fmt.Errorf("publish the first policy: %w", err)
	}
	return true, nil
}
