package surveypage

import (
	"net/http"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// withdraw takes the answer of a link back. Pressed twice, both are told that it is.
func (p pages) withdraw(w http.ResponseWriter, r *http.Request, s *sent) {
	_, err := p.answers.WithdrawAnswer(r.Context(), &surveyv1.WithdrawAnswerRequest{Token: r.PathValue("token")})
	if err != nil && rpcerr.Reason(err) != "ANSWER_WITHDRAWN" {
		refuse(w, r, s, err)
		return
	}
	sendNoticeOf(w, r, http.StatusOK, noticeWithdrawn, s)
}
