package policy

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"buf.build/go/protovalidate"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/page"
	"github.com/kefu-suite/kefu/runtime/rpc"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/internal/fieldmask"
)

// TypePublished is the type of the event of a version that was published; its payload is
// clockv1.PolicyPublished.
const TypePublished = "policy.published.v1"

// dryRunBatch bounds the cases that a dry run holds at once.
const dryRunBatch = 200

// Filter says which past cases a dry run replays; what is unset lets all through.
type Filter struct {
	From, To time.Time
	Origin   clockv1.DryRunOrigin
	Source   string
	Facts    Facts // the channel is not filtered by
}

// Cases reads past cases that a filter lets through, at most size of them, in the order of
// their ids from the one after an id on.
type Cases func(ctx context.Context, tx pgx.Tx, f Filter, after uuid.UUID, size int32) ([]Case, error)

// Config is what a Service needs; everything is required.
type Config struct {
	Book      *Book
	Pool      *pgxpool.Pool
	Write     *write.Path
	Pages     *page.Sealer
	Validator protovalidate.Validator
	Now       func() time.Time
	// SubjectType is what clocks call the cases, and Cases reads past ones.
	SubjectType string
	Cases       Cases
}

// Service answers the calls about the policy of one service's cases. It is the server of
// whichever of the two contracts is registered.
type Service struct {
	clockv1.UnsafeTicketPolicyServiceServer
	clockv1.UnsafeComplaintPolicyServiceServer
	Config
}

// NewService makes a Service.
func NewService(cfg Config) *Service { return &Service{Config: cfg} }

// now is the present in the resolution the database keeps.
func (s *Service) now() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }

// CreatePolicy makes a draft.
func (s *Service) CreatePolicy(ctx context.Context, req *clockv1.CreatePolicyRequest) (*clockv1.Policy, error) {
	return write.Do(ctx, s.Write, req, func(ctx context.Context, tx *write.Tx) (*clockv1.Policy, error) {
		draft := req.GetPolicy()
		if len(draft.GetClauses()) == 0 || draft.GetName() == "" {
			base, err := s.Book.InEffect(ctx, tx, s.now())
			if err != nil {
				return nil, err
			}
			draft = &clockv1.Policy{Name: draft.GetName(), Note: draft.GetNote(), Clauses: draft.GetClauses()}
			if draft.GetName() == "" {
				draft.Name = base.GetName()
			}
			if len(draft.GetClauses()) == 0 {
				draft.Clauses = base.GetClauses()
			}
		}
		return s.Book.Create(ctx, tx, draft)
	})
}

// GetPolicy returns a version.
func (s *Service) GetPolicy(ctx context.Context, req *clockv1.GetPolicyRequest) (*clockv1.Policy, error) {
	return s.Book.Get(ctx, s.Pool, req.GetId())
}

// ListPolicies lists versions, newest first.
func (s *Service) ListPolicies(ctx context.Context, req *clockv1.ListPoliciesRequest) (*clockv1.ListPoliciesResponse, error) {
	at, err := s.Pages.Open(ctx, req, req.GetPageToken())
	if err != nil {
		return nil, err
	}
	var before int64
	if at != "" {
		if before, err = strconv.ParseInt(at, 10, 64); err != nil {
			return nil, fmt.Errorf("cursor of a page: %w", err)
		}
	}
	size := int(page.Size(req.GetPageSize()))
	versions, err := s.Book.List(ctx, s.Pool, before, int32(size+1))
	if err != nil {
		return nil, err
	}
	out := &clockv1.ListPoliciesResponse{}
	if len(versions) > size {
		versions = versions[:size]
		last := strconv.FormatInt(versions[size-1].GetVersion(), 10)
		if out.NextPageToken, err = s.Pages.Seal(ctx, req, last); err != nil {
			return nil, err
		}
	}
	for _, p := range versions {
		out.Policies = append(out.Policies, Bare(p))
	}
	return out, nil
}

// UpdatePolicy changes named fields of a draft.
func (s *Service) UpdatePolicy(ctx context.Context, req *clockv1.UpdatePolicyRequest) (*clockv1.Policy, error) {
	given := req.GetPolicy()
	if _, err := uuid.Parse(given.GetId()); err != nil || len(given.GetId()) != 36 {
		return nil, rpcerr.Invalid("policy.id", rpcerr.T(
			"it must be a UUID such as 01890a5d-ac96-774b-bcce-b302099a8057", "必须是 UUID，例如 01890a5d-ac96-774b-bcce-b302099a8057"))
	}
	return write.Do(ctx, s.Write, req, func(ctx context.Context, tx *write.Tx) (*clockv1.Policy, error) {
		return s.Book.Update(ctx, tx, given.GetId(), given.GetEtag(), func(now *clockv1.Policy) (*clockv1.Policy, error) {
			merged := proto.CloneOf(now)
			if err := fieldmask.Apply(merged, given, req.GetUpdateMask(), "id"); err != nil {
				return nil, err
			}
			// The rules of a policy, with the paths of this request.
			return merged, rpc.Check(s.Validator, &clockv1.CreatePolicyRequest{Policy: merged})
		})
	})
}

// ValidatePolicy names everything that is wrong with a version.
func (s *Service) ValidatePolicy(ctx context.Context, req *clockv1.ValidatePolicyRequest) (*clockv1.ValidatePolicyResponse, error) {
	p, err := s.Book.Get(ctx, s.Pool, req.GetId())
	if err != nil {
		return nil, err
	}
	faults, err := s.Book.Validate(ctx, s.Pool, p)
	return &clockv1.ValidatePolicyResponse{Faults: faults}, err
}

// PublishPolicy lets a draft apply from an instant on.
func (s *Service) PublishPolicy(ctx context.Context, req *clockv1.PublishPolicyRequest) (*clockv1.Policy, error) {
	from, err := moment("effective_time", req.GetEffectiveTime())
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.Write, req, func(ctx context.Context, tx *write.Tx) (*clockv1.Policy, error) {
		p, err := s.Book.Publish(ctx, tx, req.GetId(), req.GetEtag(), from)
		if err != nil {
			return nil, err
		}
		tx.Emit(event.Event{
			Type: TypePublished, SubjectID: uuid.MustParse(p.GetId()), SubjectVersion: 1, OccurTime: p.GetUpdateTime().AsTime(),
			Payload: &clockv1.PolicyPublished{
				SubjectType: s.SubjectType, Version: p.GetVersion(), Name: p.GetName(), EffectiveTime: p.GetEffectiveTime(),
			},
		})
		return p, nil
	})
}

// DiffPolicies tells how two versions differ.
func (s *Service) DiffPolicies(ctx context.Context, req *clockv1.DiffPoliciesRequest) (*clockv1.PolicyDiff, error) {
	after, err := s.Book.Get(ctx, s.Pool, req.GetId())
	if err != nil {
		return nil, err
	}
	var before *clockv1.Policy
	if req.GetAgainst() == "" {
		before, err = s.Book.InEffect(ctx, s.Pool, s.now())
	} else {
		before, err = s.Book.Get(ctx, s.Pool, req.GetAgainst())
	}
	if err != nil {
		return nil, err
	}
	return Diff(before, after), nil
}

// DryRunPolicy replays past cases under a version and under the one in effect.
func (s *Service) DryRunPolicy(req *clockv1.DryRunPolicyRequest, out grpc.ServerStreamingServer[clockv1.DryRunPolicyResponse]) error {
	ctx := out.Context()
	filter, asOf, err := s.filter(req)
	if err != nil {
		return err
	}
	// One snapshot, so that all cases are those of one instant whatever happens meanwhile.
	return pgx.BeginTxFunc(ctx, s.Pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		run, err := s.prepare(ctx, tx, req.GetId(), asOf)
		if err != nil {
			return err
		}
		for after := uuid.Nil; ; {
			cases, err := s.Cases(ctx, tx, filter, after, dryRunBatch)
			if err != nil {
				return err
			}
			for i := range cases {
				c, err := run.Replay(&cases[i])
				if err != nil {
					return err
				}
				if req.GetChangedOnly() && !Changed(c) {
					continue
				}
				if err := out.Send(&clockv1.DryRunPolicyResponse{Part: &clockv1.DryRunPolicyResponse_Case{Case: c}}); err != nil {
					return err
				}
			}
			if len(cases) < dryRunBatch {
				return out.Send(&clockv1.DryRunPolicyResponse{Part: &clockv1.DryRunPolicyResponse_Totals{Totals: run.Totals()}})
			}
			after = cases[len(cases)-1].ID
		}
	})
}

// prepare makes a dry run of a version that has no faults beside the one in effect.
func (s *Service) prepare(ctx context.Context, tx pgx.Tx, id string, asOf time.Time) (*DryRun, error) {
	tried, err := s.Book.Get(ctx, tx, id)
	if err != nil {
		return nil, err
	}
	if err := s.Book.sound(ctx, tx, tried); err != nil {
		return nil, err
	}
	inEffect, err := s.Book.InEffect(ctx, tx, s.now())
	if err != nil {
		return nil, err
	}
	calendars, err := s.Book.Calendars(ctx, tx, tried, inEffect)
	if err != nil {
		return nil, err
	}
	return NewDryRun(tried, inEffect, calendars, asOf), nil
}

// filter reads which cases a dry run replays, and the instant it looks back from.
func (s *Service) filter(req *clockv1.DryRunPolicyRequest) (f Filter, asOf time.Time, err error) {
	f = Filter{
		Origin: req.GetOrigin(), Source: req.GetSource(),
		Facts: Facts{Tier: req.GetTier(), Priority: req.GetPriority(), Severity: req.GetSeverity()},
	}
	if f.From, err = moment("create_time_from", req.GetCreateTimeFrom()); err != nil {
		return f, asOf, err
	}
	if f.To, err = moment("create_time_to", req.GetCreateTimeTo()); err != nil {
		return f, asOf, err
	}
	if asOf, err = moment("as_of", req.GetAsOf()); err != nil {
		return f, asOf, err
	}
	now := s.now()
	if asOf.IsZero() {
		asOf = now
	}
	if asOf.After(now) {
		return f, asOf, rpcerr.Invalid("as_of", rpcerr.T(
			"it is %[1]s, after now, %[2]s; give now or an earlier instant", "现为 %[1]s，晚于当前时间 %[2]s；请填写当前或更早的时刻",
			asOf.Format(time.RFC3339), now.Format(time.RFC3339)))
	}
	if !f.From.IsZero() && !f.To.IsZero() && !f.From.Before(f.To) {
		return f, asOf, rpcerr.Invalid("create_time_to", rpcerr.T(
			"it is %[1]s, not after create_time_from, %[2]s; give a later instant", "现为 %[1]s，不晚于 create_time_from（%[2]s）；请填写更晚的时刻",
			f.To.Format(time.RFC3339), f.From.Format(time.RFC3339)))
	}
	return f, asOf, s.Book.words.filterable(f)
}

// moment reads an instant that may be absent.
func moment(field string, t *timestamppb.Timestamp) (time.Time, error) {
	if t == nil {
		return time.Time{}, nil
	}
	if t.CheckValid() != nil {
		return time.Time{}, rpcerr.Invalid(field, rpcerr.T(
			"it is not a valid time; give one like 2026-11-02T09:00:00Z", "时间无效；请填写如 2026-11-02T09:00:00Z 的时间"))
	}
	return t.AsTime().Truncate(time.Microsecond), nil
}
