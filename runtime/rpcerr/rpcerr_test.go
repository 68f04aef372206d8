package rpcerr_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// details picks the details of a status by kind.
func details(t *testing.T, s *status.Status) (info *errdetails.ErrorInfo, text *errdetails.LocalizedMessage, bad *errdetails.BadRequest, retry *errdetails.RetryInfo) {
	t.Helper()
	for _, d := range s.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			info = d
		case *errdetails.LocalizedMessage:
			text = d
		case *errdetails.BadRequest:
			bad = d
		case *errdetails.RetryInfo:
			retry = d
		case error:
			t.Fatalf("a detail does not unpack: %v", d)
		}
	}
	return info, text, bad, retry
}

func TestStatusSpeaksTheAskedLanguage(t *testing.T) {
	err := rpcerr.Invalid("ticket.subject", rpcerr.T("it is empty.", "不能为空。")).
		Clause("SVC-12").RetryAfter(3 * time.Second)
	for _, c := range []struct{ ask, locale, text, field string }{
		{"zh-CN", "zh-CN", "请求无效：ticket.subject：不能为空。", "不能为空。"},
		{"en", "en", "The request is not valid: ticket.subject: it is empty.", "it is empty."},
		{"fr", "en", "The request is not valid: ticket.subject: it is empty.", "it is empty."},
	} {
		s := err.Status(c.ask)
		info, text, bad, retry := details(t, s)
		if s.Code() != codes.InvalidArgument || !strings.HasPrefix(s.Message(), "The request") {
			t.Errorf("%s: status %v %q", c.ask, s.Code(), s.Message())
		}
		if info.GetDomain() != "kefu" || info.GetReason() != "VALIDATION_FAILED" || info.GetMetadata()["clause"] != "SVC-12" {
			t.Errorf("%s: info %v", c.ask, info)
		}
		if text.GetLocale() != c.locale || text.GetMessage() != c.text {
			t.Errorf("%s: text %v", c.ask, text)
		}
		v := bad.GetFieldViolations()
		if len(v) != 1 || v[0].GetField() != "ticket.subject" || v[0].GetDescription() != c.field {
			t.Errorf("%s: violations %v", c.ask, v)
		}
		if retry.GetRetryDelay().AsDuration() != 3*time.Second {
			t.Errorf("%s: retry %v", c.ask, retry)
		}
	}
}

func TestConstructors(t *testing.T) {
	text := rpcerr.T("no.", "不行。")
	for _, c := range []struct {
		err    *rpcerr.Error
		code   codes.Code
		reason string
	}{
		{rpcerr.NotFound("ticket", "1"), codes.NotFound, "TICKET_NOT_FOUND"},
		{rpcerr.NotFound("service standard", "1"), codes.NotFound, "SERVICE_STANDARD_NOT_FOUND"},
		{rpcerr.Exists("customer", "number", "C-1"), codes.AlreadyExists, "CUSTOMER_EXISTS"},
		{rpcerr.WrongState("TICKET_CLOSED", text), codes.FailedPrecondition, "TICKET_CLOSED"},
		{rpcerr.Stale("ticket", "1"), codes.Aborted, "ETAG_MISMATCH"},
		{rpcerr.Denied("NO_PERMISSION", text), codes.PermissionDenied, "NO_PERMISSION"},
		{rpcerr.Unauthenticated("TOKEN_EXPIRED", text), codes.Unauthenticated, "TOKEN_EXPIRED"},
		{rpcerr.Unavailable("database"), codes.Unavailable, "DEPENDENCY_UNAVAILABLE"},
		{rpcerr.Exhausted("RATE_LIMITED", time.Second, text), codes.ResourceExhausted, "RATE_LIMITED"},
	} {
		wrapped := fmt.Errorf("insert: %w", c.err)
		if status.Code(wrapped) != c.code || rpcerr.Reason(wrapped) != c.reason {
			t.Errorf("%v: got %v %q, want %v %q", c.err, status.Code(wrapped), rpcerr.Reason(wrapped), c.code, c.reason)
		}
		if zh := c.err.Text().ZH; zh == "" || strings.Contains(zh, "%!") || strings.Contains(c.err.Text().EN, "%!") {
			t.Errorf("%v: text %+v", c.err, c.err.Text())
		}
	}
}

func TestAnErrorIsNeverChangedBySharing(t *testing.T) {
	shared := rpcerr.New(codes.Aborted, "X", rpcerr.T("x.", "x。")).With("a", "1")
	_ = shared.With("b", "2").Field("f", rpcerr.T("y.", "y。")).RetryAfter(time.Second)
	info, _, bad, retry := details(t, shared.GRPCStatus())
	if len(info.GetMetadata()) != 1 || bad != nil || retry != nil {
		t.Fatalf("the shared error changed: %v %v %v", info, bad, retry)
	}
}

func TestExistsKeepsPersonalDataOut(t *testing.T) {
	err := rpcerr.Exists("contact", "phone", "")
	if strings.Contains(err.Error(), `""`) {
		t.Fatalf("text %q shows an empty value", err.Error())
	}
}

func TestReasonOfOtherErrors(t *testing.T) {
	for _, err := range []error{nil, errors.New("x"), status.Error(codes.NotFound, "x")} {
		if r := rpcerr.Reason(err); r != "" {
			t.Errorf("%v has reason %q", err, r)
		}
	}
}

// TestTextsWithinTexts: what stands in a text stands there in its language.
func TestTextsWithinTexts(t *testing.T) {
	states := rpcerr.List(rpcerr.Text{EN: "new", ZH: "新建"}, rpcerr.Text{EN: "closed", ZH: "已关闭"})
	got := rpcerr.T("%[2]d are %[1]s", "%[1]s的有 %[2]d 个", states, 3)
	if want := (rpcerr.Text{EN: "3 are new, closed", ZH: "新建、已关闭的有 3 个"}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}
