package server

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	subjectv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/subject/v1"
	"github.com/kefu-suite/kefu/runtime/pii"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/rights"
	"github.com/kefu-suite/kefu/services/internal/subject"
)

//go:embed subjectdocument.html
var subjectPage string

// subjectTemplates are the parts of the page; they escape whatever a value holds.
var subjectTemplates = template.Must(template.New("subject").Parse(subjectPage))

// documentRecord is one record of a document.
type documentRecord struct {
	Service string         `json:"service"`
	Kind    string         `json:"kind"`
	ID      string         `json:"id"`
	Content map[string]any `json:"content"`
}

// documentWriter keeps records as encrypted parts of a document.
type documentWriter struct {
	server  *Server
	row     *db.SubjectRequest
	service string
	part    int32
	size    int
	pending []json.RawMessage
	records int64
}

func (w *documentWriter) add(ctx context.Context, r *subjectv1.SubjectRecord) error {
	text, err := json.Marshal(documentRecord{w.service, r.GetKind(), r.GetId(), r.GetContent().AsMap()})
	if err != nil {
		return fmt.Errorf("write a record: %w", err)
	}
	w.pending, w.size, w.records = append(w.pending, text), w.size+len(text), w.records+1
	if w.size < documentPart {
		return nil
	}
	return w.flush(ctx)
}

func (w *documentWriter) flush(ctx context.Context) error {
	if len(w.pending) == 0 {
		return nil
	}
	text, err := json.Marshal(w.pending)
	if err != nil {
		return fmt.Errorf("write a part: %w", err)
	}
	sealed, err := w.server.keys.Seal(ctx, w.server.pool, subjectID(w.row), documentPlace(w.row, w.service, w.part), string(text))
	if err != nil {
		return err
	}
	if err := w.server.q.InsertSubjectDocument(ctx, w.server.pool, db.InsertSubjectDocumentParams{
		RequestID: w.row.ID, Service: w.service, Part: w.part, Body: sealed,
	}); err != nil {
		return fmt.Errorf("keep a part: %w", err)
	}
	w.pending, w.size, w.part = nil, 0, w.part+1
	return nil
}

// documentPlace binds a part to its place in the document.
func documentPlace(row *db.SubjectRequest, service string, part int32) pii.Place {
	return pii.Place{Table: "subject_documents", Column: fmt.Sprintf("body/%s/%d", service, part), Row: row.ID}
}

// ReadSubjectDocument streams the document of an export and leaves a record of the read.
func (s *Server) ReadSubjectDocument(req *customerv1.ReadSubjectDocumentRequest, stream grpc.ServerStreamingServer[httpbody.HttpBody]) error {
	ctx := stream.Context()
	id, err := parseID("id", req.GetId())
	if err != nil {
		return err
	}
	row, err := s.q.GetSubjectRequest(ctx, s.pool, id)
	if err := subjectRequestVisible(ctx, err, &row, id); err != nil {
		return err
	}
	if row.DocumentExpireTime == nil || !s.now().Before(*row.DocumentExpireTime) {
		return subjectRequestInState(&row)
	}
	// The record comes first: nothing may leave without one.
	if err := subject.RecordRead(ctx, s.pool, s.keys, row.CustomerID, "subject_request", id, s.now()); err != nil {
		return err
	}
	out := &document{server: s, row: &row, stream: stream, kind: "application/json; charset=utf-8"}
	if req.GetFormat() == customerv1.SubjectDocumentFormat_SUBJECT_DOCUMENT_FORMAT_HTML {
		out.kind = "text/html; charset=utf-8"
		return out.page(ctx)
	}
	return out.json(ctx)
}

// document writes one out.
type document struct {
	server *Server
	row    *db.SubjectRequest
	stream grpc.ServerStreamingServer[httpbody.HttpBody]
	kind   string
}

func (d *document) send(data []byte) error {
	return d.stream.Send(&httpbody.HttpBody{ContentType: d.kind, Data: data})
}

// parts gives the decrypted parts in order.
func (d *document) parts(ctx context.Context, each func(service string, part []byte) error) error {
	for _, service := range rights.Steps() {
		for next := int32(0); ; {
			rows, err := d.server.q.ListSubjectDocuments(ctx, d.server.pool, d.row.ID, service, next)
			if err != nil {
				return fmt.Errorf("read document: %w", err)
			}
			if len(rows) == 0 {
				break
			}
			for _, r := range rows {
				plain, err := d.server.keys.Open(ctx, d.server.pool, subjectID(d.row), documentPlace(d.row, r.Service, r.Part), r.Body)
				if err != nil {
					return fmt.Errorf("open part %d of %s: %w", r.Part, r.Service, err)
				}
				if err := each(service, []byte(plain)); err != nil {
					return err
				}
				next = r.Part + 1
			}
		}
	}
	return nil
}

// head says what the document is.
func (d *document) head() map[string]any {
	out := map[string]any{
		"id": d.row.ID.String(), "customerId": d.row.CustomerID.String(), "createTime": d.row.CreateTime.Format(time.RFC3339),
		"doneTime": d.row.DoneTime.Format(time.RFC3339), "services": rights.Steps(),
	}
	if d.row.ContactID != nil {
		out["contactId"] = d.row.ContactID.String()
	}
	return out
}

func (d *document) json(ctx context.Context) error {
	head, err := json.Marshal(d.head())
	if err != nil {
		return fmt.Errorf("write document: %w", err)
	}
	if err := d.send(append(bytes.TrimSuffix(head, []byte("}")), []byte(`,"records":[`)...)); err != nil {
		return err
	}
	first := true
	err = d.parts(ctx, func(_ string, part []byte) error {
		part = bytes.TrimSuffix(bytes.TrimPrefix(part, []byte("[")), []byte("]"))
		if !first {
			part = append([]byte(","), part...)
		}
		first = false
		return d.send(part)
	})
	if err != nil {
		return err
	}
	return d.send([]byte("]}\n"))
}

func (d *document) page(ctx context.Context) error {
	if err := d.render("head", d.head()); err != nil {
		return err
	}
	err := d.parts(ctx, func(_ string, part []byte) error {
		var records []documentRecord
		if err := json.Unmarshal(part, &records); err != nil {
			return fmt.Errorf("read a part: %w", err)
		}
		return d.render("records", pageRecords(records))
	})
	if err != nil {
		return err
	}
	return d.render("foot", nil)
}

func (d *document) render(name string, data any) error {
	var out bytes.Buffer
	if err := subjectTemplates.ExecuteTemplate(&out, name, data); err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	return d.send(out.Bytes())
}

// pageRecord is a record as people read it: without what is empty.
type pageRecord struct {
	Title, ID string
	Values    []pageValue
}

type pageValue struct{ Name, Value string }

// titles are what the kinds of records are called; the others by their names.
var titles = map[string]string{
	"customers": "客户档案 · Customer file", "contacts": "联系人 · Contact", "consents": "同意记录 · Consent", "orders": "订单 · Order",
	"order_lines": "订单明细 · Order line", "installed_products": "已安装产品 · Installed product", "tickets": "服务工单 · Ticket",
	"comments": "沟通记录 · Comment", "ticket_contacts": "联系记录 · Contact with you", "complaints": "投诉 · Complaint",
	"complaint_contacts": "联系记录 · Contact with you", "complaint_rounds": "投诉处理轮次 · Round of a complaint",
	"complaint_proposals": "解决方案 · Proposed solution", "invitations": "调查邀请 · Invitation", "answers": "调查回答 · Answer",
	"answer_responses": "回答内容 · Response", "timeline": "时间线 · Timeline", "file_reads": "查阅记录 · Who read your file",
	"unmasks": "明文查看 · What was shown in plain", "contact_reservations": "发送记录 · Message to you",
}

func pageRecords(records []documentRecord) []pageRecord {
	out := make([]pageRecord, 0, len(records))
	for _, r := range records {
		p := pageRecord{Title: titles[r.Kind], ID: r.ID}
		if p.Title == "" {
			p.Title = strings.ReplaceAll(r.Kind, "_", " ")
		}
		for _, name := range slices.Sorted(maps.Keys(r.Content)) {
			if text := pageText(r.Content[name]); text != "" {
				p.Values = append(p.Values, pageValue{strings.ReplaceAll(name, "_", " "), text})
			}
		}
		out = append(out, p)
	}
	return out
}

func pageText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case bool, float64:
		return fmt.Sprint(v)
	}
	text, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return strings.Trim(string(text), `[]{}"`)
}
