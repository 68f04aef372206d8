package edge

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/kefu-suite/kefu/runtime/rpc"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// Reasons of what the edge itself refuses.
const (
	reasonNoRoute     = "ROUTE_NOT_FOUND"
	reasonPath        = "PATH_INVALID"
	reasonVerb        = "METHOD_NOT_ALLOWED"
	reasonBody        = "BODY_INVALID"
	reasonBodySize    = "BODY_TOO_LARGE"
	reasonContentType = "CONTENT_TYPE_UNSUPPORTED"
	reasonHeader      = "HEADER_INVALID"
)

// refusal is an error with the HTTP code where that is not the one of its gRPC code.
type refusal struct {
	err  *rpcerr.Error
	code int
	// asWritten: its fields are named as the caller wrote them.
	asWritten bool
}

func noRoute(r *http.Request) refusal {
	return refusal{code: http.StatusNotFound, err: rpcerr.New(codes.NotFound, reasonNoRoute, rpcerr.T(
		"there is nothing at %q; /openapi.json lists every path", "%q 处没有内容；全部路径见 /openapi.json", clip(r.URL.Path)))}
}

// clip keeps what is echoed to a caller short.
func clip(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// writeError answers a refusal of the edge.
func writeError(w http.ResponseWriter, r *http.Request, f refusal) {
	st := f.err.Status(rpc.Preferred(r.Header.Get("Accept-Language")))
	spell := camelPath
	if f.asWritten {
		spell = func(path string) string { return path }
	}
	writeStatus(w, r, f.code, st, spell)
}

// writeStatus answers a google.rpc.Status in JSON, with the paths of fields as spell has them.
// Every answer names the request.
func writeStatus(w http.ResponseWriter, r *http.Request, code int, st *status.Status, spell func(path string) string) {
	body, err := protojson.Marshal(named(st, rpc.RequestID(r.Context()), spell))
	if err != nil { // a detail of a type that is not linked here: answer without details
		body, _ = protojson.Marshal(status.New(st.Code(), st.Message()).Proto())
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Del("ETag")
	switch code {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="kefu"`)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		if wait := retryDelay(st); wait > 0 {
			h.Set("Retry-After", strconv.Itoa(wait))
		}
	}
	w.WriteHeader(code)
	_, _ = w.Write(body) // the caller may have gone
}

// named puts the names that fields have for the caller into violations and the request id into the
// details, where a service has not done so. The document promises both of every error.
func named(of *status.Status, requestID string, spell func(path string) string) proto.Message {
	st := of.Proto() // a copy
	hasRequest := false
	for i, detail := range st.GetDetails() {
		value, err := detail.UnmarshalNew()
		if err != nil {
			continue
		}
		switch d := value.(type) {
		case *errdetails.ErrorInfo: // as every error of a service has it
			if d.GetMetadata()["request_id"] == "" && requestID != "" {
				if d.Metadata == nil {
					d.Metadata = map[string]string{}
				}
				d.Metadata["request_id"] = requestID
				if packed, err := anypb.New(d); err == nil {
					st.Details[i] = packed
				}
			}
		case *errdetails.BadRequest:
			for _, v := range d.GetFieldViolations() {
				v.Field = spell(v.GetField())
			}
			if packed, err := anypb.New(d); err == nil {
				st.Details[i] = packed
			}
		case *errdetails.RequestInfo:
			hasRequest = true
		}
	}
	if !hasRequest && requestID != "" {
		if packed, err := anypb.New(&errdetails.RequestInfo{RequestId: requestID}); err == nil {
			st.Details = append(st.Details, packed)
		}
	}
	return st
}

// camelPath turns `ticket.customer_id` into `ticket.customerId`. The key of a map, which stands
// in quotes, is the caller's.
func camelPath(path string) string {
	var b strings.Builder
	up, quoted := false, false
	for _, r := range path {
		if r == '"' {
			quoted = !quoted
		}
		if r == '_' && !quoted {
			up = true
			continue
		}
		if up && r >= 'a' && r <= 'z' {
			r -= 'a' - 'A'
		}
		up = false
		b.WriteRune(r)
	}
	return b.String()
}

// retryDelay gives the whole seconds to wait, rounded up; 0 where nothing is said.
func retryDelay(st *status.Status) int {
	for _, detail := range st.Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok {
			d := info.GetRetryDelay().AsDuration()
			return int((d + 999_999_999) / 1_000_000_000)
		}
	}
	return 0
}

// handleCall is handleError for what transcoding may have refused.
func handleCall(t *routeTable) runtime.ErrorHandlerFunc {
	return func(ctx context.Context, mux *runtime.ServeMux, m runtime.Marshaler, w http.ResponseWriter, r *http.Request, err error) {
		if status.Code(err) == codes.InvalidArgument && rpcerr.Info(err) == nil {
			if bad := t.explain(r); bad != nil {
				writeError(w, r, refusal{code: http.StatusBadRequest, err: bad, asWritten: true})
				return
			}
		}
		handleError(ctx, mux, m, w, r, err)
	}
}

// handleError answers an error of a call. HTTP codes are grpc-gateway's, except that a
// stale etag given as If-Match is 412.
func handleError(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, err error) {
	st := status.Convert(err)
	if own := (*rpcerr.Error)(nil); errors.As(err, &own) { // refused here; a service has spoken the caller's language already
		st = own.Status(rpc.Preferred(r.Header.Get("Accept-Language")))
	}
	code := runtime.HTTPStatusFromCode(st.Code())
	if rpcerr.Info(err) != nil {
		if st.Code() == codes.Aborted && r.Header.Get("If-Match") != "" {
			code = http.StatusPreconditionFailed
		}
		writeStatus(w, r, code, st, camelPath)
		return
	}
	writeError(w, r, refusal{code: code, err: translate(st)})
}

// translate gives an error that no service made its public form: what transcoding
// could not read, or what the connection to the service failed with.
func translate(st *status.Status) *rpcerr.Error {
	switch st.Code() {
	case codes.InvalidArgument:
		return rpcerr.New(codes.InvalidArgument, reasonBody, rpcerr.T(
			"the request cannot be read: %s", "无法读取请求；格式见 /openapi.json", clip(st.Message())))
	case codes.Unavailable:
		return rpcerr.Unavailable("service")
	case codes.DeadlineExceeded:
		return rpcerr.New(codes.DeadlineExceeded, rpcerr.ReasonDeadline, rpcerr.T(
			"the service did not answer in time; the call may be tried again with the same Idempotency-Key",
			"服务未及时响应；可用同一 Idempotency-Key 重试"))
	case codes.Canceled:
		return rpcerr.New(codes.Canceled, rpcerr.ReasonCanceled, rpcerr.T("the caller went away", "调用方已断开"))
	}
	return rpcerr.New(codes.Internal, rpcerr.ReasonInternal, rpcerr.T(
		"something went wrong on our side; the request id finds it in the logs", "系统内部错误；可凭请求编号查询日志"))
}

// handleRouting answers a path or verb that no binding has.
func handleRouting(t *routeTable) runtime.RoutingErrorHandlerFunc {
	return func(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, _ int) {
		verbs := t.allowed(r.URL.Path)
		if len(verbs) == 0 {
			writeError(w, r, noRoute(r))
			return
		}
		allow := strings.Join(verbs, ", ")
		w.Header().Set("Allow", allow)
		writeError(w, r, refusal{code: http.StatusMethodNotAllowed, err: rpcerr.New(codes.Unimplemented, reasonVerb, rpcerr.T(
			"%[1]s is not possible here; %[2]s is", "此处不能用 %[1]s，可以用 %[2]s", clip(r.Method), allow))})
	}
}
