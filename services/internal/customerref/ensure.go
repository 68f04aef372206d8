package customerref

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// Resolver asks the customer registry; customerv1.CustomerServiceClient is one.
type Resolver interface {
	ResolveCustomer(ctx context.Context, in *customerv1.ResolveCustomerRequest, opts ...grpc.CallOption) (*customerv1.CustomerRef, error)
}

// Ensure makes sure that a customer named by a request is stored, and returns
// it; a merged customer is followed to its survivor, whose id is the one to
// store. A customer not known here is asked of the registry, so call it before
// the transaction. field is the path of the request field that names the
// customer: an id the registry does not know is a violation of that field. When
// the registry cannot be reached the error is UNAVAILABLE.
func Ensure(ctx context.Context, db pg.DBTX, id uuid.UUID, field string, registry Resolver) (Ref, error) {
	ref, err := Get(ctx, db, id)
	if !errors.Is(err, ErrUnknown) {
		return ref, err
	}
	answer, err := registry.ResolveCustomer(ctx, &customerv1.ResolveCustomerRequest{Id: id.String()})
	if err != nil {
		return Ref{}, refusal(ctx, err, id, field)
	}
	if _, err := Apply(ctx, db, answer); err != nil {
		return Ref{}, err
	}
	return FromProto(answer)
}

// EnsureActive is Ensure for new business: a customer whose file is retired is refused with
// CUSTOMER_RETIRED, once its retirement is known here.
func EnsureActive(ctx context.Context, db pg.DBTX, id uuid.UUID, field string, registry Resolver) (Ref, error) {
	ref, err := Ensure(ctx, db, id, field, registry)
	if err == nil && ref.Status == customerv1.CustomerStatus_CUSTOMER_STATUS_RETIRED {
		return Ref{}, rpcerr.WrongState("CUSTOMER_RETIRED", rpcerr.T(
			"The file of customer %[1]s is retired; name a customer whose file is in use, or have it restored.",
			"客户 %[1]s 的档案已停用；请填写档案在用的客户，或先恢复该档案。", ref.Number)).With("customer", ref.ID.String())
	}
	return ref, err
}

// EnsureAll is Ensure for many ids, as an import names them: it asks the
// registry once for each id not stored. The result holds the references found
// by the ids asked for; an id the registry does not know is left out. It fails
// when the registry cannot be reached.
func EnsureAll(ctx context.Context, db pg.DBTX, ids []uuid.UUID, registry Resolver) (map[uuid.UUID]Ref, error) {
	out, err := stored(ctx, db, ids)
	if err != nil {
		return nil, err
	}
	asked := make(map[uuid.UUID]bool, len(ids))
	for _, id := range ids {
		if _, ok := out[id]; ok || asked[id] {
			continue
		}
		asked[id] = true
		ref, err := Ensure(ctx, db, id, "customer_id", registry)
		var public *rpcerr.Error
		if errors.As(err, &public) && public.Code() == codes.InvalidArgument {
			continue
		}
		if err != nil {
			return nil, err
		}
		out[id] = ref
	}
	return out, nil
}

// stored reads in one query those of the ids that are stored and not merged.
func stored(ctx context.Context, db pg.DBTX, ids []uuid.UUID) (map[uuid.UUID]Ref, error) {
	rows, err := db.Query(ctx, `
SELECT id, number, kind, tier, region, status, owner_staff_id, service_quality_consent, language, version
FROM customer_refs WHERE id = ANY($1) AND merged_into IS NULL`, ids)
	if err != nil {
		return nil, fmt.Errorf("read customer references: %w", err)
	}
	defer rows.Close()
	out := make(map[uuid.UUID]Ref, len(ids))
	for rows.Next() {
		var r Ref
		var owner *uuid.UUID
		if err := rows.Scan(&r.ID, &r.Number, &r.Kind, &r.Tier, &r.Region, &r.Status, &owner,
			&r.ServiceQualityConsent, &r.Language, &r.Version); err != nil {
			return nil, fmt.Errorf("read customer references: %w", err)
		}
		if owner != nil {
			r.OwnerStaffID = *owner
		}
		out[r.ID] = r
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read customer references: %w", err)
	}
	return out, nil
}

// refusal translates what the registry answered: its status is private here.
func refusal(ctx context.Context, err error, id uuid.UUID, field string) error {
	if ctx.Err() != nil {
		return fmt.Errorf("resolve customer: %w", ctx.Err())
	}
	switch status.Code(err) {
	case codes.NotFound:
		return rpcerr.Invalid(field, rpcerr.T(
			"there is no customer %[1]s; give the id of a customer of the registry",
			"没有客户 %[1]s；请填写客户资料中已有客户的 id", id))
	case codes.Unavailable, codes.DeadlineExceeded, codes.ResourceExhausted, codes.Aborted, codes.Canceled:
		return rpcerr.Unavailable(Source)
	}
	return fmt.Errorf("resolve customer %s: %w", id, err)
}
