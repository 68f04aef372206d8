package edge

import (
	"net/http"
	"strings"
	"unicode/utf8"

	"google.golang.org/grpc/codes"

	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// refusePath refuses paths that name their place in a roundabout way. No path of ours needs
// it, and what reads them differently, such as a proxy with rules of its own, would be
// deceived.
func refusePath(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// No service could be called with what is no UTF-8; pages of links know nothing of such a link.
		unspeakable := strings.HasPrefix(r.URL.Path, "/v1/") && !utf8.ValidString(r.URL.Path)
		if unspeakable || roundabout(r.URL.EscapedPath(), r.URL.Path) {
			writeError(w, r, refusal{code: http.StatusBadRequest, err: rpcerr.New(codes.InvalidArgument, reasonPath, rpcerr.T(
				"the path has empty or dotted parts, an encoded slash, a control character or what is no UTF-8; write it as /openapi.json does",
				"路径含有空段、点段、编码后的斜杠、控制字符或非 UTF-8 字节；请按 /openapi.json 的写法书写"))})
			return
		}
		next.ServeHTTP(w, r)
	})
}

func roundabout(escaped, path string) bool {
	lower := strings.ToLower(escaped)
	if strings.Contains(lower, "%2f") || strings.Contains(lower, "%5c") || strings.ContainsRune(path, '\\') {
		return true
	}
	if strings.IndexFunc(path, func(r rune) bool { return r < ' ' || r == 0x7f }) >= 0 {
		return true
	}
	for part := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		if part == "." || part == ".." {
			return true
		}
	}
	return strings.Contains(path, "//")
}

// deep tells whether a text of JSON opens more than so many levels. It does not mind what is
// no JSON: the decoder does.
func deep(body []byte, most int) bool {
	level, quoted, escaped := 0, false, false
	for _, c := range body {
		switch {
		case escaped:
			escaped = false
		case quoted:
			escaped = c == '\\'
			quoted = c != '"'
		case c == '"':
			quoted = true
		case c == '{' || c == '[':
			if level++; level > most {
				return true
			}
		case c == '}' || c == ']':
			level--
		}
	}
	return false
}
