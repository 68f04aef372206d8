//go:build faults

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
)

const (
	// callDeadline is what every call asks for; callGrace is how much later it may end.
	callDeadline = 5 * time.Second
	callGrace    = time.Second
	// answerWithin bounds how long one call is repeated under the same key.
	answerWithin = 60 * time.Second
)

// attempt is one HTTP exchange of a call.
type attempt struct {
	start, end time.Time
	status     int
	code       codes.Code
	reason     string
	raw        string
	err        error
	id         string // of the request, as the logs call it
}

func (a attempt) ok() bool { return a.err == nil && a.status == http.StatusOK }

// passing tells whether a failure is one that a fault may cause.
func (a attempt) passing() bool {
	if a.err != nil {
		return false // the edge itself was never down
	}
	return slices.Contains([]codes.Code{codes.Unavailable, codes.DeadlineExceeded, codes.ResourceExhausted, codes.Aborted}, a.code)
}

func (a attempt) String() string {
	if a.err != nil {
		return a.err.Error()
	}
	return fmt.Sprintf("%d %s %s", a.status, a.code, a.reason)
}

// call is one thing that somebody wanted: the attempts at it share a request id.
type call struct {
	service, verb, path string
	key                 string // empty for a read
	token               string
	body                any
	attempts            []attempt
	ids                 []string // of all requests for it, repetitions at the end among them
	answer              object   // the acknowledged one; nil while there is none
}

func (c *call) String() string { return fmt.Sprintf("%s %s (%s)", c.verb, c.path, c.key) }

// history notes every call of one run.
type history struct {
	url    string
	client *http.Client

	run string       // in the ids of all requests
	ids atomic.Int64 // of requests so far

	mu       sync.Mutex
	calls    []*call
	wrong    []string
	acked    map[string]int // writes, by service
	inFlight map[string]int
	underWay map[*call]time.Time // since when the present attempt is
	healed   map[string]time.Time
	marks    []mark
}

// mark is something that happened beside the calls.
type mark struct {
	at   time.Time
	text string
}

func newHistory(t testing.TB, s *stack) *history {
	t.Helper()
	st, err := s.state()
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 512}
	t.Cleanup(transport.CloseIdleConnections)
	return &history{
		url: st.REST, run: uuid.NewString()[:8],
		acked: map[string]int{}, inFlight: map[string]int{}, underWay: map[*call]time.Time{}, healed: map[string]time.Time{},
		client: &http.Client{Transport: transport, Timeout: callDeadline + 5*time.Second},
	}
}

// violated notes what must not be.
func (h *history) violated(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.wrong = append(h.wrong, fmt.Sprintf(format, args...))
}

// happened notes what explains the calls around it.
func (h *history) happened(format string, args ...any) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	h.marks = append(h.marks, mark{now, fmt.Sprintf(format, args...)})
	return now
}

// do makes a call until it is answered, each time with the same key. It gives nil, and
// has noted a violation, when the answer is one that no fault explains or never comes.
func (h *history) do(c *call) object {
	h.mu.Lock()
	h.calls = append(h.calls, c)
	h.inFlight[c.service]++
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.inFlight[c.service]--
		if c.answer != nil && c.key != "" {
			h.acked[c.service]++
		}
	}()
	first := time.Now()
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		h.mu.Lock()
		h.underWay[c] = time.Now()
		h.mu.Unlock()
		a, body := h.exchange(c)
		h.note(c, a)
		switch {
		case a.ok():
			c.answer = body
			return body
		case !a.passing():
			h.violated("%s: %s after %d attempts: %s", c, a, len(c.attempts), a.raw)
			return nil
		case time.Since(first) > answerWithin:
			h.violated("%s: not answered within %v, last %s", c, answerWithin, a)
			return nil
		}
		time.Sleep(pause)
	}
}

func (h *history) note(c *call, a attempt) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.underWay, c)
	c.attempts = append(c.attempts, a)
	if a.ok() && h.healed[c.service].IsZero() {
		h.healed[c.service] = a.end
	}
}

// inTime checks that no attempt ended later than its deadline allows, unless others had
// the machine: then it is the caller that is late to take its answer.
func (h *history) inTime(t testing.TB, p *pulse) {
	t.Helper()
	h.mu.Lock()
	calls := slices.Clone(h.calls)
	h.mu.Unlock()
	void, why := 0, ""
	for _, c := range calls {
		for _, a := range c.attempts {
			took := a.end.Sub(a.start)
			if took <= callDeadline+callGrace {
				continue
			}
			if busy := p.busy(a.start, a.end); busy != "" {
				void, why = void+1, busy
				continue
			}
			h.violated("%s: ended after %v with a deadline of %v: %s", c, took.Round(time.Millisecond), callDeadline, a)
		}
	}
	if void > 0 {
		t.Logf("%d calls outlasted their deadline by more than %v and prove nothing: %s", void, callGrace, why)
	}
}

// ended waits until no attempt is under way that began before the moment.
func (h *history) ended(before time.Time) {
	for ; ; time.Sleep(5 * time.Millisecond) {
		h.mu.Lock()
		open := false
		for _, began := range h.underWay {
			open = open || began.Before(before)
		}
		h.mu.Unlock()
		if !open {
			return
		}
	}
}

// failedSince are the calls of which an attempt that ended since then was not answered
// with success.
func (h *history) failedSince(moment time.Time) (failed []*call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.calls {
		if slices.ContainsFunc(c.attempts, func(a attempt) bool { return !a.ok() && !a.end.Before(moment) }) {
			failed = append(failed, c)
		}
	}
	return failed
}

// again asks once more for an answered call.
func (h *history) again(c *call) (attempt, object) { return h.exchange(c) }

func (h *history) exchange(c *call) (a attempt, body object) {
	a.start, a.id = time.Now(), fmt.Sprintf("fault-%s-%d", h.run, h.ids.Add(1))
	h.mu.Lock()
	c.ids = append(c.ids, a.id)
	h.mu.Unlock()
	defer func() { a.end = time.Now() }()
	var payload io.Reader
	if c.body != nil {
		raw, err := json.Marshal(c.body)
		if err != nil {
			a.err = err
			return a, nil
		}
		payload = bytes.NewReader(raw)
	}
	req, err := http.NewRequest(c.verb, h.url+c.path, payload)
	if err != nil {
		a.err = err
		return a, nil
	}
	req.Header.Set("Grpc-Timeout", strconv.Itoa(int(callDeadline/time.Millisecond))+"m")
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("X-Request-Id", a.id)
	if c.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.key != "" {
		req.Header.Set("Idempotency-Key", c.key)
	}
	res, err := h.client.Do(req)
	if err != nil {
		a.err = err
		return a, nil
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		a.err = err
		return a, nil
	}
	a.status, a.raw = res.StatusCode, string(raw)
	if err := json.Unmarshal(raw, &body); err != nil {
		a.err = fmt.Errorf("%d with a body that is no JSON object: %.200s", res.StatusCode, raw)
		return a, nil
	}
	if !a.ok() {
		a.code = codes.Code(body.number("code"))
		for _, d := range body.list("details") {
			if r := d.text("reason"); r != "" {
				a.reason = r
			}
		}
	}
	return a, body
}

// count gives the acknowledged writes to a service and its calls in flight.
func (h *history) count(service string) (acked, inFlight int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.acked[service], h.inFlight[service]
}

// flying is how many calls are in flight.
func (h *history) flying() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, of := range h.inFlight {
		n += of
	}
	return n
}

// faultEnded starts the wait for the first answer of every service.
func (h *history) faultEnded() {
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.healed)
}

// starved tells whether the machine was too busy for the load already between two
// moments: a tenth of the calls then took half of what one try may take, or one failed.
func (h *history) starved(since, before time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	n, slow := 0, 0
	for _, c := range h.calls {
		for _, a := range c.attempts {
			if a.start.After(since) && a.start.Before(before) {
				n++
				if !a.ok() && a.end.Before(before) {
					return true
				}
				if min(a.end.Sub(a.start), before.Sub(a.start)) > 500*time.Millisecond {
					slow++
				}
			}
		}
	}
	return slow*10 > n
}

// writes are the acknowledged calls that changed something.
func (h *history) writes() []*call {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(h.calls), func(c *call) bool { return c.key == "" || c.answer == nil })
}

// summary says what the run was.
func (h *history) summary() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	kinds := map[string]int{}
	var took []time.Duration
	for _, c := range h.calls {
		for _, a := range c.attempts {
			took = append(took, a.end.Sub(a.start))
			if !a.ok() {
				kinds[c.service+" "+a.String()]++
			}
		}
	}
	slices.Sort(took)
	var b strings.Builder
	if len(took) > 0 {
		_, _ = fmt.Fprintf(&b, "%d calls, %d attempts, p50 %v, p99 %v, longest %v", len(h.calls), len(took),
			took[len(took)/2].Round(time.Millisecond), took[len(took)*99/100].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond))
	}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		_, _ = fmt.Fprintf(&b, "\n  %d × %s", kinds[kind], kind)
	}
	return b.String()
}

// report fails the test with what was violated.
func (h *history) report(t testing.TB) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, w := range h.wrong {
		if i == 20 {
			t.Errorf("and %d more violations", len(h.wrong)-i)
			return
		}
		t.Error(w)
	}
}
