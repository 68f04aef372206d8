package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/rpc"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
)

// ImportPurchases records orders and products that are right, and tells what became of each.
func (s *Server) ImportPurchases(ctx context.Context, req *customerv1.ImportPurchasesRequest) (*customerv1.ImportPurchasesResponse, error) {
	refused := make([]*rpcerr.Error, len(req.GetRecords()))
	for i, record := range req.GetRecords() {
		var err error
		if refused[i], err = s.checkPurchase(req, record); err != nil {
			return nil, err
		}
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*customerv1.ImportPurchasesResponse, error) {
		b := &purchases{s: s, tx: tx, req: req, refused: slices.Clone(refused)}
		if err := b.findCustomers(ctx); err != nil {
			return nil, err
		}
		out, err := b.store(ctx)
		if err == nil && !b.changed {
			tx.Unchanged()
		}
		return out, err
	})
}

// StreamPurchases does for each message what ImportPurchases does.
func (s *Server) StreamPurchases(stream grpc.BidiStreamingServer[customerv1.ImportPurchasesRequest, customerv1.ImportPurchasesResponse]) error {
	for {
		req, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		out, err := s.ImportPurchases(stream.Context(), req)
		if err != nil {
			return err
		}
		if err := stream.Send(out); err != nil {
			return err
		}
	}
}

// checkPurchase tells why a record is refused, as far as the record itself shows.
func (s *Server) checkPurchase(req *customerv1.ImportPurchasesRequest, record *customerv1.PurchaseRecord) (*rpcerr.Error, error) {
	err := rpc.Check(s.validator, record)
	if err == nil {
		switch {
		case (record.GetCustomerId() == "") == (record.GetCustomerExternalId() == ""):
			err = rpcerr.Invalid("customer_id", rpcerr.T("give either customer_id or customer_external_id, one of them",
				"请在 customer_id 与 customer_external_id 中填写且只填写一个"))
		case record.GetCustomerExternalId() != "" && req.GetSource() == "":
			err = rpcerr.Invalid("customer_external_id", rpcerr.T("it needs the source that it is an id of; give source in the request",
				"使用外部编号时必须在请求中填写 source"))
		case record.GetOrder() != nil:
			err = s.checkOrder("order.", record.GetOrder())
		default:
			err = checkProduct("installed_product.", record.GetInstalledProduct())
		}
	}
	if err == nil {
		return nil, nil
	}
	if public, ok := isInvalid(err); ok {
		return public, nil
	}
	return nil, err
}

// purchases is one batch on its way into the database.
type purchases struct {
	s       *Server
	tx      *write.Tx
	req     *customerv1.ImportPurchasesRequest
	refused []*rpcerr.Error
	// customers are those of the records, the nil id where there is none.
	customers []uuid.UUID
	changed   bool
}

// findCustomers looks up all customers in two statements.
func (b *purchases) findCustomers(ctx context.Context) error {
	var ids []uuid.UUID
	var external []string
	for i, record := range b.req.GetRecords() {
		if b.refused[i] != nil {
			continue
		}
		if id := record.GetCustomerId(); id != "" {
			ids = append(ids, uuid.MustParse(id)) // the record's check has read it
		} else {
			external = append(external, record.GetCustomerExternalId())
		}
	}
	known := map[string]uuid.UUID{}
	found, err := b.s.q.FindCustomers(ctx, b.tx, ids, nil)
	if err != nil {
		return fmt.Errorf("look customers up: %w", err)
	}
	for _, id := range found {
		known[id.String()] = id
	}
	imported, err := b.s.q.FindCustomersByExternalID(ctx, b.tx, b.req.GetSource(), external)
	if err != nil {
		return fmt.Errorf("look imported customers up: %w", err)
	}
	byExternal := map[string]uuid.UUID{}
	for _, row := range imported {
		byExternal[*row.ExternalID] = row.ID
	}
	b.customers = make([]uuid.UUID, len(b.req.GetRecords()))
	for i, record := range b.req.GetRecords() {
		if b.refused[i] != nil {
			continue
		}
		if id := record.GetCustomerId(); id != "" {
			b.customers[i] = known[uuid.MustParse(id).String()]
		} else {
			b.customers[i] = byExternal[record.GetCustomerExternalId()]
		}
		if b.customers[i] == uuid.Nil {
			b.refused[i] = rpcerr.NotFound("customer", record.GetCustomerId()+record.GetCustomerExternalId())
		}
	}
	return nil
}

// store records what is not refused. Rows are locked in one order whatever that of the
// records, so that two batches with the same orders wait for each other and do not deadlock.
func (b *purchases) store(ctx context.Context) (*customerv1.ImportPurchasesResponse, error) {
	order := make([]int, len(b.req.GetRecords()))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		return cmp.Compare(purchaseKey(b.req.GetRecords()[i]), purchaseKey(b.req.GetRecords()[j]))
	})
	results := make([]*typev1.ImportResult, len(order))
	for _, i := range order {
		result, err := b.put(ctx, i)
		if err != nil {
			return nil, err
		}
		results[i] = result
	}
	return &customerv1.ImportPurchasesResponse{Results: results}, nil
}

// purchaseKey orders orders before products, and each by what it is known by.
func purchaseKey(record *customerv1.PurchaseRecord) string {
	if o := record.GetOrder(); o != nil {
		return "o" + o.GetOrderNumber()
	}
	return "p" + record.GetInstalledProduct().GetSerialNumber()
}

func (b *purchases) put(ctx context.Context, i int) (*typev1.ImportResult, error) {
	record := b.req.GetRecords()[i]
	out := &typev1.ImportResult{ExternalId: purchaseKey(record)[1:], Outcome: typev1.ImportOutcome_IMPORT_OUTCOME_EXISTS}
	changed, err := false, error(nil)
	switch {
	case b.refused[i] != nil:
		err = b.refused[i]
	case record.GetOrder() != nil:
		var stored *customerv1.Order
		stored, changed, err = b.s.putOrder(ctx, b.tx, b.customers[i], record.GetOrder(), b.req.GetHistoric())
		out.Id, out.Number = stored.GetId(), stored.GetOrderNumber()
	default:
		var stored *customerv1.InstalledProduct
		stored, changed, err = b.s.putProduct(ctx, b.tx, b.customers[i], record.GetInstalledProduct(), b.req.GetHistoric())
		out.Id, out.Number = stored.GetId(), stored.GetSerialNumber()
	}
	if err != nil {
		public := new(rpcerr.Error)
		if !errors.As(err, &public) {
			return nil, err
		}
		out.Outcome, out.Id, out.Number = typev1.ImportOutcome_IMPORT_OUTCOME_REFUSED, "", ""
		if out.Refusals = refusals(ctx, public); len(out.Refusals) == 0 {
			out.Refusals = []*typev1.Refusal{{Reason: public.Reason(), Message: public.Text().In(rpc.Language(ctx))}}
		}
		return out, nil
	}
	if changed {
		b.changed, out.Outcome = true, typev1.ImportOutcome_IMPORT_OUTCOME_CREATED
	}
	return out, nil
}
