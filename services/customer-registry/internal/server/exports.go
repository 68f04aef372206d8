package server

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"

	"github.com/google/uuid"
	"github.com/xuri/excelize/v2"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/audit"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/disclosure"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/sheet"
)

const (
	exportPage = 500
	// exportPart is how much of a file goes in one message.
	exportPart = 64 << 10
	// maxSheetRows is how many rows a sheet has, without the heading.
	maxSheetRows = excelize.TotalRows - 1

	typeCSV  = "text/csv; charset=utf-8"
	typeXLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
)

// ExportCustomers streams customer files as one table.
func (s *Server) ExportCustomers(req *customerv1.ExportCustomersRequest, stream grpc.ServerStreamingServer[httpbody.HttpBody]) error {
	ctx := stream.Context()
	filter := db.ListFilesToExportParams{Before: newestID, Count: exportPage}
	if tier := int16(req.GetTier()); tier != 0 {
		filter.Tier = &tier
	}
	if status := int16(req.GetStatus()); status != 0 {
		filter.Status = &status
	}
	if req.GetRegion() != "" {
		filter.Region = &req.Region
	}
	var err error
	if filter.OwnerStaffID, err = idPtr(req.GetOwnerStaffId()); err != nil {
		return err
	}
	if req.GetFormat() == customerv1.SheetFormat_SHEET_FORMAT_XLSX {
		if err := s.fitsSheet(ctx, filter); err != nil {
			return err
		}
	}
	if err := s.recordExport(ctx, req); err != nil {
		return err
	}
	if req.GetFormat() == customerv1.SheetFormat_SHEET_FORMAT_XLSX {
		return s.exportXLSX(ctx, filter, &parts{stream: stream, kind: typeXLSX})
	}
	return s.exportCSV(ctx, filter, &parts{stream: stream, kind: typeCSV})
}

// fitsSheet refuses an export that one sheet does not take, before any file is read for it.
// Files that are closed to the caller count too, for only reading them would tell which.
func (s *Server) fitsSheet(ctx context.Context, filter db.ListFilesToExportParams) error {
	count, err := s.q.CountFilesToExport(ctx, s.pool, db.CountFilesToExportParams{
		Tier: filter.Tier, Status: filter.Status, Region: filter.Region, OwnerStaffID: filter.OwnerStaffID,
	})
	if err != nil {
		return fmt.Errorf("count files to export: %w", err)
	}
	if count > s.sheetRows {
		return s.tooManyRows(count)
	}
	return nil
}

func (s *Server) tooManyRows(count int64) *rpcerr.Error {
	return rpcerr.New(codes.FailedPrecondition, "EXPORT_TOO_LARGE", rpcerr.T(
		"The filters leave %[1]d files and a sheet takes at most %[2]d; take CSV or a narrower filter.",
		"筛选结果有 %[1]d 份档案，而一个工作表最多容纳 %[2]d 份；请改用 CSV 格式或缩小筛选范围。", count, s.sheetRows)).
		With("count", fmt.Sprint(count)).With("limit", fmt.Sprint(s.sheetRows))
}

// recordExport leaves the audit record, with filter and purpose, before anything leaves.
func (s *Server) recordExport(ctx context.Context, req *customerv1.ExportCustomersRequest) error {
	method, _ := grpc.Method(ctx)
	id, err := newID()
	if err != nil {
		return err
	}
	return pg.InBatch(ctx, s.pool, func(b *pg.Batch) error {
		return audit.Insert(ctx, b, s.auditKey,
			audit.Entry{Action: method, ObjectType: "customer_export", ObjectID: id, Right: authz.FromContext(ctx).Right, Changes: req},
			audit.Called(ctx, s.now()))
	})
}

// parts cuts what is written into messages.
type parts struct {
	stream grpc.ServerStreamingServer[httpbody.HttpBody]
	kind   string
	held   []byte
}

func (p *parts) Write(b []byte) (int, error) {
	p.held = append(p.held, b...)
	for len(p.held) >= exportPart {
		if err := p.send(p.held[:exportPart]); err != nil {
			return 0, err
		}
		p.held = append(p.held[:0], p.held[exportPart:]...)
	}
	return len(b), nil
}

func (p *parts) send(data []byte) error {
	return p.stream.Send(&httpbody.HttpBody{ContentType: p.kind, Data: data})
}

// end sends what is held.
func (p *parts) end() error { return p.send(p.held) }

func (s *Server) exportCSV(ctx context.Context, filter db.ListFilesToExportParams, to *parts) error {
	if _, err := io.WriteString(to, "\ufeff"); err != nil { // or a spreadsheet reads it in its own encoding
		return err
	}
	w := csv.NewWriter(to)
	w.UseCRLF = true
	fields, err := s.sheetFields(ctx)
	if err != nil {
		return err
	}
	if err := w.Write(fields.Heading()); err != nil {
		return err
	}
	if err := s.exportFiles(ctx, filter, fields, w.Write); err != nil {
		return err
	}
	if w.Flush(); w.Error() != nil {
		return w.Error()
	}
	return to.end()
}

func (s *Server) exportXLSX(ctx context.Context, filter db.ListFilesToExportParams, to *parts) error {
	file := excelize.NewFile()
	defer func() { _ = file.Close() }() // removes its temporary files
	w, err := file.NewStreamWriter("Sheet1")
	if err != nil {
		return fmt.Errorf("begin a sheet: %w", err)
	}
	line := int64(0)
	write := func(cells []string) error {
		if line++; line > s.sheetRows+1 {
			return s.tooManyRows(line - 1) // some came since they were counted; nothing was sent yet
		}
		row := make([]any, len(cells))
		for i, c := range cells {
			row[i] = c
		}
		return w.SetRow(fmt.Sprint("A", line), row)
	}
	fields, err := s.sheetFields(ctx)
	if err != nil {
		return err
	}
	if err := write(fields.Heading()); err != nil {
		return fmt.Errorf("write a sheet: %w", err)
	}
	if err := s.exportFiles(ctx, filter, fields, write); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("end a sheet: %w", err)
	}
	if err := file.Write(to); err != nil {
		return fmt.Errorf("write a workbook: %w", err)
	}
	return to.end()
}

// exportFiles writes the rows of all files that are open to the caller.
func (s *Server) exportFiles(ctx context.Context, filter db.ListFilesToExportParams, fields *sheet.Fields, write func([]string) error) error {
	for {
		rows, err := s.q.ListFilesToExport(ctx, planned{s.pool}, filter)
		if err != nil {
			return fmt.Errorf("list files to export: %w", err)
		}
		if len(rows) == 0 {
			return nil
		}
		filter.Before = rows[len(rows)-1].ID
		if err := s.exportSome(ctx, rows, fields, write); err != nil {
			return err
		}
	}
}

func (s *Server) exportSome(ctx context.Context, rows []db.Customer, fields *sheet.Fields, write func([]string) error) error {
	ids := make([]uuid.UUID, len(rows))
	for i := range rows {
		ids[i] = rows[i].ID
	}
	keys, err := s.keys.Subjects(ctx, s.pool, ids...)
	if err != nil {
		return err
	}
	caller := readerOf(ctx)
	var reads []audit.Act
	var files []*customerv1.Customer
	for i := range rows {
		reader, file, err := s.place(ctx, caller, rows[i].Tier, rows[i].OwnerStaffID)
		if err != nil {
			return err
		}
		verdict := disclosure.ByClearance(reader, file)
		if verdict.Basis == disclosure.Refused {
			continue
		}
		c, err := customerProto(&rows[i], nil, keys)
		if err != nil {
			return err
		}
		files, reads = append(files, c), append(reads, s.act(ctx, verdict, "customer", rows[i].ID, rows[i].ID))
	}
	// The reads are recorded before the rows leave.
	if err := s.begin(ctx, reads...).Done(ctx); err != nil {
		return err
	}
	for _, c := range files {
		authz.Hide(ctx, c)
		if err := write(fields.Cells(c, s.disclosure.Zone)); err != nil {
			return err
		}
	}
	return nil
}
