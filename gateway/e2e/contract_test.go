package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc/codes"
)

// operation is one verb of one path of the document that the gateway serves.
type operation struct {
	verb, path, id string
	manual         string // its description, which lists its reasons
	public, body   bool
	params         []string
	bulk           bool
}

func (o operation) String() string { return o.verb + " " + o.path }

// at gives the path with the same value for each of its parameters.
func (o operation) at(value string) string {
	path := o.path
	for _, p := range o.params {
		if p == "version" { // a number
			path = strings.ReplaceAll(path, "{version}", "999999")
			continue
		}
		path = strings.ReplaceAll(path, "{"+p+"}", value)
	}
	return path
}

// operations are all of the document as it is served.
func operations(t *testing.T) []operation {
	t.Helper()
	document := as(t, suite).get("/openapi.json")
	paths, _ := document["paths"].(map[string]any)
	parameter := regexp.MustCompile(`\{([^}]+)\}`)
	var all []operation
	for path, item := range paths {
		verbs, _ := item.(map[string]any)
		for verb, value := range verbs {
			described := object(value.(map[string]any))
			if described["requestBody"] != nil && described.at("requestBody", "content", "application/json") == nil {
				continue // its body is a file
			}
			op := operation{verb: strings.ToUpper(verb), path: path, id: described.text("operationId"), manual: described.text("description")}
			security, given := described["security"].([]any)
			op.public = given && len(security) == 0
			op.body = described["requestBody"] != nil
			op.bulk = strings.HasSuffix(path, ":import")
			for _, m := range parameter.FindAllStringSubmatch(path, -1) {
				op.params = append(op.params, m[1])
			}
			all = append(all, op)
		}
	}
	if len(all) < 70 {
		t.Fatalf("the document has only %d operations", len(all))
	}
	slices.SortFunc(all, func(a, b operation) int { return strings.Compare(a.String(), b.String()) })
	return all
}

const (
	nobodysID = "01900000-0000-7000-8000-0000deadbeef"
	chinese   = "zh-CN"
)

// everything is a system that was given every permission of the contracts, and nothing
// one that was given none of them.
func everything() []string {
	return append([]string{"--service-account", "everything"}, permissionFlags()...)
}

func nothing() []string {
	return []string{"--service-account", "nothing", "--permission", "nothing.read"}
}

// fault is one way to call wrongly.
type fault struct {
	name    string
	applies func(operation) bool
	caller  []string
	path    func(operation) string
	verb    string // in place of the operation's own
	body    any    // only with operations that take one
	headers []string
	codes   []int
	reason  *regexp.Regexp
}

func faults() []fault {
	always := func(operation) bool { return true }
	known := func(o operation) bool { return !o.public }
	takes := func(o operation) bool { return o.body }
	// A draft of nothing is a copy of what is in effect, and learning anew takes nothing.
	needs := func(o operation) bool {
		return takes(o) && !slices.Contains([]string{"/v1/ticketPolicies", "/v1/complaintPolicies", "/v1/triageRules", "/v1/triageModels:train"}, o.path)
	}
	names := func(o operation) bool {
		// Whatever is wrong with a reference or its secret, the answer is the same.
		return len(o.params) > 0 && !strings.HasPrefix(o.path, "/v1/complaintStatus/") && !slices.ContainsFunc(o.params, func(p string) bool { return strings.HasSuffix(p, "version") })
	}
	writes := func(o operation) bool {
		// The signature under the quarterly review is the auditor's one write.
		return !o.public && o.verb != http.MethodGet && !strings.HasSuffix(o.path, ":compute") && o.path != "/v1/accessReviews/{id}:sign"
	}
	valid := func(o operation) string { return o.at(nobodysID) }
	is := func(reason string) *regexp.Regexp { return regexp.MustCompile("^(" + reason + ")$") }
	refused := []int{http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound}
	return []fault{
		{name: "no token", applies: known, path: valid, body: object{}, codes: []int{401}, reason: is("TOKEN_MISSING")},
		{name: "no token, public", applies: func(o operation) bool { return o.public && len(o.params) > 0 }, path: valid, body: object{}, codes: []int{400, 404},
			reason: is("VALIDATION_FAILED|INVITATION_NOT_FOUND|COMPLAINT_STATUS_NOT_FOUND")},
		{name: "a token of nobody's", applies: known, path: valid, body: object{}, headers: []string{"Authorization", "Bearer nonsense"}, codes: []int{401}, reason: is("TOKEN_[A-Z]+")},
		{name: "another scheme", applies: known, path: valid, body: object{}, headers: []string{"Authorization", "Basic a2VmdTprZWZ1"}, codes: []int{401}, reason: is("TOKEN_[A-Z]+")},
		{name: "no right", applies: known, caller: nothing(), path: valid, body: object{}, codes: []int{403}, reason: is("PERMISSION_DENIED")},
		{name: "an auditor writes", applies: writes, caller: role("auditor"), path: valid, body: object{}, codes: []int{403}, reason: is("PERMISSION_DENIED")},
		{name: "a salesperson writes", applies: writes, caller: role("salesperson"), path: valid, body: object{}, codes: refused},
		{name: "a customer of no file", applies: known, caller: []string{"--customer", nobodysID}, path: valid, body: object{},
			codes: append([]int{http.StatusOK}, refused...)},
		{name: "garbage for an id", applies: names, caller: everything(), path: func(o operation) string { return o.at("No-id") }, body: object{}, codes: []int{400}, reason: is("VALIDATION_FAILED")},
		{name: "an id too long", applies: names, caller: everything(), path: func(o operation) string { return o.at(strings.Repeat("7", 500)) }, body: object{}, codes: []int{400}, reason: is("VALIDATION_FAILED")},
		{name: "an id of nothing", applies: func(o operation) bool { return len(o.params) > 0 && !o.body }, caller: everything(), path: valid, codes: []int{404}, reason: is("[A-Z_]+_NOT_FOUND")},
		{name: "no body", applies: needs, caller: everything(), path: valid, codes: []int{400, 403, 404}},
		{name: "an empty object", applies: needs, caller: everything(), path: valid, body: object{}, codes: []int{400, 403, 404}},
		{name: "a list for a body", applies: takes, caller: everything(), path: valid, body: []any{}, codes: []int{400}, reason: is("BODY_INVALID")},
		{name: "an unknown field", applies: takes, caller: everything(), path: valid, body: object{"surprise": 1}, codes: []int{400}, reason: is("BODY_INVALID")},
		{name: "an unknown parameter", applies: always, caller: everything(), path: func(o operation) string { return valid(o) + "?surprise=1" }, body: object{}, codes: []int{400}, reason: is("BODY_INVALID")},
		{name: "text for JSON", applies: takes, caller: everything(), path: valid, body: object{}, headers: []string{"Content-Type", "text/plain"}, codes: []int{415}, reason: is("CONTENT_TYPE_UNSUPPORTED")},
		{name: "another verb", applies: always, caller: everything(), path: valid, verb: http.MethodPut, body: object{}, codes: []int{405}, reason: is("METHOD_NOT_ALLOWED")},
	}
}

// TestEveryErrorOverRESTSaysWhy walks every path and verb of the document in every wrong
// way and both languages.
func TestEveryErrorOverRESTSaysWhy(t *testing.T) {
	all := operations(t)
	for _, f := range faults() {
		t.Run(f.name, func(t *testing.T) {
			caller := as(t, suite, f.caller...)
			calls := 0
			for i, op := range all {
				if f.applies(op) {
					calls++
					checkFault(t, caller, f, op, []string{"en", chinese}[i%2], fmt.Sprintf("contract-%d", i))
				}
			}
			if calls == 0 {
				t.Error("no operation was called")
			}
		})
	}
}

func checkFault(t *testing.T, caller *caller, f fault, op operation, language, requestID string) {
	t.Helper()
	verb, body := op.verb, f.body
	if f.verb != "" {
		verb = f.verb
	} else if !op.body {
		body = nil
	}
	headers := append([]string{"Accept-Language", language, "X-Request-Id", requestID}, f.headers...)
	a := caller.try(verb, f.path(op), body, headers...)
	if !slices.Contains(f.codes, a.code) {
		t.Errorf("%s answered %d %s, expected %v: %s", op, a.code, a.reason, f.codes, a.raw)
		return
	}
	if a.code == http.StatusOK {
		return
	}
	if f.reason != nil && !f.reason.MatchString(a.reason) {
		t.Errorf("%s answered %s, expected %s: %s", op, a.reason, f.reason, a.raw)
	}
	if fault := faultOf(a, language, requestID); fault != "" {
		t.Errorf("%s: %s: %d %s", op, fault, a.code, a.raw)
	}
	if f.verb == "" && !strings.Contains(op.manual, a.reason) && !ownReasons[a.reason] {
		t.Errorf("%s answers %s, which its comment does not name", op, a.reason)
	}
}

// ownReasons are those of the door, which hold for every operation and stand in
// none's comment.
var ownReasons = map[string]bool{
	"TOKEN_MISSING": true, "TOKEN_INVALID": true, "PERMISSION_DENIED": true, "BODY_INVALID": true, "CONTENT_TYPE_UNSUPPORTED": true,
}

// faultOf says what an error lacks of what every error has; "" for nothing.
func faultOf(a answer, language, requestID string) string {
	details := map[string]object{}
	for _, d := range a.body.list("details") {
		details[strings.TrimPrefix(d.text("@type"), "type.googleapis.com/google.rpc.")] = d
	}
	info, local := details["ErrorInfo"], details["LocalizedMessage"]
	code := codes.Code(a.body.number("code"))
	special := map[int]codes.Code{
		http.StatusMethodNotAllowed: codes.Unimplemented, http.StatusUnsupportedMediaType: codes.InvalidArgument, http.StatusPreconditionFailed: codes.Aborted,
	}
	want, given := special[a.code]
	switch {
	case code == codes.OK || (given && code != want) || (!given && runtime.HTTPStatusFromCode(code) != a.code):
		return fmt.Sprintf("code %d does not go with it", code)
	case a.body.text("message") == "":
		return "there is no message"
	case !regexp.MustCompile(`^[A-Z][A-Z_]+[A-Z]$`).MatchString(info.text("reason")):
		return "the reason is not a name"
	case info.text("domain") != "kefu":
		return "the domain is not kefu"
	case details["RequestInfo"].text("requestId") != requestID || a.header.Get("X-Request-Id") != requestID:
		return "it names another request than " + requestID
	case local.text("locale") != language || (strings.IndexFunc(local.text("message"), isHan) >= 0) != (language == chinese):
		return "it does not speak " + language
	case a.code == http.StatusUnauthorized && !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer"):
		return "it does not say how to sign in"
	case a.code == http.StatusMethodNotAllowed && a.header.Get("Allow") == "":
		return "it does not say what is allowed"
	case info.text("reason") == "VALIDATION_FAILED" && len(details["BadRequest"].list("fieldViolations")) == 0:
		return "it names no field"
	}
	for _, v := range details["BadRequest"].list("fieldViolations") {
		if (strings.IndexFunc(v.text("description"), isHan) >= 0) != (language == chinese) {
			return "the fault of " + v.text("field") + " does not speak " + language
		}
		if strings.Contains(v.text("field"), "_") {
			return "the field " + v.text("field") + " is not named as in JSON"
		}
	}
	return ""
}

func isHan(r rune) bool { return unicode.Is(unicode.Han, r) }

// TestBodyThatIsNotJSON breaks the body itself, which no client library would.
func TestBodyThatIsNotJSON(t *testing.T) {
	caller := as(t, suite, everything()...)
	for _, op := range operations(t) {
		if !op.body {
			continue
		}
		a := caller.send(op.verb, op.at(nobodysID), `{"a":`)
		if a.code != http.StatusBadRequest || a.reason != "BODY_INVALID" {
			t.Errorf("%s answered %d %s", op, a.code, a.raw)
		}
	}
}

// send makes a call with a body as it is.
func (c *caller) send(method, path, body string) answer {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+c.token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	a := answer{code: res.StatusCode, header: res.Header}
	if err := json.NewDecoder(res.Body).Decode(&a.body); err != nil {
		c.t.Fatalf("%s %s answered no JSON: %v", method, path, err)
	}
	for _, d := range a.body.list("details") {
		a.reason += d.text("reason")
	}
	return a
}
