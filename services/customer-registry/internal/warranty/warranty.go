// Package warranty holds the rules of how long an installed product is covered. It reads no
// clock and no database.
package warranty

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/customer"
)

// Recorded stands for a clause where an end was recorded with the product.
const Recorded = "recorded"

// Check judges what single-field rules cannot: that no clause id and no prefix stands twice.
func Check(p *customerv1.WarrantyPolicy) []customer.Fault {
	var faults []customer.Fault
	ids, prefixes := map[string]int{}, map[string]int{}
	for i, c := range p.GetClauses() {
		if first, ok := ids[c.GetClauseId()]; ok {
			faults = append(faults, customer.Fault{Field: fmt.Sprintf("clauses[%d].clause_id", i), Text: rpcerr.T(
				"it is %[1]q, as that of clauses[%[2]d]; give each clause an id of its own",
				"条款编号为 %[1]q，与 clauses[%[2]d] 相同；每个条款必须使用不同的编号", c.GetClauseId(), first)})
		} else {
			ids[c.GetClauseId()] = i
		}
		if first, ok := prefixes[c.GetModelPrefix()]; ok {
			faults = append(faults, customer.Fault{Field: fmt.Sprintf("clauses[%d].model_prefix", i), Text: rpcerr.T(
				"it is %[1]q, as that of clauses[%[2]d]; one clause decides about a model",
				"型号前缀为 %[1]q，与 clauses[%[2]d] 相同；一个型号只能适用一个条款", c.GetModelPrefix(), first)})
		} else {
			prefixes[c.GetModelPrefix()] = i
		}
	}
	return faults
}

// Clause is the one of a policy that decides about a model, nil where none fits.
func Clause(p *customerv1.WarrantyPolicy, model string) *customerv1.WarrantyClause {
	var best *customerv1.WarrantyClause
	for _, c := range p.GetClauses() {
		if strings.HasPrefix(model, c.GetModelPrefix()) && (best == nil || len(c.GetModelPrefix()) > len(best.GetModelPrefix())) {
			best = c
		}
	}
	return best
}

// Start is from when the periods of a product count, nil when nobody knows.
func Start(p *customerv1.InstalledProduct) *time.Time {
	for _, t := range []*timestamppb.Timestamp{p.GetDeliveryTime(), p.GetShipTime()} {
		if t != nil {
			at := t.AsTime()
			return &at
		}
	}
	return nil
}

// NeedsPolicy tells whether an end of the product has to be counted by a policy.
func NeedsPolicy(p *customerv1.InstalledProduct) bool {
	return p.GetWarrantyEndTime() == nil || p.GetGuaranteeEndTime() == nil
}

// State tells how a product is covered at an instant. policy is the version in effect at its
// start, nil where none is needed or there is no start. Months are those of the calendar of
// zone, so that a period ends at the same local time as it began.
func State(p *customerv1.InstalledProduct, policy *customerv1.WarrantyPolicy, at time.Time, zone *time.Location) *customerv1.WarrantyState {
	out := &customerv1.WarrantyState{
		InstalledProductId: p.GetId(), CustomerId: p.GetCustomerId(), SerialNumber: p.GetSerialNumber(),
		ProductModel: p.GetProductModel(), AtTime: timestamppb.New(at),
		PolicyId: policy.GetId(), PolicyVersion: policy.GetVersion(),
	}
	start := Start(p)
	if start != nil {
		out.StartTime = timestamppb.New(*start)
	}
	clause := Clause(policy, p.GetProductModel())
	out.Warranty = coverage(p.GetWarrantyEndTime(), start, clause, clause.GetWarrantyMonths(), at, zone)
	out.Guarantee = coverage(p.GetGuaranteeEndTime(), start, clause, clause.GetGuaranteeMonths(), at, zone)
	return out
}

func coverage(recorded *timestamppb.Timestamp, start *time.Time, clause *customerv1.WarrantyClause, months int32, at time.Time, zone *time.Location) *customerv1.Coverage {
	out := &customerv1.Coverage{}
	switch {
	case recorded != nil:
		out.EndTime, out.ClauseId = recorded, Recorded
	case start != nil && clause != nil:
		out.EndTime, out.ClauseId = timestamppb.New(AddMonths(start.In(zone), int(months))), clause.GetClauseId()
	default:
		out.State = customerv1.CoverageState_COVERAGE_STATE_UNKNOWN
		return out
	}
	switch {
	case start != nil && at.Before(*start):
		out.State = customerv1.CoverageState_COVERAGE_STATE_NOT_BEGUN
	case at.Before(out.GetEndTime().AsTime()):
		out.State = customerv1.CoverageState_COVERAGE_STATE_COVERED
	default:
		out.State = customerv1.CoverageState_COVERAGE_STATE_ENDED
	}
	return out
}

// AddMonths goes months ahead in the calendar. A day that the month does not have is its last:
// a month from 31 January ends on 28 February and not in March.
func AddMonths(t time.Time, months int) time.Time {
	out := t.AddDate(0, months, 0)
	if out.Day() != t.Day() {
		out = out.AddDate(0, 0, -out.Day())
	}
	return out
}
