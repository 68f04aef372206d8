package edge

import (
	"bytes"
	"encoding/json"
	"net/url"
	"path"
	"strings"
	"testing"
)

// FuzzDeep: a body is refused for its depth if, and only if, it is that deep.
func FuzzDeep(f *testing.F) {
	const most = 5
	for _, s := range []string{
		`{}`, `{"title":"水泵漏水","reporter":{"name":"x"}}`, `[[[[[]]]]]`, `[[[[[[]]]]]]`, `{"a":"[[[[[[[["}`, `{"a":"\"[[[[[[\\"}`,
		`{"\\":[[[["]"]]]]}`, `{"a":[1,[2,[3,[4,{"b":null}]]]]}`, `"{"`, `[{},{},{},{},{},{},{}]`, `{"a":"\u005b\u007b"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if !json.Valid(body) {
			return // the decoder's to refuse
		}
		level, deepest := 0, 0
		for from := json.NewDecoder(bytes.NewReader(body)); ; {
			token, err := from.Token()
			if err != nil {
				break
			}
			switch token {
			case json.Delim('{'), json.Delim('['):
				level++
				deepest = max(deepest, level)
			case json.Delim('}'), json.Delim(']'):
				level--
			}
		}
		if got := deep(body, most); got != (deepest > most) {
			t.Fatalf("%q has %d levels; deeper than %d: %v", body, deepest, most, got)
		}
	})
}

// FuzzRoundabout: a path that is taken names one place, however it is read.
func FuzzRoundabout(f *testing.F) {
	for _, s := range []string{
		"/v1/tickets/01a20991-58db-7ee3-8c5f-01a9dbb34189:resolve", "/v1/customers?query=%E6%B0%B4", "/v1/../tickets", "/v1/%2e%2e/tickets",
		"/v1/x%2Fy", "/v1/x%5cy", "/v1//tickets", "/v1/tickets/", "/v1/./x", "/v1/x%00", "/v1/x%0d%0a", "/v1/...", "/v1/%252e%252e/x", "/s/abc%7f", "/",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil || u.Host != "" || !strings.HasPrefix(u.Path, "/") || roundabout(u.EscapedPath(), u.Path) {
			return
		}
		if clean := path.Clean(u.Path); clean != u.Path && clean+"/" != u.Path {
			t.Fatalf("%q is taken and means %q", target, clean)
		}
		if written, read := strings.Count(u.EscapedPath(), "/"), strings.Count(u.Path, "/"); written != read {
			t.Fatalf("%q is taken and has %d parts written and %d read", target, written, read)
		}
		if strings.ContainsAny(u.Path, "\x00\r\n\\") {
			t.Fatalf("%q is taken", target)
		}
	})
}
