package server

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/customer"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
)

// LookupCaller finds whom a caller's number may belong to.
func (s *Server) LookupCaller(ctx context.Context, req *customerv1.LookupCallerRequest) (*customerv1.LookupCallerResponse, error) {
	e164, digits := customer.CallerTerms(req.GetNumber(), s.region)
	if digits == "" {
		return nil, rpcerr.Invalid("number", rpcerr.T(
			"it has fewer than 5 digits; give the number as the network tells it, e.g. 02168881234",
			"数字少于 5 位；请填写网络提供的主叫号码，例如 02168881234"))
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*customerv1.LookupCallerResponse, error) {
		rows, err := s.q.FindCallers(ctx, tx, s.phoneIndexes(e164, digits))
		if err != nil {
			return nil, fmt.Errorf("find callers: %w", err)
		}
		out := &customerv1.LookupCallerResponse{}
		for i := range rows {
			out.Callers = append(out.Callers, callerProto(&rows[i]))
		}
		lookup, err := newID()
		if err != nil {
			return nil, err
		}
		told := make(map[uuid.UUID]bool, len(rows))
		for i := range rows {
			if !told[rows[i].ID] {
				told[rows[i].ID] = true
				tx.AuditOf(rows[i].ID, "caller", lookup, out)
			}
		}
		if len(rows) == 0 {
			tx.Audit("caller", lookup, out)
		}
		return out, nil
	})
}

func callerProto(row *db.FindCallersRow) *customerv1.Caller {
	out := &customerv1.Caller{
		CustomerId: row.ID.String(), CustomerNumber: row.Number, CustomerName: row.Name, Kind: customerv1.CustomerKind(row.Kind),
		Tier: typev1.Tier(row.Tier), Status: customerv1.CustomerStatus(row.Status),
		ContactName: row.ContactName, Language: row.ContactLanguage, OpenTickets: row.OpenTickets, OpenComplaints: row.OpenComplaints,
	}
	if row.ContactID != uuid.Nil {
		out.ContactId = row.ContactID.String()
	}
	if out.Language == "" {
		out.Language = row.Language
	}
	return out
}
