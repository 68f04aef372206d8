// Package surveypage is the page behind the link of a survey, /s/{token}: HTML made here
// of what the survey service says of the link, sent back as a plain form. It has no script,
// decides nothing about answers and keeps nothing: every rule and what was filled in so far
// are the service's.
//
// What a customer enters goes to the service at each step (POST, then a redirect), so that
// the link opened again goes on where they stopped. Opening a link changes nothing: mail
// scanners do that too.
package surveypage

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"net/http"
	"net/url"
	"unicode/utf8"

	"github.com/google/uuid"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	"github.com/kefu-suite/kefu/runtime/rpc"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// policy allows the style sheet and sending the form back, and nothing else.
const policy = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

//go:embed page.html questions.html
var templates embed.FS

//go:embed page.css
var style []byte

var (
	parsed = template.Must(template.New("").Funcs(template.FuncMap{"pair": pair}).ParseFS(templates, "*.html"))
	// styleVersion stands in the sheet's address, so that it can be kept for good.
	styleVersion = func() string { sum := sha256.Sum256(style); return hex.EncodeToString(sum[:6]) }()
)

// Handler serves everything below /s/. The context of a request carries what the survey
// service is to know of the caller.
func Handler(answers surveyv1.AnswerServiceClient) http.Handler {
	p := pages{answers}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /s/page.css", sendStyle)
	mux.HandleFunc("GET /s/{token}", p.show)
	mux.HandleFunc("POST /s/{token}", p.take)
	mux.HandleFunc("/s/{token}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", "GET, HEAD, POST")
		sendNotice(w, r, http.StatusMethodNotAllowed, noticeVerb)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { sendNotice(w, r, http.StatusNotFound, noticeUnknown) })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("X-Robots-Tag", "noindex, nofollow")
		w.Header().Set("Cache-Control", "no-store") // lest 410 be remembered by a browser
		if !utf8.ValidString(r.URL.Path) {          // no link, and nothing that the service could be asked
			sendNotice(w, r, http.StatusNotFound, noticeUnknown)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func sendStyle(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/css; charset=utf-8")
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Del("Vary")
	_, _ = w.Write(style) // the reader may have gone
}

type pages struct{ answers surveyv1.AnswerServiceClient }

// show opens a link.
func (p pages) show(w http.ResponseWriter, r *http.Request) {
	form, err := p.answers.GetAnswerForm(r.Context(), &surveyv1.GetAnswerFormRequest{Token: r.PathValue("token")})
	query := r.URL.Query()
	if err != nil {
		if query.Has(verbWithdraw) && withdrawable(err) {
			sendNotice(w, r, http.StatusOK, noticeWithdraw)
			return
		}
		refuse(w, r, nil, err)
		return
	}
	f := filled{form: form, lang: chosen(query.Get("lang")), values: valuesOf(form.GetResponses())}
	sections := shownSections(form)
	at := len(sections) // the end
	if !query.Has("end") {
		at = start(form, sections, query)
	}
	if at < len(sections) {
		f.rated = rate(sections[at], f.values, query)
	}
	f.saved, f.opened = query.Has("saved"), query.Has("opened")
	sendForm(w, r, http.StatusOK, f, sections, at)
}

// start is the section to open: the one asked for, else the first in which something that
// must be answered lacks, or nothing was answered yet.
func start(form *surveyv1.AnswerForm, sections []section, query url.Values) int {
	if at := find(sections, query.Get("page")); at >= 0 && query.Has("page") {
		return at
	}
	if form.GetSaveTime() == nil {
		return 0
	}
	done := map[string]bool{}
	for _, response := range form.GetResponses() {
		done[response.GetQuestionKey()] = true
	}
	for _, key := range form.GetMissingQuestions() {
		done[key] = false
	}
	for i, s := range sections {
		touched, lacks := false, false
		for _, q := range s.questions {
			answered, known := done[q.GetKey()]
			touched, lacks = touched || answered, lacks || known && !answered
		}
		if lacks || !touched {
			return i
		}
	}
	return max(len(sections)-1, 0)
}

// take receives the form.
func (p pages) take(w http.ResponseWriter, r *http.Request) {
	// The link is the right to answer, so a foreign page gains nothing by sending the form;
	// but no browser of ours does that, and what nobody needs is refused.
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
	default:
		sendNotice(w, r, http.StatusForbidden, noticeForeign)
		return
	}
	s, code := read(r)
	if code != 0 {
		sendNotice(w, r, code, noticeUnreadable)
		return
	}
	if s.verb == verbWithdraw {
		p.withdraw(w, r, s)
		return
	}
	if s.verb == verbSubmit && !s.more && len(s.bad) == 0 {
		receipt, err := p.submit(r, s)
		if err == nil {
			sendThanks(w, r, s.lang, receipt)
			return
		}
		if !misfit(err) {
			refuse(w, r, s, err)
			return
		}
	}
	form, faults, err := p.keep(r, s)
	if err != nil {
		refuse(w, r, s, err)
		return
	}
	p.proceed(w, r, s, form, faults)
}

func (p pages) submit(r *http.Request, s *sent) (*surveyv1.AnswerReceipt, error) {
	return p.answers.SubmitAnswer(r.Context(), &surveyv1.SubmitAnswerRequest{
		Token: r.PathValue("token"), Responses: s.responses, ClearedQuestions: s.cleared, RequestId: s.once})
}

// keep saves what was sent. Where something does not fit its question nothing is saved, and
// the questions at fault come back with the form as it was.
func (p pages) keep(r *http.Request, s *sent) (*surveyv1.AnswerForm, map[string]bool, error) {
	token := r.PathValue("token")
	form, err := p.answers.SaveAnswerProgress(r.Context(), &surveyv1.SaveAnswerProgressRequest{
		Token: token, Responses: s.responses, ClearedQuestions: s.cleared})
	if err == nil {
		return form, s.bad, nil
	}
	if !misfit(err) {
		return nil, nil, err
	}
	faults := s.faults(err)
	if len(faults) == 0 {
		return nil, nil, err
	}
	form, err = p.answers.GetAnswerForm(r.Context(), &surveyv1.GetAnswerFormRequest{Token: token})
	return form, faults, err
}

// proceed leads on from a form that was kept: back to what is at fault or lacks, or to where
// the customer wanted to go.
func (p pages) proceed(w http.ResponseWriter, r *http.Request, s *sent, form *surveyv1.AnswerForm, faults map[string]bool) {
	sections := shownSections(form)
	at := find(sections, s.page)
	again := filled{form: form, lang: s.lang, values: s.values, faults: faults}
	switch {
	case len(faults) > 0 && at >= 0:
		sendForm(w, r, http.StatusUnprocessableEntity, again, sections, at)
		return
	case len(faults) > 0:
		// The form has changed beneath what was sent: it is shown as it stands.
		redirect(w, r, s.lang, url.Values{})
		return
	case s.verb != verbNext && s.verb != verbSubmit:
		p.stay(w, r, s, sections, at)
		return
	}
	if key := s.newlyShown(sections, at); key != "" {
		redirectTo(w, r, s.lang, url.Values{"page": {s.page}, "opened": {"1"}}, "q-"+key)
		return
	}
	missing := keysOf(form.GetMissingQuestions())
	if s.verb == verbNext {
		if at >= 0 && sections[at].any(missing) {
			again.faults = missing
			sendForm(w, r, http.StatusUnprocessableEntity, again, sections, at)
			return
		}
		redirectToSection(w, r, s.lang, sections, after(form, sections, s.page))
		return
	}
	p.finish(w, r, s, form, missing)
}

// stay answers the buttons that lead neither on nor to the end.
func (p pages) stay(w http.ResponseWriter, r *http.Request, s *sent, sections []section, at int) {
	switch s.verb {
	case verbBack:
		if at < 0 { // from the end
			at = len(sections)
		}
		redirectToSection(w, r, s.lang, sections, max(at-1, 0))
	case verbSave:
		redirect(w, r, s.lang, s.place(url.Values{"saved": {"1"}}))
	default:
		redirect(w, r, s.verb, s.place(url.Values{}))
	}
}

// finish sends the answer once everything that was sent with it is saved.
func (p pages) finish(w http.ResponseWriter, r *http.Request, s *sent, form *surveyv1.AnswerForm, missing map[string]bool) {
	sections := shownSections(form)
	for at := range sections {
		if sections[at].any(missing) {
			f := filled{form: form, lang: s.lang, values: valuesOf(form.GetResponses()), faults: missing}
			sendForm(w, r, http.StatusUnprocessableEntity, f, sections, at)
			return
		}
	}
	receipt, err := p.submit(r, &sent{once: s.once})
	if err != nil {
		refuse(w, r, s, err)
		return
	}
	sendThanks(w, r, s.lang, receipt)
}

func redirectToSection(w http.ResponseWriter, r *http.Request, lang string, sections []section, at int) {
	if at < len(sections) {
		redirect(w, r, lang, url.Values{"page": {sections[at].key}})
		return
	}
	redirect(w, r, lang, url.Values{"end": {"1"}})
}

func redirect(w http.ResponseWriter, r *http.Request, lang string, query url.Values) {
	redirectTo(w, r, lang, query, "")
}

// redirectTo leads to the same link: a form that was sent is not sent again by going back.
func redirectTo(w http.ResponseWriter, r *http.Request, lang string, query url.Values, fragment string) {
	if lang != "" {
		query.Set("lang", lang)
	}
	to := url.URL{Path: "/s/" + r.PathValue("token"), RawQuery: query.Encode(), Fragment: fragment}
	w.Header().Set("Location", to.String())
	w.WriteHeader(http.StatusSeeOther)
}

// chosen is the language that the customer has chosen; empty for none.
func chosen(lang string) string {
	if lang == rpcerr.Chinese || lang == rpcerr.English {
		return lang
	}
	return ""
}

// languageOf is the language of a page without a form: the chosen one, else the browser's.
func languageOf(r *http.Request, lang string) string {
	if lang != "" {
		return lang
	}
	if lang = chosen(r.URL.Query().Get("lang")); lang != "" {
		return lang
	}
	return rpc.Preferred(r.Header.Get("Accept-Language"))
}

// send writes a page whole or, where it cannot be made, nothing of it.
func send(w http.ResponseWriter, code int, name string, view any) {
	var page bytes.Buffer
	if err := parsed.ExecuteTemplate(&page, name, view); err != nil {
		panic(err) // answered and logged as INTERNAL; the templates are run by tests
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(code)
	_, _ = page.WriteTo(w) // the reader may have gone
}

// spoken is a question with the page's texts, for the templates.
type spoken struct {
	W *words
	Q question
}

func pair(w *words, q question) spoken { return spoken{w, q} }

// newOnce names the sending of one form, so that it counts once however often it is pressed.
func newOnce() string { return uuid.NewString() }
