package server_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/services/internal/access"
)

func inChinese(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "accept-language", "zh-CN")
}

func (r *registry) export(ctx context.Context, req *customerv1.ExportCustomersRequest) ([]byte, string, error) {
	stream, err := r.exports.ExportCustomers(ctx, req)
	if err != nil {
		return nil, "", err
	}
	var out []byte
	kind := ""
	for {
		part, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return out, kind, nil
		}
		if err != nil {
			return nil, "", err
		}
		out, kind = append(out, part.GetData()...), part.GetContentType()
	}
}

func (r *registry) exportRows(t *testing.T, ctx context.Context, req *customerv1.ExportCustomersRequest) []map[string]string {
	t.Helper()
	req.Format, req.Purpose = customerv1.SheetFormat_SHEET_FORMAT_CSV, "年度核对"
	data, kind, err := r.export(ctx, req)
	if err != nil || kind != "text/csv; charset=utf-8" || !bytes.HasPrefix(data, []byte("\ufeff")) {
		t.Fatalf("export %q, %v", kind, err)
	}
	all, err := csv.NewReader(bytes.NewReader(data[3:])).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var out []map[string]string
	for _, row := range all[1:] {
		one := map[string]string{}
		for i, h := range all[0] {
			one[h] = row[i]
		}
		out = append(out, one)
	}
	return out
}

func TestExport(t *testing.T) {
	r := start(t)
	danger := full()
	danger.Name = "=cmd|' /C calc'!A0"
	made := r.make(t, danger)
	key := r.make(t, full())
	if _, err := r.customers.SetTier(r.admin(), r.tier(key.GetId(), 30)); err != nil {
		t.Fatal(err)
	}
	rows := r.exportRows(t, r.admin(), &customerv1.ExportCustomersRequest{})
	if len(rows) != 2 || rows[0]["id"] != key.GetId() || rows[1]["name"] != "'"+danger.Name || rows[1]["phone"] != "'"+made.GetPhone() ||
		rows[1]["email"] != made.GetEmail() || rows[1]["kind"] == "" || rows[0]["tier"] != "key" || rows[1]["address.city"] != made.GetAddress().GetCity() {
		t.Errorf("whole %v", rows)
	}
	// The desk's managers see masks; key customers are open to the one who is a manager.
	rows = r.exportRows(t, r.As(access.ServiceSupervisor), &customerv1.ExportCustomersRequest{})
	if len(rows) != 1 || rows[0]["id"] != made.GetId() || !strings.Contains(rows[0]["phone"], "****") || !strings.Contains(rows[0]["email"], "***") || rows[0]["address.city"] != "" {
		t.Errorf("masked %v", rows)
	}
	if rows = r.exportRows(t, r.As(access.ServiceManager), &customerv1.ExportCustomersRequest{}); len(rows) != 2 || !strings.Contains(rows[0]["phone"], "****") {
		t.Errorf("masked, with key customers %v", rows)
	}
	if rows = r.exportRows(t, r.admin(), &customerv1.ExportCustomersRequest{Region: "nowhere"}); len(rows) != 0 {
		t.Errorf("of no region %v", rows)
	}
	if n := r.count(t, `SELECT count(*) FROM file_reads`); n != 5 {
		t.Errorf("%d reads recorded, want 5", n)
	}
	// The trail of a customer tells of each.
	if n := r.count(t, `SELECT count(*) FROM audit_records WHERE object_type = 'customer' AND action LIKE '%/ExportCustomers' AND customer_id = object_id
		AND object_id = $1 AND access_right LIKE 'role:%/customers.export'`, made.GetId()); n != 3 {
		t.Errorf("%d exports of one customer in the trail, want 3", n)
	}
	if n := r.count(t, `SELECT count(*) FROM audit_records WHERE object_type = 'customer_export' AND access_right LIKE 'role:%/customers.export'`); n != 4 {
		t.Errorf("%d exports in the trail, want 4", n)
	}
	req := &customerv1.ExportCustomersRequest{Format: customerv1.SheetFormat_SHEET_FORMAT_CSV}
	_, _, err := r.export(r.admin(), req)
	refused(t, "without a purpose", err, codes.InvalidArgument, "VALIDATION_FAILED", "purpose")
	req.Purpose, req.Format = "x", 0
	_, _, err = r.export(r.admin(), req)
	refused(t, "without a format", err, codes.InvalidArgument, "VALIDATION_FAILED", "format")
	for _, role := range []string{access.ServiceAgent, access.CRMSpecialist, access.SalesManager, access.Auditor} {
		_, _, err = r.export(r.As(role), &customerv1.ExportCustomersRequest{Format: 1, Purpose: "x"})
		refused(t, role, err, codes.PermissionDenied, "PERMISSION_DENIED")
	}
}

func TestExportWorkbook(t *testing.T) {
	r := start(t)
	made := r.make(t, full())
	data, kind, err := r.export(r.admin(), &customerv1.ExportCustomersRequest{Format: customerv1.SheetFormat_SHEET_FORMAT_XLSX, Purpose: "x"})
	if err != nil || !strings.Contains(kind, "spreadsheetml") {
		t.Fatalf("export %q, %v", kind, err)
	}
	book, err := excelize.OpenReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := book.GetRows("Sheet1")
	if err != nil || len(rows) != 2 || rows[0][0] != "id" || rows[1][0] != made.GetId() || !slices.Contains(rows[1], "'"+made.GetPhone()) {
		t.Errorf("rows %v, %v", rows, err)
	}
}

// What does not fit in a sheet is refused whole, with what to do instead.
func TestExportThatASheetDoesNotTake(t *testing.T) {
	r := start(t)
	for range 3 {
		r.make(t, full())
	}
	r.LimitSheets(2)
	req := &customerv1.ExportCustomersRequest{Format: customerv1.SheetFormat_SHEET_FORMAT_XLSX, Purpose: "x"}
	data, _, err := r.export(r.admin(), req)
	refused(t, "three in a sheet of two", err, codes.FailedPrecondition, "EXPORT_TOO_LARGE")
	if len(data) > 0 || !strings.Contains(err.Error(), "3 files") || !strings.Contains(err.Error(), "at most 2") {
		t.Errorf("%d bytes and %v", len(data), err)
	}
	if n := r.count(t, `SELECT count(*) FROM file_reads`) + r.count(t, `SELECT count(*) FROM audit_records WHERE object_type = 'customer_export'`); n != 0 {
		t.Errorf("%d records of an export that was refused", n)
	}
	if rows := r.exportRows(t, r.admin(), &customerv1.ExportCustomersRequest{}); len(rows) != 3 {
		t.Errorf("as CSV %v", rows)
	}
	req.Region = "nowhere"
	if _, _, err := r.export(r.admin(), req); err != nil {
		t.Errorf("with a narrower filter: %v", err)
	}
	r.LimitSheets(3)
	req.Region = ""
	if data, _, err := r.export(r.admin(), req); err != nil || len(data) == 0 {
		t.Errorf("three in a sheet of three: %v", err)
	}
}
