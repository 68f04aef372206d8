package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const (
	// repeaters call with the same keys at the same time.
	repeaters = 50
	// commented is how many tickets share the comments.
	commented = 10
	// answeredWithin bounds how long one call is repeated while nobody can answer it.
	answeredWithin = 60 * time.Second
)

// keyed is a mutation under an idempotency key; it answers what it made.
type keyed struct{ path, key, text, id string }

// body is that of a ticket or a comment.
func (k *keyed) body(customer string) object {
	if k.path == "/v1/tickets" {
		return object{"customerId": customer, "channel": "CHANNEL_PHONE", "title": k.text}
	}
	return object{"body": k.text, "public": true}
}

// repeater makes calls and repeats those that nobody answered.
type repeater struct {
	client  *http.Client
	url     string
	repeats atomic.Int64
}

func (r *repeater) once(token, path, key string, body object) (code int, answer object, err error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return 0, nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url+path, bytes.NewReader(raw))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Idempotency-Key", key)
	res, err := r.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = res.Body.Close() }()
	if raw, err = io.ReadAll(res.Body); err != nil {
		return 0, nil, err
	}
	return res.StatusCode, answer, json.Unmarshal(raw, &answer)
}

// do gives the answer that a caller gets in the end; only what says "try again" is.
func (r *repeater) do(token, path, key string, body object) (code int, answer object, err error) {
	for deadline := time.Now().Add(answeredWithin); ; time.Sleep(20 * time.Millisecond) {
		code, answer, err = r.once(token, path, key, body)
		passing := err != nil || code == http.StatusServiceUnavailable || code == http.StatusGatewayTimeout
		if !passing || time.Now().After(deadline) {
			return code, answer, err
		}
		r.repeats.Add(1)
	}
}

// Fifty callers repeat each other's calls over two replicas, of which one is killed and
// the other restarted on the way: every key has one effect, and all hear of the same.
func TestRepeatedCallsHaveOneEffect(t *testing.T) {
	t.Setenv("KEFU_DATABASE_URL", "")
	t.Setenv("KEFU_ETCD_ENDPOINTS", "")
	t.Setenv("KEFU_RATE_DEFAULT", "100000")
	t.Setenv("KEFU_RATE_DEFAULT_BURST", "100000")
	s, err := start(suite.bin, filepath.Join(filepath.Dir(suite.dir), "repeated"), "--replicas", "2")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			s.showLogs()
		}
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	})
	manager := as(t, s, role("service-manager")...)
	customer := as(t, s, role("crm-specialist")...).post("/v1/customers", object{
		"name": unique("客户"), "kind": "CUSTOMER_KIND_DIRECT_USER", "party": "PARTY_PERSON"}).text("id")
	calls := make([]keyed, repeatedKeys)
	var tickets []string
	for range commented {
		tickets = append(tickets, manager.post("/v1/tickets", object{"channel": "CHANNEL_PHONE", "title": "for comments"}).text("id"))
	}
	for i := range calls {
		calls[i] = keyed{path: "/v1/tickets", key: unique("key"), text: fmt.Sprint("repeated ", i)}
		if i%2 == 1 {
			calls[i].path = "/v1/tickets/" + tickets[i/2%commented] + "/comments"
		}
	}
	r := &repeater{url: manager.url, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: repeaters}}}
	repeatAll(t, s, r, manager.token, customer, calls)
	t.Logf("%d callers with %d keys each: %d calls, of which %d were repeated for want of an answer",
		repeaters, len(calls), repeaters*len(calls), r.repeats.Load())
	checkDisturbed(t, s)
	checkOneEffect(t, manager, customer, tickets, calls)
	checkOthers(t, s, r, manager, customer, calls)
}

// repeatAll lets every caller make every call, and takes in what was made.
func repeatAll(t *testing.T, s *stack, r *repeater, token, customer string, calls []keyed) {
	t.Helper()
	var mu sync.Mutex
	var group sync.WaitGroup
	for range repeaters {
		group.Go(func() {
			for i := range calls {
				c := &calls[i]
				code, answer, err := r.do(token, c.path, c.key, c.body(customer))
				if err != nil || code != http.StatusOK {
					t.Errorf("%s under %s: %d %v %v", c.path, c.key, code, answer, err)
					return
				}
				mu.Lock()
				if c.id == "" {
					c.id = answer.text("id")
					disturb(t, s, i, len(calls))
				}
				if c.id != answer.text("id") {
					t.Errorf("%s under %s made %s and %s", c.path, c.key, c.id, answer.text("id"))
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
}

// disturb kills one replica of service-ticket when a third of the keys are used, and
// stops the other in good order when two thirds are; the stack starts them again.
func disturb(t *testing.T, s *stack, i, n int) {
	replica, how := 1, syscall.SIGKILL
	if i == n*2/3 {
		replica, how = 2, syscall.SIGTERM
	} else if i != n/3 {
		return
	}
	st, err := s.state()
	if err != nil {
		t.Error(err)
		return
	}
	for _, p := range st.Programs {
		if p.Name == "service-ticket" && p.Replica == replica {
			if err := syscall.Kill(p.PID, how); err != nil {
				t.Errorf("%v to %s-%d: %v", how, p.Name, p.Replica, err)
			}
		}
	}
}

// checkDisturbed checks that both replicas were started again.
func checkDisturbed(t *testing.T, s *stack) {
	t.Helper()
	eventually(t, "the start of both replicas", func() bool {
		st, err := s.state()
		again := 0
		for _, p := range st.Programs {
			if p.Name == "service-ticket" && p.Starts > 1 {
				again++
			}
		}
		return err == nil && again == 2
	})
}

// checkOneEffect checks that what stands there is what the answers named.
func checkOneEffect(t *testing.T, manager *caller, customer string, tickets []string, calls []keyed) {
	t.Helper()
	found := map[string]int{}
	collect := func(path, field, text string) {
		for token := ""; ; {
			page := manager.get(path + token)
			for _, o := range page.list(field) {
				found[o.text("id")+" "+o.text(text)]++
			}
			if page.text("nextPageToken") == "" {
				return
			}
			token = "&pageToken=" + page.text("nextPageToken")
		}
	}
	collect("/v1/tickets?pageSize=500&customerId="+customer, "tickets", "title")
	for _, id := range tickets {
		collect("/v1/tickets/"+id+"/comments?pageSize=500", "comments", "body")
	}
	if len(found) != len(calls) {
		t.Errorf("%d things stand there, %d keys were used", len(found), len(calls))
	}
	for _, c := range calls {
		if n := found[c.id+" "+c.text]; n != 1 {
			t.Errorf("%s: what key %s made stands there %d times", c.text, c.key, n)
		}
	}
}

// checkOthers checks what shares a key and is not the same call.
func checkOthers(t *testing.T, s *stack, r *repeater, manager *caller, customer string, calls []keyed) {
	t.Helper()
	create, comment := calls[0], calls[1]
	other := create
	other.text = "another title"
	if a := manager.try("POST", other.path, other.body(customer), "Idempotency-Key", other.key); a.code != http.StatusConflict || a.reason != "REQUEST_ID_REUSED" {
		t.Errorf("other body under the same key: %d %s", a.code, a.raw)
	}
	agent := s.token(t, role("service-supervisor")...)
	code, answer, err := r.do(agent, create.path, create.key, create.body(customer))
	if err != nil || code != http.StatusOK || answer.text("id") == create.id {
		t.Errorf("another caller with the same key: %d %v %v; want a ticket of their own", code, answer, err)
	}
	code, answer, err = r.do(manager.token, comment.path, create.key, comment.body(customer))
	if err != nil || code != http.StatusOK || answer.text("id") == create.id || answer.text("id") == comment.id {
		t.Errorf("another method with the same key: %d %v %v; want an effect of its own", code, answer, err)
	}
	code, answer, err = r.do(manager.token, create.path, create.key, create.body(customer))
	if err != nil || code != http.StatusOK || answer.text("id") != create.id {
		t.Errorf("the first call once more: %d %v %v; want %s", code, answer, err, create.id)
	}
}
