package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"mime"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pb33f/jsonschema/v6"
)

// fuzzSeed is fixed, so that what is found is found again.
const fuzzSeed = 20261125

// TestFuzzREST makes requests of the served document's own schemas, some of them as they
// should be and most of them nearly: nothing may be answered by a fault of ours, every answer
// must be one that the document tells of, and a refused request must leave no change.
func TestFuzzREST(t *testing.T) {
	s, err := start(suite.bin, filepath.Join(t.TempDir(), "stack"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	}()
	f := newFuzzer(t, s)
	const callers = 4
	var work sync.WaitGroup
	for n := range callers {
		work.Go(func() {
			random := rand.New(rand.NewPCG(fuzzSeed, uint64(n))) //nolint:gosec // to be repeated
			for i := range fuzzRequests / callers {
				f.once(random, fmt.Sprintf("fuzz-%d-%d", n, i))
			}
		})
	}
	work.Wait()
	f.report(t)
	f.leftNothing(t, openTables(t, s))
}

// fuzzOperation is one operation of the document with what its requests are made of.
type fuzzOperation struct {
	verb, path string
	params     []object
	body       object
	answers    map[string]*jsonschema.Schema // by code, or "default"
}

type fuzzer struct {
	url      string
	document object
	all      []fuzzOperation
	tokens   []string

	mu      sync.Mutex
	ids     []string // of what was made, to be asked for again
	codes   map[int]int
	refused []string // request ids of refused changes
	taken   int
	faults  []string
}

func newFuzzer(t *testing.T, s *stack) *fuzzer {
	t.Helper()
	nobody := as(t, s)
	f := &fuzzer{url: nobody.url, document: nobody.get("/openapi.json"), codes: map[int]int{}, ids: []string{nobodysID, "x", "china-standard", "1"}}
	raw, err := json.Marshal(f.document)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	const location = "file:///openapi.json"
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	if err := compiler.AddResource(location, parsed); err != nil {
		t.Fatal(err)
	}
	pointer := strings.NewReplacer("~", "~0", "/", "~1")
	paths, _ := f.document["paths"].(map[string]any)
	for path, item := range paths {
		for verb, value := range item.(map[string]any) {
			if strings.HasSuffix(path, ":watch") {
				continue // its answer does not end
			}
			described := object(value.(map[string]any))
			op := fuzzOperation{verb: strings.ToUpper(verb), path: path, params: described.list("parameters"), answers: map[string]*jsonschema.Schema{}}
			op.body, _ = described.at("requestBody", "content", "application/json", "schema").(map[string]any)
			if described["requestBody"] != nil && op.body == nil {
				continue // its body is a file
			}
			responses, _ := described["responses"].(map[string]any)
			for code, response := range responses {
				at := location + "#/paths/" + url.PathEscape(pointer.Replace(path)) + "/" + verb + "/responses/" + code
				if ref := object(response.(map[string]any)).text("$ref"); ref != "" {
					at = location + ref
				}
				schema, err := compiler.Compile(at + "/content/application~1json/schema")
				if err != nil {
					continue // an answer without a body of JSON
				}
				op.answers[code] = schema
			}
			f.all = append(f.all, op)
		}
	}
	slices.SortFunc(f.all, func(a, b fuzzOperation) int { return strings.Compare(a.verb+a.path, b.verb+b.path) })
	if len(f.all) < 70 {
		t.Fatalf("the document has only %d operations", len(f.all))
	}
	for _, flags := range [][]string{everything(), role("service-manager"), role("crm-specialist"), role("information-administrator"), role("service-agent"), {"--customer", nobodysID}} {
		f.tokens = append(f.tokens, s.token(t, flags...))
	}
	f.tokens = append(f.tokens, "")
	return f
}

// once makes one request and holds its answer against the document.
func (f *fuzzer) once(r *rand.Rand, id string) {
	op := f.all[r.IntN(len(f.all))]
	path, body := f.request(r, op)
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, op.verb, f.url+path, strings.NewReader(body))
	if err != nil {
		return // no URL at all
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("X-Request-Id", id)
	token := f.tokens[0]
	if r.IntN(3) == 0 {
		token = f.tokens[r.IntN(len(f.tokens))]
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		f.fault("%s %s %s: %v", op.verb, path, body, err)
		return
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		f.fault("%s %s %s: %v", op.verb, path, body, err)
		return
	}
	if kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")); kind != "application/json" && res.StatusCode == http.StatusOK {
		return // a document
	}
	f.judge(op, id, path, body, res.StatusCode, raw)
}

func (f *fuzzer) judge(op fuzzOperation, id, path, body string, code int, raw []byte) {
	f.mu.Lock()
	f.codes[code]++
	if op.verb != http.MethodGet {
		if code >= 400 {
			f.refused = append(f.refused, id)
		} else {
			f.taken++
		}
	}
	f.mu.Unlock()
	reason := reasonIn(raw)
	switch {
	case code >= 500:
		f.fault("%s %s %.300s: %d %s: %s", op.verb, path, body, code, reason, raw)
		return
	case code >= 400 && reason == "":
		f.fault("%s %s %.300s: %d without a reason: %s", op.verb, path, body, code, raw)
	case code == http.StatusOK:
		f.remember(raw)
	}
	schema := op.answers[strconv.Itoa(code)]
	if schema == nil {
		schema = op.answers["default"]
	}
	if schema == nil {
		f.fault("%s %s: the document tells of no answer %d", op.verb, path, code)
		return
	}
	if op.answers["200"] != nil && bytes.Contains(raw, []byte("}\n{")) {
		return // a stream, a line a message
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err == nil {
		err = schema.Validate(value)
	}
	if err != nil {
		f.fault("%s %s %.200s: the answer %d is not as documented: %v: %.600s", op.verb, path, body, code, err, raw)
	}
}

// remember keeps ids, so that later requests find something.
func (f *fuzzer) remember(raw []byte) {
	var answer object
	if json.Unmarshal(raw, &answer) != nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if id := answer.text("id"); id != "" && len(f.ids) < 500 {
		f.ids = append(f.ids, id)
	}
}

func (f *fuzzer) fault(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = append(f.faults, fmt.Sprintf(format, args...))
}

func (f *fuzzer) report(t *testing.T) {
	t.Helper()
	t.Logf("%d requests of %d operations, seed %d: answers %v, %d changes taken and %d refused", fuzzRequests, len(f.all), fuzzSeed, f.codes, f.taken, len(f.refused))
	for _, fault := range f.faults[:min(len(f.faults), 20)] {
		t.Error(fault)
	}
	if len(f.faults) > 20 {
		t.Errorf("and %d more", len(f.faults)-20)
	}
	if f.codes[200] == 0 || f.codes[400] == 0 || f.codes[404] == 0 || f.taken == 0 {
		t.Error("the requests are all alike")
	}
}

// leftNothing: a change that was refused left no event, no record of a change and no outcome.
func (f *fuzzer) leftNothing(t *testing.T, x *tables) {
	t.Helper()
	for service, conn := range x.conns {
		for _, table := range []string{"event_outbox", "audit_records"} {
			rows, err := conn.Query(t.Context(), "SELECT request_id FROM "+table+" WHERE request_id = ANY($1) LIMIT 5", f.refused)
			if err != nil {
				t.Fatal(err)
			}
			for rows.Next() {
				var id string
				if err := rows.Scan(&id); err != nil {
					t.Fatal(err)
				}
				t.Errorf("the refused request %s stands in %s of %s", id, table, service)
			}
			rows.Close()
		}
	}
}
