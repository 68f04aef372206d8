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
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pb33f/jsonschema/v6"
)

// fuzzing is how many requests the fuzzer makes, KEFU_FUZZ_REQUESTS, and of which seed,
// KEFU_FUZZ_SEED: what was found is found again.
func fuzzing(t *testing.T) (requests int, seed uint64) {
	t.Helper()
	requests, seed = 1000, 20261125
	var err error
	if text := os.Getenv("KEFU_FUZZ_REQUESTS"); text != "" {
		if requests, err = strconv.Atoi(text); err != nil || requests < 1 {
			t.Fatalf("KEFU_FUZZ_REQUESTS is %q; it must be a number from 1 on", text)
		}
	}
	if text := os.Getenv("KEFU_FUZZ_SEED"); text != "" {
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("KEFU_FUZZ_SEED is %q; it must be a number from 0 on", text)
		}
	}
	return requests, seed
}

// TestFuzzREST makes requests of the served document's own schemas, some of them as they
// should be and most of them nearly: nothing may be answered by a fault of ours, every answer
// must be one that the document tells of, and a refused request must leave no change.
func TestFuzzREST(t *testing.T) {
	requests, seed := fuzzing(t)
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
	began := time.Now()
	const callers = 4
	var work sync.WaitGroup
	for n := range callers {
		work.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(n))) //nolint:gosec // to be repeated
			for i := range requests / callers {
				f.once(random, fmt.Sprintf("fuzz-%d-%d", n, i))
			}
		})
	}
	work.Wait()
	t.Logf("%d requests of %d operations, seed %d, in %v", requests, len(f.all), seed, time.Since(began).Round(time.Second))
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
	ids     map[string][]string // of what is there, by collection, and of anything under ""
	codes   map[int]int
	refused []string // request ids of refused changes
	taken   []string // and of others
	faults  []string
}

func newFuzzer(t *testing.T, s *stack) *fuzzer {
	t.Helper()
	nobody := as(t, s)
	f := &fuzzer{url: nobody.url, document: nobody.get("/openapi.json"), codes: map[int]int{}, ids: map[string][]string{"": {nobodysID, "x", "1"}}}
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
	path, body := maker{f, r, r.IntN(2) == 0}.request(op)
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
			f.taken = append(f.taken, id)
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
		f.remember(op.path, raw)
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

// remember keeps ids by the collection they are of, so that later requests find something.
func (f *fuzzer) remember(path string, raw []byte) {
	var answer object
	if json.Unmarshal(raw, &answer) != nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	keep := func(of, id string) {
		if id != "" && len(f.ids[of]) < 200 && !slices.Contains(f.ids[of], id) {
			f.ids[of] = append(f.ids[of], id)
		}
	}
	before, _, _ := strings.Cut(path, "/{")
	if after := path[strings.LastIndex(path, "}")+1:]; strings.HasPrefix(after, "/") {
		before = after
	}
	keep(collection(before), answer.text("id"))
	keep("", answer.text("id"))
	for name := range answer {
		for _, item := range answer.list(name) {
			keep(name, item.text("id"))
		}
	}
}

func (f *fuzzer) fault(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = append(f.faults, fmt.Sprintf(format, args...))
}

func (f *fuzzer) report(t *testing.T) {
	t.Helper()
	t.Logf("answers %v, %d changes taken and %d refused", f.codes, len(f.taken), len(f.refused))
	for _, fault := range f.faults[:min(len(f.faults), 20)] {
		t.Error(fault)
	}
	if len(f.faults) > 20 {
		t.Errorf("and %d more", len(f.faults)-20)
	}
	if f.codes[200] == 0 || f.codes[400] == 0 || f.codes[404] == 0 || len(f.taken) == 0 {
		t.Error("the requests are all alike")
	}
}

// leftNothing: a change that was refused left no event and no record of a change; those that
// were taken did.
func (f *fuzzer) leftNothing(t *testing.T, x *tables) {
	t.Helper()
	recorded := 0
	for service, conn := range x.conns {
		var n int
		if err := conn.QueryRow(t.Context(), "SELECT count(DISTINCT request_id) FROM audit_records WHERE request_id = ANY($1)", f.taken).Scan(&n); err != nil {
			t.Fatal(err)
		}
		recorded += n
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
	if recorded*4 < len(f.taken) { // what only computes is posted too
		t.Errorf("only %d of %d changes that were taken stand in the trails", recorded, len(f.taken))
	}
}
