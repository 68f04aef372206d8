package server_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/customer"
	"github.com/kefu-suite/kefu/services/internal/access"
)

const sheetHeading = "external_id,名称,kind,party,phone,email,city,create_time\n"

// plan is an import of CSV whose city has a heading of its own.
func plan() *customerv1.CustomerImport {
	return &customerv1.CustomerImport{
		Source: "erp", Format: customerv1.SheetFormat_SHEET_FORMAT_CSV,
		Columns: []*customerv1.ImportColumn{{Field: "address.city", Heading: "city"}},
	}
}

func (r *registry) begin(t *testing.T, p *customerv1.CustomerImport) *customerv1.CustomerImport {
	t.Helper()
	p.Purpose = "first load"
	made, err := r.imports.CreateCustomerImport(r.admin(), &customerv1.CreateCustomerImportRequest{CustomerImport: p})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// send uploads parts one after another and tells what the last of them answers.
func (r *registry) send(ctx context.Context, parts ...*customerv1.UploadCustomerImportRequest) (*customerv1.CustomerImport, error) {
	stream, err := r.imports.UploadCustomerImport(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range parts {
		if err := stream.Send(p); err != nil {
			break // the answer says why
		}
	}
	return stream.CloseAndRecv()
}

// loadSheet imports a file whole and returns the import.
func (r *registry) loadSheet(t *testing.T, p *customerv1.CustomerImport, file []byte) *customerv1.CustomerImport {
	t.Helper()
	made := r.begin(t, p)
	half := len(file) / 2
	if _, err := r.send(r.admin(), &customerv1.UploadCustomerImportRequest{Id: made.GetId(), Data: file[:half]},
		&customerv1.UploadCustomerImportRequest{Id: made.GetId(), Offset: int64(half), Data: file[half:], Last: true}); err != nil {
		t.Fatal(err)
	}
	if err := r.WorkSheets(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r.sheet(t, made.GetId())
}

func (r *registry) sheet(t *testing.T, id string) *customerv1.CustomerImport {
	t.Helper()
	got, err := r.imports.GetCustomerImport(r.admin(), &customerv1.GetCustomerImportRequest{Id: id})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func (r *registry) faults(t *testing.T, id string) []*customerv1.CustomerImportError {
	t.Helper()
	var all []*customerv1.CustomerImportError
	req := &customerv1.ListCustomerImportErrorsRequest{CustomerImportId: id, PageSize: 2}
	for {
		out, err := r.imports.ListCustomerImportErrors(r.admin(), req)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, out.GetCustomerImportErrors()...)
		if req.PageToken = out.GetNextPageToken(); req.PageToken == "" {
			return all
		}
	}
}

func (r *registry) byExternal(t *testing.T, id string) *customerv1.Customer {
	t.Helper()
	var uuid string
	if err := r.Pool.QueryRow(t.Context(), `SELECT id::text FROM customers WHERE source = 'erp' AND external_id = $1`, id).Scan(&uuid); err != nil {
		t.Fatal(err)
	}
	return r.get(t, uuid)
}

// planted is a file of seven rows: two customers, one of them twice, and four with faults.
const planted = sheetHeading +
	"E-1,王伟,经销商,个人,138 1234 5678,Wang@Example.com,武汉,2019-03-04\n" +
	"E-2,,direct_user,person,,,,\n" +
	"E-3,李雷,shop,person,12,none,,2019-13-04\n" +
	",韩梅梅,agent,person,,,,\n" +
	"E-5,\"多行\n名称\",agent,organisation,,,,2999-01-01\n" +
	"E-1,又一个,agent,person,,,,\n" +
	"E-6,'=危险,agent,organisation,'+8613912345678,,,\n"

// checkPlanted holds an import of planted against what was planted.
func (r *registry) checkPlanted(t *testing.T, what string, got *customerv1.CustomerImport, state customerv1.ImportState) {
	t.Helper()
	if got.GetState() != state || got.GetRows() != 7 || got.GetCreated() != 2 || got.GetRefused() != 4 || got.GetExisting() != 1 || got.GetDoneBytes() != int64(len(planted)) {
		t.Errorf("%s: %v", what, got)
	}
	var all []string
	for _, f := range r.faults(t, got.GetId()) {
		all = append(all, fmt.Sprintf("%d%s %s %q", f.GetLine(), f.GetColumn(), f.GetField(), f.GetValue()))
		if f.GetMessage() == "" || strings.Contains(f.GetMessage(), "\x00") || f.GetReason() != "VALIDATION_FAILED" {
			t.Errorf("fault %v", f)
		}
	}
	want := []string{`3B name ""`, `4C kind "shop"`, `4E phone "12"`, `4F email "none"`, `4H create_time "2019-13-04"`, `5A external_id ""`, `6H create_time "2999-01-01"`}
	if fmt.Sprint(all) != fmt.Sprint(want) {
		t.Errorf("%s: faults\n%v\nwant\n%v", what, all, want)
	}
}

func TestSheetWithPlantedFaults(t *testing.T) {
	r := start(t)
	dry := plan()
	dry.DryRun = true
	checked := r.loadSheet(t, dry, []byte(planted))
	r.checkPlanted(t, "dry run", checked, customerv1.ImportState_IMPORT_STATE_CHECKED)
	if n := r.count(t, `SELECT count(*) FROM customers`); n != 0 {
		t.Fatalf("a dry run stored %d customers", n)
	}
	if _, err := r.imports.RunCustomerImport(r.admin(), &customerv1.RunCustomerImportRequest{Id: checked.GetId(), Etag: checked.GetEtag()}); err != nil {
		t.Fatal(err)
	}
	if err := r.WorkSheets(t.Context()); err != nil {
		t.Fatal(err)
	}
	done := r.sheet(t, checked.GetId())
	r.checkPlanted(t, "in earnest", done, customerv1.ImportState_IMPORT_STATE_DONE)
	first := r.byExternal(t, "E-1")
	if first.GetName() != "王伟" || first.GetPhone() != "+8613812345678" || first.GetEmail() != "wang@example.com" || first.GetAddress().GetCity() != "武汉" ||
		first.GetKind() != customerv1.CustomerKind_CUSTOMER_KIND_DISTRIBUTOR || first.GetCreateTime().AsTime().In(shanghai(t)).Format(time.DateOnly) != "2019-03-04" ||
		!strings.HasPrefix(first.GetNumber(), "C-201903-") {
		t.Errorf("E-1 is %v", first)
	}
	if c := r.byExternal(t, "E-6"); c.GetName() != "=危险" || c.GetPhone() != "+8613912345678" {
		t.Errorf("E-6 is %v", c)
	}
	for _, e := range r.Events(t) {
		if !e.GetHistoric() {
			t.Errorf("event %v is not history", e)
		}
	}
	if found, err := r.customers.ListCustomerSummaries(r.admin(), &customerv1.ListCustomerSummariesRequest{Query: "王伟"}); err != nil || len(found.GetCustomerSummaries()) != 1 {
		t.Errorf("found %v, %v", found, err)
	}
	if n := r.count(t, `SELECT count(*) FROM customer_import_parts`); n != 0 {
		t.Errorf("%d parts of the file are kept", n)
	}
}

// What is no phone and no e-mail comes in marked where the import says so, and later files mend it.
func TestSheetKeepsWhatIsNoPhone(t *testing.T) {
	r := start(t)
	keep := plan()
	keep.KeepInvalid = true
	got := r.loadSheet(t, keep, []byte(sheetHeading+"E-1,王伟,agent,person,电话 12345,none,,\nE-2,李雷,agent,person,13812345678,,,\n"))
	if got.GetCreated() != 2 || got.GetRefused() != 0 || !got.GetKeepInvalid() {
		t.Errorf("import %v", got)
	}
	one := r.byExternal(t, "E-1")
	if one.GetPhone() != "电话 12345" || !customer.Faulty(one.GetPhoneQuality()) || one.GetEmailQuality() != customerv1.PointQuality_POINT_QUALITY_NOT_AN_ADDRESS {
		t.Errorf("E-1 is %v", one)
	}
	if names := r.list(t, r.admin(), &customerv1.ListCustomerSummariesRequest{Query: "12345"}); len(names) != 1 {
		t.Errorf("its digits find %v", names)
	}
	mend := plan()
	mend.OnExisting = customerv1.OnExisting_ON_EXISTING_UPDATE
	r.loadSheet(t, mend, []byte(sheetHeading+"E-1,王伟,agent,person,021-6888 1234 ext. 7,wang@example.com,,\n"))
	one = r.byExternal(t, "E-1")
	if one.GetPhone() != "+862168881234" || one.GetPhoneExtension() != "7" || one.GetPhoneQuality() != valid || one.GetEmailQuality() != valid {
		t.Errorf("E-1 after it was mended %v", one)
	}
	if names := r.list(t, r.admin(), &customerv1.ListCustomerSummariesRequest{Query: "021 6888 1234"}); len(names) != 1 {
		t.Errorf("the phone finds %v", names)
	}
}

// The same file again finds everything there.
func TestSheetAgain(t *testing.T) {
	r := start(t)
	file := []byte(sheetHeading + "E-1,王伟,agent,person,,,,\nE-2,李雷,shop,person,,,,\n")
	done := r.loadSheet(t, plan(), file)
	if again := r.loadSheet(t, plan(), file); done.GetCreated() != 1 || again.GetCreated() != 0 || again.GetExisting() != 1 || again.GetRefused() != 1 {
		t.Errorf("first %v\nagain %v", done, again)
	}
	zh, err := r.imports.ListCustomerImportErrors(inChinese(r.admin()), &customerv1.ListCustomerImportErrorsRequest{CustomerImportId: done.GetId()})
	if err != nil || !strings.Contains(zh.GetCustomerImportErrors()[0].GetMessage(), "请填写") {
		t.Errorf("in Chinese %v, %v", zh, err)
	}
}

func TestSheetUpdatesAndReviews(t *testing.T) {
	r := start(t)
	r.loadSheet(t, plan(), []byte(sheetHeading+"E-1,王伟,agent,person,13812345678,,武汉,2019-03-04\nE-2,李雷,agent,person,,,,\n"))
	before := r.byExternal(t, "E-1")
	update := plan()
	update.OnExisting = customerv1.OnExisting_ON_EXISTING_UPDATE
	got := r.loadSheet(t, update, []byte(sheetHeading+"E-1,王伟,agent,person,,new@example.com,,2001-01-01\nE-2,李雷,agent,person,,,,\nE-3,韩梅梅,agent,person,,,,\n"))
	if got.GetCreated() != 1 || got.GetUpdated() != 1 || got.GetExisting() != 1 || got.GetPurpose() != "first load" {
		t.Errorf("update %v", got)
	}
	after := r.byExternal(t, "E-1")
	if after.GetEmail() != "new@example.com" || after.GetPhone() != before.GetPhone() || after.GetEtag() != "2" ||
		!proto.Equal(after.GetCreateTime(), before.GetCreateTime()) || after.GetAddress().GetCity() != "武汉" {
		t.Errorf("updated %v", after)
	}
	// A feed is no review of the file, and what it makes is its author's.
	if !proto.Equal(after.GetReviewDueTime(), before.GetReviewDueTime()) || after.GetReviewDueTime() == nil {
		t.Errorf("to be reviewed at %v, before the update at %v", after.GetReviewDueTime(), before.GetReviewDueTime())
	}
	states, err := r.files.GetFieldStates(r.admin(), &customerv1.GetFieldStatesRequest{Id: before.GetId()})
	if err != nil {
		t.Fatal(err)
	}
	for _, state := range states.GetStates() {
		if state.GetField() == "name" && (state.GetSetter() != got.GetAuthor() || state.GetSource() != customerv1.ValueSource_VALUE_SOURCE_IMPORT) {
			t.Errorf("the name is %v, imported by %s", state, got.GetAuthor())
		}
	}
	review := plan()
	review.OnExisting = customerv1.OnExisting_ON_EXISTING_REVIEW
	got = r.loadSheet(t, review, []byte(sheetHeading+"E-1,王小伟,agent,person,,,,\nE-2,李雷,agent,person,13912345678,,,\nE-3,韩梅梅,agent,person,,,,\n"))
	if got.GetReviews() != 3 || got.GetState() != customerv1.ImportState_IMPORT_STATE_DONE {
		t.Errorf("review %v", got)
	}
	list, err := r.imports.ListCustomerImportReviews(r.admin(), &customerv1.ListCustomerImportReviewsRequest{CustomerImportId: got.GetId(), PageSize: 2})
	if err != nil || len(list.GetCustomerImportReviews()) != 2 || list.GetNextPageToken() == "" {
		t.Fatalf("reviews %v, %v", list, err)
	}
	one := list.GetCustomerImportReviews()[0]
	if one.GetLine() != 2 || one.GetExternalId() != "E-1" || fmt.Sprint(one.GetChanges()) != "[name]" || one.GetProposed().GetName() != "王小伟" || one.GetProposed().GetPhone() != before.GetPhone() {
		t.Errorf("to be compared %v", one)
	}
	if n := r.count(t, `SELECT count(*) FROM audit_records WHERE object_type = 'customer' AND action LIKE '%/ListCustomerImportReviews' AND object_id = $1`, one.GetCustomerId()); n != 1 {
		t.Errorf("%d reads of the file beside its row in the trail, want 1", n)
	}
	decide := func(line int64, accept bool) (*customerv1.CustomerImportReview, error) {
		return r.imports.DecideCustomerImportReview(r.admin(), &customerv1.DecideCustomerImportReviewRequest{CustomerImportId: got.GetId(), Line: line, Accept: accept})
	}
	if out, err := decide(2, true); err != nil || out.GetState() != customerv1.ReviewState_REVIEW_STATE_ACCEPTED {
		t.Errorf("accepted %v, %v", out, err)
	}
	if out, err := decide(3, false); err != nil || out.GetState() != customerv1.ReviewState_REVIEW_STATE_DISMISSED {
		t.Errorf("dismissed %v, %v", out, err)
	}
	if a, b := r.byExternal(t, "E-1"), r.byExternal(t, "E-2"); a.GetName() != "王小伟" || b.GetPhone() != "" {
		t.Errorf("after the decisions %v and %v", a, b)
	}
	_, err = decide(2, true)
	refused(t, "again", err, codes.FailedPrecondition, "IMPORT_REVIEW_DECIDED")
	_, err = decide(9, true)
	refused(t, "no such line", err, codes.NotFound, "IMPORT_REVIEW_NOT_FOUND")
	_, err = decide(1, true)
	refused(t, "the heading", err, codes.InvalidArgument, "VALIDATION_FAILED", "line")
}

// A retired file is changed by no row, whether at once or after it was looked at.
func TestSheetsLeaveRetiredFiles(t *testing.T) {
	r := start(t)
	r.loadSheet(t, plan(), []byte(sheetHeading+"E-1,王伟,agent,person,,,,\n"))
	id := r.byExternal(t, "E-1").GetId()
	review := plan()
	review.OnExisting = customerv1.OnExisting_ON_EXISTING_REVIEW
	waiting := r.loadSheet(t, review, []byte(sheetHeading+"E-1,王小伟,agent,person,,,,\n"))
	if _, err := r.files.RetireCustomer(r.admin(), &customerv1.RetireCustomerRequest{Id: id, Reason: "closed"}); err != nil {
		t.Fatal(err)
	}
	update := plan()
	update.OnExisting = customerv1.OnExisting_ON_EXISTING_UPDATE
	got := r.loadSheet(t, update, []byte(sheetHeading+"E-1,王小伟,agent,person,,,,\n"))
	list, err := r.imports.ListCustomerImportErrors(r.admin(), &customerv1.ListCustomerImportErrorsRequest{CustomerImportId: got.GetId()})
	if err != nil || got.GetUpdated() != 0 || got.GetRefused() != 1 || len(list.GetCustomerImportErrors()) != 1 || list.GetCustomerImportErrors()[0].GetReason() != "CUSTOMER_RETIRED" {
		t.Errorf("update %v: %v, %v", got, list, err)
	}
	_, err = r.imports.DecideCustomerImportReview(r.admin(), &customerv1.DecideCustomerImportReviewRequest{CustomerImportId: waiting.GetId(), Line: 2, Accept: true})
	refused(t, "a row for a retired file", err, codes.FailedPrecondition, "CUSTOMER_RETIRED")
	if name := r.byExternal(t, "E-1").GetName(); name != "王伟" {
		t.Errorf("the retired file is now %s's", name)
	}
}

// Work is cut off again and again, and goes on from where it was.
func TestSheetGoesOnAfterACut(t *testing.T) {
	r := start(t)
	const n = 9000
	var file strings.Builder
	file.WriteString(sheetHeading)
	for i := range n {
		phone := ""
		if i%1000 == 7 {
			phone = "12"
		}
		fmt.Fprintf(&file, "E-%d,客户 %d,agent,person,%s,,,\n", i, i, phone)
	}
	made := r.begin(t, plan())
	if _, err := r.send(r.admin(), &customerv1.UploadCustomerImportRequest{Id: made.GetId(), Data: []byte(file.String()), Last: true}); err != nil {
		t.Fatal(err)
	}
	for seen := int64(0); ; {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- r.WorkSheets(ctx) }()
		for r.count(t, `SELECT count(*) FROM customer_imports WHERE rows = $1 AND state = 2`, seen) > 0 {
		}
		cancel() // as a process that ends would be
		<-ended
		got := r.sheet(t, made.GetId())
		if seen = got.GetRows(); got.GetState() != customerv1.ImportState_IMPORT_STATE_RUNNING {
			break
		}
	}
	got := r.sheet(t, made.GetId())
	if got.GetState() != customerv1.ImportState_IMPORT_STATE_DONE || got.GetRows() != n || got.GetCreated() != n-9 || got.GetRefused() != 9 {
		t.Errorf("at the end %v", got)
	}
	if stored, events := r.count(t, `SELECT count(*) FROM customers`), r.count(t, `SELECT count(*) FROM event_outbox`); stored != n-9 || events != n-9 {
		t.Errorf("%d customers and %d events, want %d", stored, events, n-9)
	}
	if audits := r.count(t, `SELECT count(DISTINCT object_id) FROM audit_records WHERE object_type = 'customer'`); audits != n-9 {
		t.Errorf("%d audit records", audits)
	}
	if faults := r.faults(t, got.GetId()); len(faults) != 9 || faults[3].GetLine() != 3009 {
		t.Errorf("faults %v", faults)
	}
}

func TestUpload(t *testing.T) {
	r := start(t)
	made := r.begin(t, plan())
	part := func(offset int64, text string, last bool) *customerv1.UploadCustomerImportRequest {
		return &customerv1.UploadCustomerImportRequest{Id: made.GetId(), Offset: offset, Data: []byte(text), Last: last}
	}
	_, err := r.send(r.admin(), part(0, "", true))
	refused(t, "empty", err, codes.InvalidArgument, "FILE_EMPTY")
	_, err = r.send(r.admin(), part(0, "abc", false), part(5, "x", false))
	refused(t, "a gap", err, codes.FailedPrecondition, "UPLOAD_GAP")
	if got, err := r.send(r.admin(), part(0, "abc", false), part(3, "def", false)); err != nil || got.GetReceivedBytes() != 6 {
		t.Errorf("the first again and on: %v, %v", got, err)
	}
	_, err = r.send(r.admin(), part(4, "efgh", false))
	refused(t, "an overlap", err, codes.FailedPrecondition, "UPLOAD_GAP")
	_, err = r.send(r.admin(), &customerv1.UploadCustomerImportRequest{Id: newID(t), Data: []byte("x")})
	refused(t, "no such import", err, codes.NotFound, "CUSTOMER_IMPORT_NOT_FOUND")
	_, err = r.send(r.As(access.CRMSpecialist), part(6, "x", true))
	refused(t, "no right", err, codes.PermissionDenied, "PERMISSION_DENIED")
	if n := r.count(t, `SELECT count(*) FROM customer_import_parts WHERE position('abc'::bytea IN sealed) > 0`); n != 0 {
		t.Error("the file lies in plain")
	}
	if _, err := r.send(r.admin(), part(6, "", true)); err != nil {
		t.Fatal(err)
	}
	_, err = r.send(r.admin(), part(6, "x", true))
	refused(t, "after the end", err, codes.FailedPrecondition, "IMPORT_WRONG_STATE")
	if err := r.WorkSheets(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := r.sheet(t, made.GetId())
	if got.GetState() != customerv1.ImportState_IMPORT_STATE_FAILED || !strings.Contains(got.GetFailure(), "no column \"city\"") || got.GetEndTime() == nil {
		t.Errorf("a file without its columns: %v", got)
	}
	_, err = r.imports.RunCustomerImport(r.admin(), &customerv1.RunCustomerImportRequest{Id: made.GetId()})
	refused(t, "run what failed", err, codes.FailedPrecondition, "IMPORT_WRONG_STATE")
	_, err = r.imports.CancelCustomerImport(r.admin(), &customerv1.CancelCustomerImportRequest{Id: made.GetId()})
	refused(t, "cancel what failed", err, codes.FailedPrecondition, "IMPORT_WRONG_STATE")
	other := r.begin(t, plan())
	_, err = r.imports.CancelCustomerImport(r.admin(), &customerv1.CancelCustomerImportRequest{Id: other.GetId(), Etag: "9"})
	refused(t, "stale", err, codes.Aborted, "ETAG_MISMATCH")
	if got, err := r.imports.CancelCustomerImport(r.admin(), &customerv1.CancelCustomerImportRequest{Id: other.GetId()}); err != nil || got.GetState() != customerv1.ImportState_IMPORT_STATE_CANCELLED {
		t.Errorf("cancelled %v, %v", got, err)
	}
	list, err := r.imports.ListCustomerImports(r.admin(), &customerv1.ListCustomerImportsRequest{PageSize: 1})
	if err != nil || len(list.GetCustomerImports()) != 1 || list.GetCustomerImports()[0].GetId() != other.GetId() || list.GetNextPageToken() == "" {
		t.Errorf("listed %v, %v", list, err)
	}
	bad := plan()
	bad.Source, bad.Columns[0].Field, bad.Delimiter = "ERP", "nonsense", "x"
	_, err = r.imports.CreateCustomerImport(r.admin(), &customerv1.CreateCustomerImportRequest{CustomerImport: bad})
	refused(t, "a bad plan", err, codes.InvalidArgument, "VALIDATION_FAILED", "customer_import.source", "customer_import.delimiter", "customer_import.purpose")
	bad.Source, bad.Delimiter, bad.Purpose = "erp", "", "first load"
	_, err = r.imports.CreateCustomerImport(r.admin(), &customerv1.CreateCustomerImportRequest{CustomerImport: bad})
	refused(t, "no such field", err, codes.InvalidArgument, "VALIDATION_FAILED", "customer_import.columns[0].field")
}

func TestOldImportsAreForgotten(t *testing.T) {
	r := start(t)
	done := r.loadSheet(t, plan(), []byte(sheetHeading+"E-1,王伟,shop,person,,,,\n"))
	waiting := r.begin(t, plan())
	if _, err := r.send(r.admin(), &customerv1.UploadCustomerImportRequest{Id: waiting.GetId(), Data: []byte("abc")}); err != nil {
		t.Fatal(err)
	}
	r.Clock.Advance(31 * 24 * time.Hour)
	if err := r.WorkSheets(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := r.sheet(t, waiting.GetId()); got.GetState() != customerv1.ImportState_IMPORT_STATE_CANCELLED {
		t.Errorf("one that nobody finished: %v", got)
	}
	if faults := r.faults(t, done.GetId()); len(faults) != 0 || r.sheet(t, done.GetId()).GetRefused() != 1 {
		t.Errorf("faults %v are kept, or the counts are not", faults)
	}
	if n := r.count(t, `SELECT count(*) FROM customer_import_parts`) + r.count(t, `SELECT count(*) FROM subject_keys WHERE wrapped IS NOT NULL`); n != 0 {
		t.Errorf("%d parts and keys are kept", n)
	}
}

func TestWorkbook(t *testing.T) {
	r := start(t)
	f := excelize.NewFile()
	for i, row := range [][]any{
		{"外部编号", "名称", "客户性质", "主体", "建档时间", "city"},
		{"X-1", "王伟", "代理商", "个人", time.Date(2020, 5, 6, 7, 8, 9, 0, time.UTC), "上海"},
		{"X-2", "李雷", "nobody", "个人"},
	} {
		if err := f.SetSheetRow("Sheet1", fmt.Sprint("A", i+1), &row); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	p := plan()
	p.Format = customerv1.SheetFormat_SHEET_FORMAT_XLSX
	got := r.loadSheet(t, p, b.Bytes())
	if got.GetCreated() != 1 || got.GetRefused() != 1 || got.GetDoneBytes() != int64(b.Len()) {
		t.Errorf("workbook %v", got)
	}
	if c := r.byExternal(t, "X-1"); c.GetCreateTime().AsTime().In(shanghai(t)).Format(time.DateTime) != "2020-05-06 07:08:09" || c.GetAddress().GetCity() != "上海" {
		t.Errorf("X-1 is %v", c)
	}
	if faults := r.faults(t, got.GetId()); len(faults) != 1 || faults[0].GetLine() != 3 || faults[0].GetColumn() != "C" || faults[0].GetValue() != "nobody" {
		t.Errorf("faults %v", faults)
	}
}
