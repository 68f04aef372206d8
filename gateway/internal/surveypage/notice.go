package surveypage

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	"github.com/kefu-suite/kefu/runtime/rpc"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// noticeKind is a page that says one thing.
type noticeKind int

const (
	noticeUnknown noticeKind = iota
	noticeAnswered
	// noticeWithdraw asks whether the answer is to be taken back.
	noticeWithdraw
	noticeWithdrawn
	noticeAnonymous
	noticeNothing
	noticeExpired
	noticeRevoked
	noticeBusy
	noticeDown
	noticeFailed
	noticeUnreadable
	noticeForeign
	noticeVerb
)

// noticeView is a page without questions.
type noticeView struct {
	frame
	Heading, Text, More string
	Token               string
	// Again are the fields of a form that did not get through, to be sent once more.
	Again     []field
	Reference string
	Good      bool
	// Withdraw is the link whose answer can be taken back, if it can; Confirm asks whether it is.
	Withdraw string
	Confirm  bool
}

type field struct{ Name, Value string }

func sendNotice(w http.ResponseWriter, r *http.Request, code int, kind noticeKind) {
	sendNoticeOf(w, r, code, kind, nil)
}

func sendNoticeOf(w http.ResponseWriter, r *http.Request, code int, kind noticeKind, s *sent) {
	v := noticeOf(r, kind, s)
	if code >= http.StatusInternalServerError {
		v.Reference = rpc.RequestID(r.Context())
	}
	if s != nil && (kind == noticeBusy || kind == noticeDown || kind == noticeFailed) {
		v.Again = fieldsOf(s.values)
	}
	send(w, code, "notice", v)
}

func noticeOf(r *http.Request, kind noticeKind, s *sent) noticeView {
	lang := ""
	if s != nil {
		lang = s.lang
	}
	v := noticeView{frame: frameOf(languageOf(r, lang)), Token: r.PathValue("token"), Good: kind == noticeAnswered, Confirm: kind == noticeWithdraw}
	v.Heading, v.Text = v.W.notice(kind)
	v.Title = v.Heading
	return v
}

// sendAnswered says that a link was answered, and leads to where the answer can be taken back.
func sendAnswered(w http.ResponseWriter, r *http.Request, s *sent, err error) {
	if rpcerr.Info(err).GetMetadata()["answer"] == "withdrawn" {
		sendNoticeOf(w, r, http.StatusGone, noticeWithdrawn, s)
		return
	}
	v := noticeOf(r, noticeAnswered, s)
	if withdrawable(err) {
		v.Withdraw = v.Token
	}
	send(w, http.StatusGone, "notice", v)
}

// withdrawable tells of a refusal that there is an answer that can be taken back.
func withdrawable(err error) bool {
	return rpcerr.Reason(err) == "INVITATION_ANSWERED" && rpcerr.Info(err).GetMetadata()["answer"] == "kept"
}

func fieldsOf(values url.Values) []field {
	var fields []field
	for name, list := range values {
		for _, value := range list {
			fields = append(fields, field{name, value})
		}
	}
	slices.SortStableFunc(fields, func(a, b field) int { return strings.Compare(a.Name, b.Name) })
	return fields
}

// refuse says why a link cannot be answered, or why not now. What was entered, if anything,
// can be sent again from there.
func refuse(w http.ResponseWriter, r *http.Request, s *sent, err error) {
	switch rpcerr.Reason(err) {
	case "INVITATION_NOT_FOUND", "VALIDATION_FAILED":
		// A guessed link and one of the wrong form are answered alike.
		if misfit(err) || s != nil && !slices.Contains(violations(err), "token") && status.Code(err) == codes.InvalidArgument {
			sendNotice(w, r, http.StatusBadRequest, noticeUnreadable)
			return
		}
		sendNoticeOf(w, r, http.StatusNotFound, noticeUnknown, s)
		return
	case "INVITATION_ANSWERED", "REQUEST_ID_REUSED": // reused: sent, changed and sent again
		sendAnswered(w, r, s, err)
		return
	case "ANSWER_ANONYMOUS":
		sendNoticeOf(w, r, http.StatusGone, noticeAnonymous, s)
		return
	case "ANSWER_NOT_GIVEN":
		sendNoticeOf(w, r, http.StatusConflict, noticeNothing, s)
		return
	case "INVITATION_EXPIRED":
		sendNoticeOf(w, r, http.StatusGone, noticeExpired, s)
		return
	case "INVITATION_REVOKED":
		sendNoticeOf(w, r, http.StatusGone, noticeRevoked, s)
		return
	}
	switch st := status.Convert(err); st.Code() {
	case codes.ResourceExhausted:
		for _, detail := range st.Details() {
			if retry, ok := detail.(*errdetails.RetryInfo); ok {
				w.Header().Set("Retry-After", strconv.Itoa(int(retry.GetRetryDelay().AsDuration().Seconds())+1))
			}
		}
		sendNoticeOf(w, r, http.StatusTooManyRequests, noticeBusy, s)
	case codes.Unavailable, codes.DeadlineExceeded, codes.Aborted, codes.Canceled:
		sendNoticeOf(w, r, http.StatusServiceUnavailable, noticeDown, s)
	default:
		sendNoticeOf(w, r, http.StatusInternalServerError, noticeFailed, s)
	}
}

// sendThanks answers an answer.
func sendThanks(w http.ResponseWriter, r *http.Request, lang string, receipt *surveyv1.AnswerReceipt) {
	lang = languageOf(r, lang)
	v := noticeView{frame: frameOf(lang), Good: true}
	v.Heading, v.Text = v.W.Thanks, v.W.ThanksText
	if own := in(receipt.GetThanks(), lang); own != "" {
		v.Text = own
	}
	if receipt.GetAnswerId() != "" { // not anonymous
		v.Withdraw = r.PathValue("token")
	}
	if len(receipt.GetDroppedQuestions()) > 0 {
		v.More = v.W.Dropped
	}
	v.Title = v.Heading
	send(w, http.StatusOK, "notice", v)
}
