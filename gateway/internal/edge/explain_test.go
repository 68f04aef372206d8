package edge

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"unicode"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// refusedFields calls the edge and gives the bad fields that its refusal names, by path.
func refusedFields(t *testing.T, w *world, verb, path, body, language string) map[string]string {
	t.Helper()
	a := w.call(verb, path, body, "Accept-Language", language)
	if a.code != http.StatusBadRequest || a.reason != "BODY_INVALID" {
		t.Errorf("%s %s %s: answered %d %s", verb, path, body, a.code, a.body)
	}
	var said struct {
		Details []struct {
			FieldViolations []struct{ Field, Description string }
		}
	}
	if err := json.Unmarshal([]byte(a.body), &said); err != nil {
		t.Fatal(err)
	}
	fields := map[string]string{}
	for _, d := range said.Details {
		for _, v := range d.FieldViolations {
			fields[v.Field] = v.Description
		}
	}
	return fields
}

// What transcoding cannot read is named by its path, as the caller wrote it, with the value
// and what would be right, in both languages.
func TestWhatCannotBeReadIsExplained(t *testing.T) {
	w := setup(t)
	for name, c := range map[string]struct {
		verb, path, body string
		field            string
		says             []string // in both languages
	}{
		"an enum's word":          {"POST", "/v1/tickets", `{"channel":"CHANNEL_PIGEON"}`, "channel", []string{`"CHANNEL_PIGEON"`, "CHANNEL_PHONE", "CHANNEL_EMAIL"}},
		"an enum by half":         {"POST", "/v1/tickets", `{"channel":1.5}`, "channel", []string{"1.5", "CHANNEL_PHONE"}},
		"a name nearly right":     {"POST", "/v1/tickets", `{"titel":"x"}`, "titel", []string{`"titel"`, "title"}},
		"a name by no means":      {"POST", "/v1/tickets", `{"zzzzzzzzzzzz":"x"}`, "zzzzzzzzzzzz", []string{"customerId", "title"}},
		"a number for a text":     {"POST", "/v1/tickets", `{"title":13800138000}`, "title", nil},
		"a name twice":            {"POST", "/v1/tickets", `{"customerId":"a","customer_id":"b"}`, "customer_id", []string{`"customerId"`}},
		"as the caller spells it": {"POST", "/v1/tickets", `{"due_times":"x"}`, "due_times", []string{`"due_times"`}},
		"a list for an object":    {"POST", "/v1/tickets", `[]`, "", []string{"customerId"}},
		"a text for a switch":     {"POST", "/v1/tickets/" + id + ":recordContact", `{"twoWay":"yes"}`, "twoWay", []string{`"yes"`, "true", "false"}},
		"an item of a list":       {"POST", "/v1/ticketPolicies", `{"clauses":[{},{"target":{"workingDays":"soon"}}]}`, "clauses[1].target.workingDays", []string{`"soon"`}},
		"null in a list":          {"POST", "/v1/tickets:bulk", `{"ids":["a",null]}`, "ids[1]", []string{"null"}},
		"an entry of a map":       {"POST", "/v1/tickets:bulk", `{"etags":{"x_y":5}}`, `etags["x_y"]`, nil},
		"a list for a map":        {"POST", "/v1/tickets:bulk", `{"etags":["x"]}`, "etags", []string{"{…}"}},
		"an object for a list":    {"POST", "/v1/tickets:bulk", `{"ids":{}}`, "ids", []string{"[…]"}},
		"a number out of range":   {"PATCH", "/v1/customers/" + id, `{"round":99999999999}`, "round", nil},
		"a time in a body":        {"POST", "/v1/calendars/x:compute", `{"start":"tomorrow"}`, "start", []string{`"tomorrow"`, "2026-11-02T09:00:00Z"}},
		"a number in a body":      {"POST", "/v1/calendars/x:compute", `{"workingDays":3000000000}`, "workingDays", []string{"3000000000"}},
		"a parameter's number":    {"GET", "/v1/tickets?pageSize=many", "", "pageSize", []string{`"many"`, "0", "500"}},
		"a parameter too large":   {"GET", "/v1/tickets?page_size=99999999999", "", "page_size", []string{`"99999999999"`, "500"}},
		"a parameter's word":      {"GET", "/v1/tickets?states=TICKET_STATE_NEW&states=NEW", "", "states", []string{`"NEW"`, "TICKET_STATE_RESOLVED"}},
		"a parameter nearly":      {"GET", "/v1/tickets?pagesise=5", "", "pagesise", []string{`"pagesise"`, "pageSize"}},
		"a parameter by no means": {"GET", "/v1/tickets?zzzzzzzzzzzz=5", "", "zzzzzzzzzzzz", []string{"customerId"}},
		"a parameter twice":       {"GET", "/v1/tickets?pageSize=5&pageSize=6", "", "pageSize", []string{"2"}},
		"a parameter's two names": {"GET", "/v1/tickets?pageSize=5&page_size=6", "", "page_size", []string{`"pageSize"`}},
		"a number in the path":    {"GET", "/v1/triageRules/first", "", "version", []string{`"first"`}},
	} {
		t.Run(name, func(t *testing.T) {
			before := w.calls
			for _, language := range []string{"en", "zh-CN"} {
				said, ok := refusedFields(t, w, c.verb, c.path, c.body, language)[c.field]
				if !ok {
					t.Errorf("%s: the field %q is not named", language, c.field)
				}
				if strings.ContainsFunc(said, func(r rune) bool { return unicode.Is(unicode.Han, r) }) != (language == "zh-CN") {
					t.Errorf("it does not speak %s: %s", language, said)
				}
				for _, part := range c.says {
					if !strings.Contains(said, part) {
						t.Errorf("%s is not said: %s", part, said)
					}
				}
				if strings.Contains(said, "UNSPECIFIED") || strings.Contains(said, "13800138000") || strings.Contains(said, "%!") {
					t.Errorf("it says too much: %s", said)
				}
			}
			if w.calls != before {
				t.Error("the service was called all the same")
			}
		})
	}
}

func TestEveryFaultOfABodyIsTold(t *testing.T) {
	w := setup(t)
	fields := refusedFields(t, w, "POST", "/v1/tickets", `{"titel":"x","channel":"NO","type":true,"mode":"MODE_UNSPECIFIED"}`, "en")
	for _, name := range []string{"titel", "channel", "type"} {
		if fields[name] == "" {
			t.Errorf("%s is not named: %v", name, fields)
		}
	}
	if len(fields) != 3 {
		t.Errorf("%v are named", fields)
	}
	many := `{"x0":0` + strings.Repeat(`,"y":1`, 5000) + `}`
	if fields := refusedFields(t, w, "POST", "/v1/tickets", many, "en"); len(fields) > rpcerr.MostFields {
		t.Errorf("%d fields are named", len(fields))
	}
}

// Every enum of a request is explained by its words, wherever it stands.
func TestEveryEnumListsItsWords(t *testing.T) {
	seen := 0
	protoregistry.GlobalTypes.RangeMessages(func(kind protoreflect.MessageType) bool {
		d := kind.Descriptor()
		if !strings.HasPrefix(string(d.FullName()), "kefu.") {
			return true
		}
		for i := range d.Fields().Len() {
			fd := d.Fields().Get(i)
			if fd.Enum() == nil || fd.IsMap() {
				continue
			}
			value := `"NO_SUCH_WORD"`
			if fd.IsList() {
				value = "[" + value + "]"
			}
			var f faults
			f.ofBody(d, []byte(`{"`+fd.JSONName()+`":`+value+`}`))
			names := rpcerr.EnumNames(fd)
			if len(f) != 1 || len(names) == 0 || !strings.Contains(f[0].Text.ZH, names[len(names)-1]) || !strings.Contains(f[0].Text.EN, names[0]) {
				t.Errorf("%s: %v", fd.FullName(), f)
			}
			seen++
		}
		return true
	})
	if seen < 100 {
		t.Errorf("only %d fields were walked", seen)
	}
}

// explained: transcoding takes a body if, and only if, nothing of it is explained.
func explained(t *testing.T, d protoreflect.MessageDescriptor, body []byte) {
	t.Helper()
	if !json.Valid(body) || deep(body, 32) {
		return // refused before
	}
	var f faults
	f.ofBody(d, body)
	err := protojson.Unmarshal(body, dynamicpb.NewMessage(d))
	if (err == nil) != (len(f) == 0) || len(f) > rpcerr.MostFields+3 {
		t.Fatalf("%s: %s: %v, explained as %v", d.FullName(), body, err, f)
	}
	for _, bad := range f {
		if bad.Text.EN == "" || bad.Text.ZH == "" || strings.Contains(bad.Text.EN, "%!") || strings.Contains(bad.Text.ZH, "%!") {
			t.Fatalf("%s: %s: explained as %+v", d.FullName(), body, bad)
		}
		if strings.Contains(bad.Text.EN, "is not as /openapi.json describes it") {
			t.Logf("%s: %s: nothing better than %+v for %v", d.FullName(), body, bad, err)
		}
	}
}

// FuzzExplain: whatever transcoding refuses of a body is explained, and nothing else is.
func FuzzExplain(f *testing.F) {
	names := []protoreflect.FullName{
		"kefu.ticket.v1.Ticket", "kefu.ticket.v1.BulkUpdateRequest", "kefu.clock.v1.Policy", "kefu.customer.v1.Segment", "kefu.survey.v1.Questionnaire",
		"kefu.customer.v1.UpdateCustomerRequest", "google.rpc.Status",
	}
	var kinds []protoreflect.MessageDescriptor
	for _, name := range names {
		if kind, err := protoregistry.GlobalTypes.FindMessageByName(name); err == nil {
			kinds = append(kinds, kind.Descriptor())
		}
	}
	if len(kinds) < 5 {
		f.Fatalf("only %d kinds of messages are linked", len(kinds))
	}
	for _, body := range []string{
		`{}`, `[]`, `null`, `5`, `"x"`, `{"title":5}`, `{"title":null}`, `{"title":"\ud800"}`, `{"createTime":"2026-02-30T00:00:00Z"}`, `{"createTime":{}}`,
		`{"clauses":[null]}`, `{"clauses":[{"id":1e400}]}`, `{"etags":{"a":null,"a":"b"}}`, `{"ids":"x"}`, `{"updateMask":"a_b"}`, `{"version":"1.5"}`,
		`{"version":1e1}`, `{"version":9223372036854775808}`, `{"details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":5}]}`, `{"channel":-1}`,
		`{"channel":true,"channel":1}`, "{\"title\":\"\xff\"}", `{"":0}`, `{"[x]":0}`, `{"@type":"x"}`, `{"evidence":{"score":"x","answerId":[]}}`,
	} {
		f.Add(0, []byte(body))
		f.Add(1, []byte(body))
		f.Add(6, []byte(body))
	}
	f.Fuzz(func(t *testing.T, kind int, body []byte) {
		explained(t, kinds[int(uint(kind)%uint(len(kinds)))], body)
	})
}

// A body that is no JSON is told where it breaks, in the caller's language alone.
func TestWhereABodyBreaks(t *testing.T) {
	w := setup(t)
	for body, says := range map[string][2]string{
		`{"title":`:         {"ends at byte 9", "第 9 字节处结束"},
		`{"title":"x",}`:    {"'}' at byte 14", "第 14 字节处的 '}'"},
		`{"title":"x"}{}`:   {"'{' at byte 14", "第 14 字节处的 '{'"},
		`{"title":'x'}`:     {"'\\'' at byte 10", "第 10 字节处的 '\\''"},
		`{"title":水}`:       {"'水' at byte 10", "第 10 字节处的 '水'"},
		"{\"title\":\"\xff": {"ends at byte 11", "第 11 字节处结束"},
	} {
		for i, language := range []string{"en", "zh-CN"} {
			a := w.call("POST", "/v1/tickets", body, "Accept-Language", language)
			var said struct{ Details []struct{ Message string } }
			if err := json.Unmarshal([]byte(a.body), &said); err != nil {
				t.Fatal(err)
			}
			found := slices.ContainsFunc(said.Details, func(d struct{ Message string }) bool {
				return strings.Contains(d.Message, says[i]) && (i == 0 || !strings.Contains(d.Message, "invalid"))
			})
			if a.code != http.StatusBadRequest || a.reason != "BODY_INVALID" || !found {
				t.Errorf("%q in %s: %d %s", body, language, a.code, a.body)
			}
		}
	}
}

// What is no fault of the request's form is left as it was.
func TestOnlyTheFormIsExplained(t *testing.T) {
	routes, err := describe()
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "/v1/tickets", nil)
	r.Body = &keptBody{Reader: bytes.NewReader(nil), raw: []byte(`{"title":"x"}`)}
	if bad := routes.explain(r); bad != nil {
		t.Errorf("a good body is refused: %v", bad)
	}
	r = httptest.NewRequest(http.MethodPost, "/v1/nowhere", io.NopCloser(strings.NewReader("x")))
	if bad := routes.explain(r); bad != nil {
		t.Errorf("no route: %v", bad)
	}
	w := httptest.NewRecorder()
	handleCall(routes)(t.Context(), nil, nil, w, httptest.NewRequest(http.MethodPost, "/v1/tickets", nil), status.Error(codes.InvalidArgument, "odd"))
	if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "BODY_INVALID") {
		t.Errorf("what is not found out is answered %d %s", w.Code, w.Body)
	}
}
