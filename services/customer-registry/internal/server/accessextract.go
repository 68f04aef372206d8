package server

import (
	"context"
	_ "embed"
	"fmt"
	"html/template"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/mask"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/disclosure"
)

// maxExtracted bounds the people of one customer in an extract.
const maxExtracted = 500

//go:embed extract.html
var extractPage string

// extractTemplate escapes whatever a name holds.
var extractTemplate = template.Must(template.New("extract").Parse(extractPage))

// ExtractAccessRequest makes the extract for the person outside.
func (s *Server) ExtractAccessRequest(ctx context.Context, req *customerv1.ExtractAccessRequestRequest) (*customerv1.AccessExtract, error) {
	sponsor, err := person(ctx)
	if err != nil {
		return nil, err
	}
	id, err := parseID("id", req.GetId())
	if err != nil {
		return nil, err
	}
	member, err := s.callerMember(ctx)
	if err != nil {
		return nil, err
	}
	name := member.Name
	if name == "" {
		name = sponsor
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*customerv1.AccessExtract, error) {
		row, err := s.extractable(ctx, tx, id, sponsor)
		if err != nil {
			return nil, err
		}
		customers, err := s.customersOf(ctx, tx, id)
		if err != nil {
			return nil, err
		}
		out, err := s.extract(ctx, tx, row, customers[id], name)
		if err != nil {
			return nil, err
		}
		return out, s.recordExtract(ctx, tx, row, customers[id], out)
	})
}

// extractable gives the locked request if its sponsor may hand out an extract now.
func (s *Server) extractable(ctx context.Context, tx *write.Tx, id uuid.UUID, sponsor string) (*db.AccessRequest, error) {
	row, err := s.q.LockAccessRequest(ctx, tx, id)
	if err := visible(ctx, err, row.Asker, "access request", id); err != nil {
		return nil, err
	}
	switch state := s.requestState(&row); {
	case row.Asker != sponsor:
		return nil, rpcerr.NotFound("access request", id.String())
	case state == disclosure.Expired:
		return nil, grantExpired(id, *row.EndTime)
	case state != disclosure.Approved:
		return nil, requestInState(id, state)
	case row.Outsider == nil:
		return nil, rpcerr.WrongState("NOT_FOR_OUTSIDER", rpcerr.T(
			"The access request %[1]s is for reading yourself; read the files with GET /v1/customers/{id}.",
			"查阅申请 %[1]s 是供您本人查阅的；请用 GET /v1/customers/{id} 查阅。", id))
	}
	return &row, nil
}

// extract puts the files together, masked, with their watermark.
func (s *Server) extract(ctx context.Context, on pg.DBTX, row *db.AccessRequest, customers []uuid.UUID, sponsor string) (*customerv1.AccessExtract, error) {
	id, err := newID()
	if err != nil {
		return nil, err
	}
	now := s.now()
	out := &customerv1.AccessExtract{}
	for _, id := range customers {
		file, err := s.extractFile(ctx, on, id)
		if err != nil {
			return nil, err
		}
		out.Files = append(out.Files, file)
	}
	out.Id, out.AccessRequestId = id.String(), row.ID.String()
	out.CreateTime, out.ExpireTime = timestamppb.New(now), timestamppb.New(*row.EndTime)
	zone := s.disclosure.Zone
	out.Watermark = fmt.Sprintf("摘录 %s · 仅供 %s（%s） · 经办 %s · %s 出具 · %s 失效 · Confidential extract, void after the date shown",
		id, *row.Outsider, *row.Organisation, sponsor, now.In(zone).Format(time.DateTime), row.EndTime.In(zone).Format(time.DateTime))
	var html strings.Builder
	if err := extractTemplate.Execute(&html, out); err != nil {
		return nil, fmt.Errorf("write extract %s: %w", id, err)
	}
	out.Html = html.String()
	return out, nil
}

// outsider sees of whatever is sensitive no more than its mask leaves.
var outsider = mask.NewSight(func(rule *accessv1.DataRule) mask.View {
	if rule.GetMask() == accessv1.Mask_MASK_UNSPECIFIED {
		return mask.Absent
	}
	return mask.Masked
})

func (s *Server) extractFile(ctx context.Context, on pg.DBTX, id uuid.UUID) (*customerv1.ExtractedFile, error) {
	row, err := s.q.GetCustomer(ctx, on, id)
	if err != nil {
		return nil, missingCustomer(err, id)
	}
	c, err := s.file(ctx, on, &row)
	if err != nil {
		return nil, err
	}
	name := c.GetName() // whose file it is they know: it was asked for
	outsider.Hide(c)
	out := &customerv1.ExtractedFile{
		Number: c.GetNumber(), Name: name, Kind: c.GetKind(), Industry: c.GetIndustry(), Region: c.GetRegion(),
		Phone: c.GetPhone(), Email: c.GetEmail(),
	}
	rows, err := s.q.ListContacts(ctx, on, id, uuid.Nil, maxExtracted)
	if err != nil {
		return nil, fmt.Errorf("list contacts: %w", err)
	}
	contacts, err := s.contacts(ctx, on, rows)
	if err != nil {
		return nil, err
	}
	for _, p := range contacts {
		outsider.Hide(p)
		out.Contacts = append(out.Contacts, &customerv1.ExtractedContact{Name: p.GetName(), Phone: p.GetPhone(), Email: p.GetEmail()})
	}
	return out, nil
}

// recordExtract keeps that the extract was made, and for each file that it was read under
// the grant.
func (s *Server) recordExtract(ctx context.Context, tx *write.Tx, row *db.AccessRequest, customers []uuid.UUID, out *customerv1.AccessExtract) error {
	id, err := parseID("id", out.GetId())
	if err != nil {
		return err
	}
	now := out.GetCreateTime().AsTime()
	right := disclosure.Verdict{Basis: disclosure.ByGrant, Grant: disclosure.Grant{ID: row.ID}}.Right("")
	var b pg.Batch
	if err := s.q.InsertAccessExtract(ctx, &b, id, row.ID, now); err != nil {
		return err
	}
	for _, customer := range customers {
		read, err := newID()
		if err != nil {
			return err
		}
		if err := s.q.InsertFileRead(ctx, &b, db.InsertFileReadParams{
			ID: read, ReadTime: now, Reader: authn.FromContext(ctx).Actor(), CustomerID: customer, Basis: int16(disclosure.ByGrant),
			AccessRight: right,
		}); err != nil {
			return err
		}
		tx.AuditRight(right, customer, "access_extract", id, out)
		tx.AuditRight(right, customer, "customer", customer, nil)
	}
	tx.Emit(event.Event{
		Type: "accessextract.made.v1", SubjectID: id, SubjectVersion: 1,
		Payload: &customerv1.FileAccessChanged{CustomerIds: texts(customers), State: "extracted", EndTime: out.GetExpireTime()},
	})
	return pg.Flush(ctx, tx, &b)
}

func texts(ids []uuid.UUID) []string {
	out := make([]string, 0, len(ids))
	for _, id := range ids {
		out = append(out, id.String())
	}
	return out
}
