package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// object is a resource as front ends see it.
type object map[string]any

func (o object) text(path ...string) string {
	v, _ := o.at(path...).(string)
	return v
}

func (o object) number(path ...string) float64 {
	v, _ := o.at(path...).(float64)
	return v
}

func (o object) object(path ...string) object {
	v, _ := o.at(path...).(map[string]any)
	return v
}

func (o object) list(path ...string) []object {
	items, _ := o.at(path...).([]any)
	out := make([]object, 0, len(items))
	for _, item := range items {
		if m, ok := item.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

func (o object) at(path ...string) any {
	var v any = map[string]any(o)
	for _, name := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[name]
	}
	return v
}

// caller is someone who uses the API over REST.
type caller struct {
	t     testing.TB
	url   string
	token string
}

// as signs in with a role, or as staff or customer with further flags of the token
// command; without any it is someone unknown.
func as(t testing.TB, s *stack, flags ...string) *caller {
	t.Helper()
	st, err := s.state()
	if err != nil {
		t.Fatal(err)
	}
	c := &caller{t: t, url: st.REST}
	if len(flags) > 0 {
		c.token = s.token(t, flags...)
	}
	return c
}

func role(name string) []string { return []string{"--role", name} }

func staff(role, id string) []string { return []string{"--role", role, "--staff", id} }

type answer struct {
	code   int
	header http.Header
	body   object
	reason string
	raw    string
}

// try makes a call and gives the answer, whatever it is.
func (c *caller) try(method, path string, body any, headers ...string) answer {
	c.t.Helper()
	var payload io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			c.t.Fatal(err)
		}
		payload = bytes.NewReader(raw)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 35*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, payload)
	if err != nil {
		c.t.Fatal(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	a := answer{code: res.StatusCode, header: res.Header, raw: string(raw)}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(raw, &a.body); err != nil {
			c.t.Fatalf("%s %s answered no JSON object: %s", method, path, raw)
		}
	}
	requestID := ""
	for _, d := range a.body.list("details") {
		if r := d.text("reason"); r != "" {
			a.reason = r
		}
		if r := d.text("requestId"); r != "" {
			requestID = r
		}
	}
	if res.StatusCode >= 400 && (a.reason == "" || requestID == "") {
		c.t.Errorf("%s %s: the error has no reason or request id: %s", method, path, raw)
	}
	return a
}

// do makes a call that must succeed.
func (c *caller) do(method, path string, body any, headers ...string) object {
	c.t.Helper()
	a := c.try(method, path, body, headers...)
	if a.code != http.StatusOK {
		c.t.Fatalf("%s %s: %d %s", method, path, a.code, a.raw)
	}
	return a.body
}

func (c *caller) get(path string) object             { c.t.Helper(); return c.do("GET", path, nil) }
func (c *caller) post(path string, body any) object  { c.t.Helper(); return c.do("POST", path, body) }
func (c *caller) patch(path string, body any) object { c.t.Helper(); return c.do("PATCH", path, body) }

// refused makes a call that must be refused with that code and reason.
func (c *caller) refused(code int, reason, method, path string, body any, headers ...string) answer {
	c.t.Helper()
	a := c.try(method, path, body, headers...)
	if a.code != code || a.reason != reason {
		c.t.Errorf("%s %s: answered %d %s, expected %d %s: %s", method, path, a.code, a.reason, code, reason, a.raw)
	}
	return a
}

// eventually waits until probe is content; what comes by event takes about a second.
func eventually(t testing.TB, what string, probe func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !probe() {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not happen within 20 s", what)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// unique makes a text that no other test uses.
func unique(prefix string) string { return fmt.Sprintf("%s-%d", prefix, time.Now().UnixNano()) }
