package edge

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// refuseQuery refuses query parameters where the binding takes none: transcoding would
// pass them over, and a caller who sent etag there would believe in a precondition. It refuses
// times that are none too, because of those transcoding says how Go writes them.
func refuseQuery(t *routeTable, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to := t.find(r.Method, r.URL.Path)
		if r.URL.RawQuery == "" || to == nil {
			next.ServeHTTP(w, r)
			return
		}
		if !to.query {
			writeError(w, r, refusal{code: http.StatusBadRequest, err: rpcerr.New(codes.InvalidArgument, reasonBody, rpcerr.T(
				"this call takes no query parameters; /openapi.json says what it takes", "此调用不接受查询参数；可用参数见 /openapi.json"))})
			return
		}
		if bad := badText(r.URL.Query()); bad != nil {
			writeError(w, r, refusal{code: http.StatusBadRequest, err: bad, asWritten: true})
			return
		}
		if bad := badTime(to.request, r.URL.Query()); bad != nil {
			writeError(w, r, refusal{code: http.StatusBadRequest, err: bad})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// badText refuses the first parameter that is no text of Unicode, with which no service could
// be called; nil for none.
func badText(query url.Values) *rpcerr.Error {
	for _, key := range slices.Sorted(maps.Keys(query)) {
		for _, value := range append([]string{key}, query[key]...) {
			if !utf8.ValidString(value) {
				return rpcerr.Fields(reasonBody, rpcerr.BadField{Path: strings.ToValidUTF8(clip(key), "�"), Text: rpcerr.T(
					"%q is no UTF-8; encode the text as UTF-8 and then its bytes by percent signs.",
					"%q 不是 UTF-8；请先按 UTF-8 编码，再对字节做百分号编码。", clip(value))})
			}
		}
	}
	return nil
}

const timeName = protoreflect.FullName("google.protobuf.Timestamp")

// badTime refuses the first parameter that is to be a time and is none; nil for none.
func badTime(request protoreflect.MessageDescriptor, query url.Values) *rpcerr.Error {
	for _, key := range slices.Sorted(maps.Keys(query)) {
		fd := find(request, strings.Split(key, "."))
		if fd == nil || fd.Message() == nil || fd.Message().FullName() != timeName {
			continue
		}
		for _, value := range query[key] {
			if at, err := time.Parse(time.RFC3339Nano, value); err == nil && timestamppb.New(at).IsValid() {
				continue
			}
			return rpcerr.Invalid(key, rpcerr.T(
				"the query parameter %[1]s is %[2]q; give a time as RFC 3339 writes it, with its offset, like 2026-11-02T09:00:00Z or 2026-11-02T17:00:00%%2B08:00",
				"查询参数 %[1]s 为 %[2]q；请按 RFC 3339 填写带时区的时间，例如 2026-11-02T09:00:00Z 或 2026-11-02T17:00:00%%2B08:00", clip(key), clip(value)))
		}
	}
	return nil
}
