package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// The bounds of one call.
const (
	callLimit  = 40 * time.Second
	retryLimit = 2 * time.Minute
	// tokenLife is how long a token is used: half of what it lives.
	tokenLife = 30 * time.Minute
)

// Client calls the public API as anyone could: REST, a token, JSON. It is safe for
// concurrent use.
type Client struct {
	base  string
	http  *http.Client
	token func(role string) (string, error)

	mu     sync.Mutex
	tokens map[string]held
	begun  time.Time // by the server's clock, at its first answer
}

type held struct {
	raw  string
	made time.Time
}

// NewClient returns a client of the API at base, which calls as the holder of a role
// with what token mints for it.
func NewClient(base string, token func(role string) (string, error)) *Client {
	return &Client{
		base: strings.TrimSuffix(base, "/"), token: token, tokens: map[string]held{},
		http: &http.Client{Timeout: callLimit, Transport: &http.Transport{MaxIdleConnsPerHost: 32, IdleConnTimeout: 30 * time.Second}},
	}
}

// refusal is an error that the API answered.
type refusal struct {
	Status  int
	Reason  string
	Message string
}

func (r *refusal) Error() string {
	return fmt.Sprintf("%s (%s, HTTP %d)", r.Message, r.Reason, r.Status)
}

// reason is why the API refused, empty if err is something else.
func reason(err error) string {
	var r *refusal
	if errors.As(err, &r) {
		return r.Reason
	}
	return ""
}

// reach fails at once when nothing serves the API, which do would wait for.
func (c *Client) reach(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/readyz", nil)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("nothing serves the API at %s; start a stack with `kefuctl up`, or name another with --url: %w", c.base, err)
	}
	c.clock(resp.Header.Get("Date"))
	return resp.Body.Close()
}

// anonymous calls carry no token.
const anonymous = ""

// do calls and waits out limits and short outages. A call that is repeated carries the
// same Idempotency-Key, so it has one effect.
func (c *Client) do(ctx context.Context, role, method, path string, in, out proto.Message) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = protojson.Marshal(in); err != nil {
			return fmt.Errorf("%s %s: %w", method, path, err)
		}
	}
	key := uuid.NewString()
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		return struct{}{}, c.once(ctx, role, method, path, key, body, out)
	}, backoff.WithMaxElapsedTime(retryLimit))
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return nil
}

func (c *Client) once(ctx context.Context, role, method, path, key string, body []byte, out proto.Message) error {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return backoff.Permanent(err)
	}
	if role != anonymous {
		token, err := c.bearer(role)
		if err != nil {
			return backoff.Permanent(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if method != http.MethodGet {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return backoff.Permanent(ctx.Err())
		}
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	c.clock(resp.Header.Get("Date"))
	if resp.StatusCode != http.StatusOK {
		return refused(resp, content)
	}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(content, out); err != nil {
		return backoff.Permanent(err)
	}
	return nil
}

// refused reads a google.rpc.Status and tells what passes by itself from what does not.
func refused(resp *http.Response, content []byte) error {
	var status struct {
		Message string `json:"message"`
		Details []struct {
			Reason      string `json:"reason"`
			FieldErrors []struct {
				Field       string `json:"field"`
				Description string `json:"description"`
			} `json:"fieldViolations"`
		} `json:"details"`
	}
	r := &refusal{Status: resp.StatusCode, Message: resp.Status}
	if json.Unmarshal(content, &status) == nil && status.Message != "" {
		r.Message = status.Message
		for _, d := range status.Details {
			if d.Reason != "" {
				r.Reason = d.Reason
			}
			for _, f := range d.FieldErrors {
				r.Message += "; " + f.Field + ": " + f.Description
			}
		}
	}
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
			return backoff.RetryAfter(seconds)
		}
		return r
	case http.StatusBadGateway, http.StatusGatewayTimeout:
		return r
	case http.StatusConflict:
		if r.Reason == "CONFLICT" { // others held what it needed; nothing was done
			return r
		}
	}
	return backoff.Permanent(r)
}

func (c *Client) bearer(role string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h, ok := c.tokens[role]; ok && time.Since(h.made) < tokenLife {
		return h.raw, nil
	}
	raw, err := c.token(role)
	if err != nil {
		return "", err
	}
	c.tokens[role] = held{raw: raw, made: time.Now()}
	return raw, nil
}

// clock remembers when the server first answered.
func (c *Client) clock(date string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at, err := http.ParseTime(date); err == nil && c.begun.IsZero() {
		c.begun = at
	}
}

// fresh tells whether a thing was written by this client's run, for it reads the
// server's clock.
func (c *Client) fresh(written time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !written.Before(c.begun)
}

// pages calls a list once a page until the last; each handles a page and returns the
// token of the next.
func (c *Client) pages(ctx context.Context, role, path string, query url.Values, out proto.Message, each func() string) error {
	query.Set("pageSize", "500")
	for {
		proto.Reset(out)
		if err := c.do(ctx, role, http.MethodGet, path+"?"+query.Encode(), nil, out); err != nil {
			return err
		}
		next := each()
		if next == "" {
			return nil
		}
		query.Set("pageToken", next)
	}
}
