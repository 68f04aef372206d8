package edge

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

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
		if bad := badTime(to.request, r.URL.Query()); bad != nil {
			writeError(w, r, refusal{code: http.StatusBadRequest, err: bad})
			return
		}
		next.ServeHTTP(w, r)
	})
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
