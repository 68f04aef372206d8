package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestREADMETour runs the tour as it is written.
func TestREADMETour(t *testing.T) {
	tells(t, tour(t, "README.md"),
		`"name":"上海晨光机械有限公司"`, "C-2", "TICKET_WRONG_STATE", "TICKET_STATE_ASSIGNED", "TICKET_STATE_IN_PROGRESS", "TICKET_STATE_RESOLVED",
		"first-response CLOCK_STATE_MET", "resolution CLOCK_STATE_MET", `"dueTime":`, "2026-02-24T09:50:00Z",
		"documented service-agent CLOCK_STATE_RUNNING", "told handler CLOCK_STATE_PENDING", `"clauseId":"promise-general"`,
		"resolution-c-p3 POLICY_CHANGE_KIND_CHANGED", "version 1,in effect",
		`"answerId":`, `"evidence":{`, "answer.received.v1", "ticket.created.v1", `"questionKey":"overall"`)
}

// TestSecurityTour runs the tour of who sees what.
func TestSecurityTour(t *testing.T) {
	tells(t, tour(t, "docs", "security.md"),
		"138****5678", "+8613800135678", `"value":"+8613800135678"`, `"remaining":`,
		"GRANT_NEEDED", "SECOND_PERSON_NEEDED", "ACCESS_REQUEST_STATE_APPROVED", "+8613800135678", "ACCESS_REQUEST_STATE_REVOKED", "GRANT_NEEDED",
		"ACCESS_REQUEST_STATE_APPROVED", "赵六（市场监督管理局）", `"phone":"138****5678"`,
		"TIER_KEY", "GRANT_NEEDED", "+8613800135678", "the fire brigade confirms it",
		"CONSENT_PURPOSE_SURVEYS", `"granted":false`, `"granted":true`, "INVITATION_STATE_REVOKED", "CONSENT_WITHDRAWN",
		`"byGrant":1`, "QUARTER_NOT_OVER", `"right":"role:service-agent/customers.readmasked"`, `"lastUseTime"`, `"accessReviews":[`, `"address":"127.0.0.1"`,
		"3 Service/CreateAccessRequest", "2 Service/ExtractAccessRequest", "1 Service/UnmaskCustomer", "+8613800139999", "TICKET_NOT_FOUND", "水泵漏水",
		"GRANT_NEEDED", "TICKET_STATE_ASSIGNED", `"phone":"+8613800135678","email":"z***@jinggong.example"`, "TICKET_STATE_RESOLVED", "GRANT_NEEDED",
		`"name":"周小川"`, `"phone":"+8613900007788"`, "LEGAL_HOLD", "SUBJECT_REQUEST_STATE_RUNNING",
		"service-ticket complaint survey customer-registry", "CUSTOMER_NOT_FOUND")
}

// TestComplaintsTour runs the tour of complaints.
func TestComplaintsTour(t *testing.T) {
	tells(t, tour(t, "docs", "complaints.md"),
		"complaint.severity-repeat-customer/1", "it is complaint 3 of the customer", "COMPLAINT_STATE_SUBMITTED", "SEVERITY_TOO_LOW", "SEVERITY_MAJOR", "2",
		"COMPLAINT_STATE_CONTACTED", "the seal is brittle", "QUALITY_NOT_CONFIRMED", "hold the lot",
		"RESPONSIBILITY_STATE_PROPOSED", "OBJECTION_WINDOW_OPEN", "RESPONSIBILITY_STATE_OBJECTED", "RESPONSIBILITY_STATE_DETERMINED",
		`"inEffect":false`, "RESPONSIBILITY_STATE_FINAL",
		"COMPLAINT_STATE_PROPOSED", "AMOUNT_ABOVE_LIMIT", "COMPLAINT_STATE_APPROVED", "PAY-77", "REMEDY_EXECUTED", "COMPLAINT_STATE_TOLD",
		"COMPLAINT_STAGE_RECEIVED", "COMPLAINT_STATUS_NOT_FOUND", "COMPLAINT_STATUS_NOT_FOUND", "COMPLAINT_STAGE_RECEIVED",
		"COMPLAINT_STATE_REVIEWED", "OUTCOME_SATISFIED",
		"ASSESSMENT_STATE_ENTERED", "SECOND_PERSON_NEEDED", `"inEffect":true`, `"inEffect":false`, "ASSESSMENT_STATE_UPHELD",
		`"key":"received"`, `"key":"closed"`)
}

// TestDeskTour runs the tour of the organisation behind the desk and of a whole case.
func TestDeskTour(t *testing.T) {
	tells(t, tour(t, "docs", "desk.md"),
		`"routeId":""`, `"routeId":"0`, "STAFF_STATUS_BUSY", "工作状态", `"openTickets":0`, `"expired":true`,
		"SUBSTITUTION_CYCLE", `"insteadOfStaffId":"0`, `"gaps":[{`, "DUTY_SHIFT_OVERLAPS",
		"HOTLINES_INCOMPLETE", "公司经理手机", "HOTLINE_OVERDUE_", `"version":`, `"purpose":"HOTLINE_PURPOSE_COMPLAINT"`,
		`"distanceKm":83.`, "TICKET_STATE_ASSIGNED", "TICKET_STATE_IN_PROGRESS", "TICKET_TASKS_OPEN", "测量轴径", "due in two days", `"tasks":[],`,
		`"field":"reason"`, "due in four days", "请按 RFC 3339", "due in two days", "TASK_STATE_DONE", "TICKET_STATE_RESOLVED",
		"TICKET_STATE_WAITING", "STAFF_STATUS_AWAY", "水泵漏水", "只有状态为“已分派、处理中”时才能退回待分配队列", `"done":1`, "TICKET_STATE_WAITING", "工作交接：工单由 韩梅 转交 赵总。原因：休产假",
		"成员 2 人、分派规则 1 条", "taken over", "routed to the successor", "moved to the successor", "departmentId",
		"TICKET_STATE_TRIAGED", `"waiting":1`, `"openTickets":0`, "STAFF_STATUS_AWAY", "You get no ticket now", "您现在不能领取工单", "STAFF_STATUS_AVAILABLE",
		`"title":"Pump leaks 液压泵漏油"`, "TICKET_STATE_ASSIGNED", "TICKET_STATE_IN_PROGRESS", "您的工单已由客户服务部王芳受理", "Dear John Smith", "第三次漏油",
		"更换密封件", `"minutes":45`, "TICKET_STATE_WAITING", "CLOCK_STATE_PAUSED", "The ticket is waiting; start is possible only when it is assigned.",
		"工单当前状态为“等待中”；只有状态为“已分派”时才能开始处理。", "TICKET_STATE_MERGED", "TICKET_STATE_NEW", "LINK_KIND_RELATED", "ETAG_MISMATCH", "TICKET_STATE_RESOLVED", "TICKET_WRONG_STATE", "TICKET_STATE_CLOSED",
		"Pump leaks", "Pump leaks", `"verb":"create"`, `"verb":"assign"`, "第三次漏油", `"verb":"confirm"`, "TICKET_STATE_CANCELLED", "ticket.cancelled.v1",
		"未包含现有范围", `"serialTo":"SN299"`, `"customers":0`)
}

// tour runs the shell blocks of a document, one after another in one shell, on the stack of
// the tests, and gives what they print.
func tour(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{"..", ".."}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	var script strings.Builder
	script.WriteString("set -euo pipefail\n")
	blocks := strings.Split(string(text), "```sh\n")
	for _, block := range blocks[1:] {
		code, _, ok := strings.Cut(block, "```")
		if !ok {
			t.Fatal("a block of the tour does not end")
		}
		script.WriteString(code)
	}
	st, err := suite.state()
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	written := strings.NewReplacer(
		"grpcurl -cacert .kefu/ca/ca.pem", self+" grpcurl -cacert "+st.CAFile,
		"127.0.0.1:9001", st.grpc("customer-registry"),
		"http://127.0.0.1:8080", st.REST,
		"bin/kefuctl token", filepath.Join(suite.bin, "kefuctl")+" --dir "+suite.dir+" token",
		"bin/kefuctl import", filepath.Join(suite.bin, "kefuctl")+" --dir "+suite.dir+" import",
		"bin/kefuctl demo", filepath.Join(suite.bin, "kefuctl")+" --dir "+suite.dir+" demo",
		"bin/kefuctl dry-run", filepath.Join(suite.bin, "kefuctl")+" --dir "+suite.dir+" dry-run",
	).Replace(script.String())
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash")
	cmd.Stdin = strings.NewReader(written)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("the tour fails: %v\n%s", err, out)
	}
	return string(out)
}

// tells checks that the texts stand in what a tour printed, one after another.
func tells(t *testing.T, out string, wants ...string) {
	t.Helper()
	// protojson puts a space after a colon in some builds and none in others.
	told := regexp.MustCompile(`(":|,) `).ReplaceAllString(out, "$1")
	at := 0
	for _, want := range wants {
		found := strings.Index(told[at:], want)
		if found < 0 {
			t.Fatalf("the tour does not print %s after what came before:\n%s", want, out)
		}
		at += found + len(want)
	}
}
