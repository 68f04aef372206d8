package server

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/rpc"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/internal/fieldmask"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/triage"
)

const (
	kindTriageRules = "triage rules"
	// Of versions, as they stand in the table.
	triageDraft     = int16(ticketv1.TriageRulesState_TRIAGE_RULES_STATE_DRAFT)
	triagePublished = int16(ticketv1.TriageRulesState_TRIAGE_RULES_STATE_PUBLISHED)
)

// SeedTriage publishes the built-in rules of triage where no version is.
func (s *Server) SeedTriage(ctx context.Context) error {
	return write.Job(ctx, s.write, "triage/seed", func(ctx context.Context, tx *write.Tx) error {
		if err := s.q.LockTriageSeed(ctx, tx); err != nil {
			return fmt.Errorf("wait for other replicas: %w", err)
		}
		there, err := s.q.ListTriageRules(ctx, tx, math.MaxInt64, 1)
		if err != nil {
			return fmt.Errorf("look for rules of triage: %w", err)
		}
		if len(there) > 0 {
			tx.Unchanged()
			return nil
		}
		row, err := s.addTriageRules(ctx, tx, &ticketv1.TriageRules{
			Note: "内置规则 · built in", Rules: triage.Standard(), PriorityMatrix: ticket.StandardMatrix(),
		})
		if err != nil {
			return err
		}
		beginning := time.Unix(0, 0).UTC()
		row.State, row.EffectiveTime = triagePublished, &beginning
		_, err = s.storeTriageRules(ctx, tx, row)
		return err
	})
}

// addTriageRules stores a draft.
func (s *Server) addTriageRules(ctx context.Context, tx *write.Tx, in *ticketv1.TriageRules) (*db.TriageRule, error) {
	id, err := newID()
	if err != nil {
		return nil, err
	}
	content, err := encodeTriageRules(in)
	if err != nil {
		return nil, err
	}
	row, err := s.q.InsertTriageRules(ctx, tx, id, content, s.now())
	if err != nil {
		return nil, fmt.Errorf("add rules of triage: %w", err)
	}
	return &row, nil
}

// encodeTriageRules gives what callers may set of a version.
func encodeTriageRules(in *ticketv1.TriageRules) ([]byte, error) {
	out, err := proto.MarshalOptions{Deterministic: true}.Marshal(&ticketv1.TriageRules{
		Note: in.GetNote(), Rules: in.GetRules(), PriorityMatrix: in.GetPriorityMatrix(),
	})
	if err != nil {
		return nil, fmt.Errorf("encode rules of triage: %w", err)
	}
	return out, nil
}

// storeTriageRules stores a changed version and audits it.
func (s *Server) storeTriageRules(ctx context.Context, tx *write.Tx, row *db.TriageRule) (*ticketv1.TriageRules, error) {
	row.UpdateTime, row.Revision = s.now(), row.Revision+1
	if err := s.q.UpdateTriageRules(ctx, tx, db.UpdateTriageRulesParams{
		Version: row.Version, State: row.State, EffectiveTime: row.EffectiveTime, Content: row.Content, UpdateTime: row.UpdateTime, Revision: row.Revision,
	}); err != nil {
		return nil, fmt.Errorf("store rules of triage: %w", err)
	}
	return s.auditTriageRules(tx, row)
}

func (s *Server) auditTriageRules(tx *write.Tx, row *db.TriageRule) (*ticketv1.TriageRules, error) {
	out, err := triageRulesProto(row)
	if err != nil {
		return nil, err
	}
	tx.Audit("triage-rules", row.ID, out)
	return out, nil
}

func triageRulesProto(row *db.TriageRule) (*ticketv1.TriageRules, error) {
	out := new(ticketv1.TriageRules)
	if err := proto.Unmarshal(row.Content, out); err != nil {
		return nil, fmt.Errorf("decode rules of triage %d: %w", row.Version, err)
	}
	if len(out.GetPriorityMatrix()) == 0 {
		out.PriorityMatrix = ticket.StandardMatrix()
	}
	out.Version, out.State, out.EffectiveTime = row.Version, ticketv1.TriageRulesState(row.State), stamp(row.EffectiveTime)
	out.CreateTime, out.UpdateTime, out.Etag = timestamppb.New(row.CreateTime), timestamppb.New(row.UpdateTime), etag(row.Revision)
	return out, nil
}

// CreateTriageRules makes a draft.
func (s *Server) CreateTriageRules(ctx context.Context, req *ticketv1.CreateTriageRulesRequest) (*ticketv1.TriageRules, error) {
	in := req.GetTriageRules()
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*ticketv1.TriageRules, error) {
		draft := &ticketv1.TriageRules{Note: in.GetNote(), Rules: in.GetRules(), PriorityMatrix: in.GetPriorityMatrix()}
		if len(draft.GetRules()) == 0 || len(draft.GetPriorityMatrix()) == 0 {
			version, err := s.q.TriageRulesInEffect(ctx, tx, s.now())
			if err != nil {
				return nil, fmt.Errorf("find the rules of triage in effect: %w", err)
			}
			base, err := s.triageRules(ctx, tx, version)
			if err != nil {
				return nil, err
			}
			if len(draft.GetRules()) == 0 {
				draft.Rules = base.GetRules()
			}
			if len(draft.GetPriorityMatrix()) == 0 {
				draft.PriorityMatrix = base.GetPriorityMatrix()
			}
		}
		row, err := s.addTriageRules(ctx, tx, draft)
		if err != nil {
			return nil, err
		}
		return s.auditTriageRules(tx, row)
	})
}

// triageRules reads a version.
func (s *Server) triageRules(ctx context.Context, on db.DBTX, version int64) (*ticketv1.TriageRules, error) {
	row, err := s.q.GetTriageRules(ctx, on, version)
	if err != nil {
		return nil, noTriageRules(err, version)
	}
	return triageRulesProto(&row)
}

func noTriageRules(err error, version int64) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return rpcerr.NotFound(kindTriageRules, strconv.FormatInt(version, 10))
	}
	return fmt.Errorf("read rules of triage: %w", err)
}

// GetTriageRules returns a version.
func (s *Server) GetTriageRules(ctx context.Context, req *ticketv1.GetTriageRulesRequest) (*ticketv1.TriageRules, error) {
	return s.triageRules(ctx, s.pool, req.GetVersion())
}

// ListTriageRules lists versions, newest first.
func (s *Server) ListTriageRules(ctx context.Context, req *ticketv1.ListTriageRulesRequest) (*ticketv1.ListTriageRulesResponse, error) {
	before, err := s.versionBefore(ctx, req)
	if err != nil {
		return nil, err
	}
	rows, err := s.q.ListTriageRules(ctx, s.pool, before, onceMore(req))
	if err != nil {
		return nil, fmt.Errorf("list rules of triage: %w", err)
	}
	rows, next, err := onePage(ctx, s, req, rows, func(r db.TriageRule) string { return strconv.FormatInt(r.Version, 10) })
	if err != nil {
		return nil, err
	}
	out := &ticketv1.ListTriageRulesResponse{NextPageToken: next}
	for i := range rows {
		one, err := triageRulesProto(&rows[i])
		if err != nil {
			return nil, err
		}
		one.Rules, one.PriorityMatrix = nil, nil
		out.TriageRules = append(out.TriageRules, one)
	}
	return out, nil
}

// versionBefore opens a page token to the version before which the page goes on.
func (s *Server) versionBefore(ctx context.Context, req paged) (int64, error) {
	at, err := s.pages.Open(ctx, req, req.GetPageToken())
	if err != nil || at == "" {
		return math.MaxInt64, err
	}
	before, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("cursor of a page: %w", err)
	}
	return before, nil
}

// holdTriageRules locks a draft for a change.
func (s *Server) holdTriageRules(ctx context.Context, tx *write.Tx, version int64, given string) (*db.TriageRule, error) {
	row, err := s.q.LockTriageRules(ctx, tx, version)
	if err != nil {
		return nil, noTriageRules(err, version)
	}
	if row.State != triageDraft {
		return nil, rpcerr.WrongState("TRIAGE_RULES_NOT_DRAFT", rpcerr.T(
			"Version %[1]d of the rules of triage is published and never changes; make a draft of what should apply next.",
			"分类规则第 %[1]d 版已发布，不能再修改；请为今后适用的内容新建草稿。", version)).With("version", strconv.FormatInt(version, 10))
	}
	if given != "" && given != etag(row.Revision) {
		return nil, rpcerr.Stale(kindTriageRules, strconv.FormatInt(version, 10))
	}
	return &row, nil
}

// UpdateTriageRules changes named fields of a draft.
func (s *Server) UpdateTriageRules(ctx context.Context, req *ticketv1.UpdateTriageRulesRequest) (*ticketv1.TriageRules, error) {
	in := req.GetTriageRules()
	if in.GetVersion() <= 0 {
		return nil, rpcerr.Invalid("triage_rules.version", rpcerr.T(
			"it is %[1]d; give the number of a draft", "现为 %[1]d；请填写草稿的版本号", in.GetVersion()))
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*ticketv1.TriageRules, error) {
		row, err := s.holdTriageRules(ctx, tx, in.GetVersion(), in.GetEtag())
		if err != nil {
			return nil, err
		}
		merged, err := triageRulesProto(row)
		if err != nil {
			return nil, err
		}
		if err := fieldmask.Apply(merged, in, req.GetUpdateMask(), "version"); err != nil {
			return nil, err
		}
		// The rules of the message, with the paths of this request.
		if err := rpc.Check(s.validator, &ticketv1.CreateTriageRulesRequest{TriageRules: merged}); err != nil {
			return nil, err
		}
		if row.Content, err = encodeTriageRules(merged); err != nil {
			return nil, err
		}
		return s.storeTriageRules(ctx, tx, row)
	})
}

// triageFaults names everything that is wrong with a version.
func (s *Server) triageFaults(ctx context.Context, on db.DBTX, in *ticketv1.TriageRules) ([]*ticketv1.TriageFault, error) {
	var ids []uuid.UUID
	for _, r := range in.GetRules() {
		if id, err := uuid.Parse(r.GetDepartmentId()); err == nil {
			ids = append(ids, id)
		}
	}
	known, err := s.q.ListKnownDepartments(ctx, on, ids)
	if err != nil {
		return nil, fmt.Errorf("look departments up: %w", err)
	}
	there := make(map[uuid.UUID]bool, len(known))
	for _, d := range known {
		there[d.ID] = d.Open
	}
	return triage.Faults(in, func(id uuid.UUID) bool { return there[id] }), nil
}

// ValidateTriageRules names everything that is wrong with a version.
func (s *Server) ValidateTriageRules(ctx context.Context, req *ticketv1.ValidateTriageRulesRequest) (*ticketv1.ValidateTriageRulesResponse, error) {
	in, err := s.triageRules(ctx, s.pool, req.GetVersion())
	if err != nil {
		return nil, err
	}
	faults, err := s.triageFaults(ctx, s.pool, in)
	return &ticketv1.ValidateTriageRulesResponse{Faults: faults}, err
}

// PublishTriageRules lets a draft apply from an instant on.
func (s *Server) PublishTriageRules(ctx context.Context, req *ticketv1.PublishTriageRulesRequest) (*ticketv1.TriageRules, error) {
	if err := validTime("effective_time", req.GetEffectiveTime()); err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*ticketv1.TriageRules, error) {
		row, err := s.holdTriageRules(ctx, tx, req.GetVersion(), req.GetEtag())
		if err != nil {
			return nil, err
		}
		now, from := s.now(), instant(req.GetEffectiveTime())
		if from.IsZero() {
			from = now
		}
		if from.Before(now) {
			return nil, rpcerr.Invalid("effective_time", rpcerr.T(
				"it is %[1]s, before now; give the present or a later instant", "现为 %[1]s，早于当前时间；请填写当前或以后的时刻", from.Format(time.RFC3339)))
		}
		draft, err := triageRulesProto(row)
		if err != nil {
			return nil, err
		}
		faults, err := s.triageFaults(ctx, tx, draft)
		if err != nil {
			return nil, err
		}
		if len(faults) > 0 {
			return nil, triageInvalid(row.Version, faults)
		}
		row.State, row.EffectiveTime = triagePublished, &from
		return s.storeTriageRules(ctx, tx, row)
	})
}

func triageInvalid(version int64, faults []*ticketv1.TriageFault) error {
	refusal := rpcerr.WrongState("TRIAGE_RULES_INVALID", rpcerr.T(
		"Version %[1]d of the rules of triage has %[2]d faults; mend them first.", "分类规则第 %[1]d 版有 %[2]d 处错误；请先修正。", version, len(faults)))
	for _, f := range faults {
		refusal = refusal.Field("triage_rules."+f.GetField(), rpcerr.Text{EN: f.GetText().GetEn(), ZH: f.GetText().GetZh()})
	}
	return refusal
}
