package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// heard is one server-sent event.
type heard struct {
	ID, Event string
	Data      struct{ TicketID, Type string }
}

// listen opens a stream of server-sent events as a browser does, and gives its headers and
// what is heard until the context ends.
func listen(ctx context.Context, c *caller, path, lastEventID string) (http.Header, func() heard) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+path, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Accept", "text/event-stream")
	if lastEventID != "" {
		req.Header.Set("Last-Event-ID", lastEventID)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = resp.Body.Close() })
	if resp.StatusCode != http.StatusOK {
		c.t.Fatalf("%s: %s", path, resp.Status)
	}
	lines := bufio.NewScanner(resp.Body)
	return resp.Header, func() (out heard) {
		c.t.Helper()
		for lines.Scan() {
			line := lines.Text()
			if id, ok := strings.CutPrefix(line, "id: "); ok {
				out.ID = id
			}
			if kind, ok := strings.CutPrefix(line, "event: "); ok {
				out.Event = kind
			}
			if data, ok := strings.CutPrefix(line, "data: "); ok {
				if err := json.Unmarshal([]byte(data), &out.Data); err != nil {
					c.t.Fatalf("%q: %v", data, err)
				}
			}
			if line == "" && out.Data.TicketID != "" {
				return out
			}
		}
		c.t.Fatalf("the stream ended: %v", lines.Err())
		return out
	}
}

// A browser that loses the connection goes on where it was: what happened meanwhile is told
// once, and what it has seen is not told again.
func TestWatchGoesOnWhereItWas(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	c := as(t, suite, role("service-manager")...)
	first, stop := context.WithCancel(ctx)
	headers, next := listen(first, c, "/v1/tickets:watch", "")
	for name, want := range map[string]string{
		"Content-Type": "text/event-stream", "Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no", "Content-Encoding": "", "ETag": "",
	} {
		if got := headers.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	id := c.post("/v1/tickets", object{"channel": "CHANNEL_PHONE", "title": "水泵漏水"}).text("id")
	seen := untilOf(next, id)
	if seen.Event != "ticket" || seen.ID == "" || seen.Data.Type != "ticket.created.v1" {
		t.Errorf("heard %+v", seen)
	}
	stop()
	c.post("/v1/tickets/"+id+":prioritize", object{"priority": "PRIORITY_P2", "reason": "x"})
	c.post("/v1/tickets/"+id+":cancel", object{"reason": "x"})
	// The address is the one it asked for first, and the header says what it has seen since.
	_, again := listen(ctx, c, "/v1/tickets:watch?afterPosition=1", seen.ID)
	for _, want := range []string{"ticket.prioritized.v1", "ticket.cancelled.v1"} {
		if got := untilOf(again, id); got.Data.Type != want {
			t.Errorf("went on with %+v, want %s", got, want)
		}
	}
	c.refused(http.StatusBadRequest, "VALIDATION_FAILED", "GET", "/v1/tickets:watch", nil, "Last-Event-ID", "x")
}

// A stream ends soon after the token it was opened with has expired, and says so.
func TestWatchEndsWithTheToken(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	c := as(t, suite, append(role("service-manager"), "--ttl", "1s")...) // taken a minute longer, as clocks differ
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+"/v1/tickets:watch", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Accept-Language", chinese)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("it does not begin: %s", resp.Status)
	}
	raw, err := io.ReadAll(resp.Body)
	if err != nil || !strings.Contains(string(raw), "event: end\ndata: {") || !strings.Contains(string(raw), "TOKEN_EXPIRED") ||
		!strings.Contains(string(raw), "访问令牌已过期") {
		t.Errorf("it ended with %s, %v", raw, err)
	}
}

// untilOf reads on to the next event of a ticket.
func untilOf(next func() heard, id string) heard {
	for {
		if got := next(); got.Data.TicketID == id {
			return got
		}
	}
}
