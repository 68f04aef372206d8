package edge

import (
	"context"
	"fmt"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/grpc-ecosystem/grpc-gateway/v2/utilities"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// muxOptions: own allow-lists for headers both ways, unknown fields refused, nothing
// that lets a request pretend another verb.
func muxOptions(t *routeTable) []runtime.ServeMuxOption {
	return []runtime.ServeMuxOption{
		runtime.WithMarshalerOption(runtime.MIMEWildcard, &runtime.HTTPBodyMarshaler{Marshaler: newWriter()}),
		runtime.WithIncomingHeaderMatcher(incoming),
		runtime.WithOutgoingHeaderMatcher(func(string) (string, bool) { return "", false }),
		runtime.WithOutgoingTrailerMatcher(func(string) (string, bool) { return "", false }),
		runtime.WithForwardResponseOption(etagHeader),
		runtime.WithForwardResponseOption(sheetHeader),
		runtime.WithForwardResponseOption(streamHeader),
		runtime.WithErrorHandler(handleCall(t)),
		runtime.WithRoutingErrorHandler(handleRouting(t)),
		runtime.WithDisablePathLengthFallback(),
		runtime.WithDisableHTTPMethodOverride(),
		runtime.SetQueryParameterParser(queryParser{}),
	}
}

// incoming lets through what services read; who is calling goes another way.
func incoming(name string) (string, bool) {
	switch textproto.CanonicalMIMEHeaderKey(name) {
	case "Accept-Language":
		return "accept-language", true
	case "Traceparent", "Tracestate":
		return strings.ToLower(name), true
	case "Last-Event-Id":
		return "last-event-id", true
	}
	return "", false
}

// etagHeader answers the version of a resource as its ETag.
func etagHeader(_ context.Context, w http.ResponseWriter, m proto.Message) error {
	if m == nil {
		return nil
	}
	r := m.ProtoReflect()
	fd := r.Descriptor().Fields().ByName("etag")
	if fd == nil || fd.Kind() != protoreflect.StringKind {
		return nil
	}
	if etag := r.Get(fd).String(); etag != "" {
		w.Header().Set("ETag", `"`+etag+`"`)
	}
	return nil
}

// sheetHeader lets browsers keep a sheet as a file that spreadsheets open by its name.
func sheetHeader(_ context.Context, w http.ResponseWriter, m proto.Message) error {
	body, ok := m.(*httpbody.HttpBody)
	if !ok {
		return nil
	}
	for kind, ending := range map[string]string{"text/csv": "csv", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx"} {
		if strings.HasPrefix(body.GetContentType(), kind) {
			w.Header().Set("Content-Disposition", `attachment; filename="export.`+ending+`"`)
		}
	}
	return nil
}

const eventStream = "text/event-stream"

// streamHeader keeps what stands between from holding server-sent events back or changing
// them: nginx by its own header, others by no-transform.
func streamHeader(_ context.Context, w http.ResponseWriter, m proto.Message) error {
	if body, ok := m.(*httpbody.HttpBody); ok && body.GetContentType() == eventStream {
		w.Header().Set("Cache-Control", "no-store, no-transform")
		w.Header().Set("X-Accel-Buffering", "no")
	}
	return nil
}

// queryParser refuses parameters that the request does not have and takes masks in
// JSON names.
type queryParser struct{ runtime.DefaultQueryParser }

func (p queryParser) Parse(m proto.Message, values url.Values, filter *utilities.DoubleArray) error {
	snake := make(url.Values, len(values))
	for key, list := range values {
		fd := find(m.ProtoReflect().Descriptor(), strings.Split(key, "."))
		if fd == nil {
			return fmt.Errorf("there is no query parameter %q here; /openapi.json lists them", clip(key))
		}
		if fd.Message() != nil && fd.Message().FullName() == "google.protobuf.FieldMask" {
			list = snakeAll(list)
		}
		snake[key] = list
	}
	return p.DefaultQueryParser.Parse(m, snake, filter)
}

// find follows a dotted path of proto or JSON names; nil where it leads nowhere.
func find(d protoreflect.MessageDescriptor, path []string) protoreflect.FieldDescriptor {
	var fd protoreflect.FieldDescriptor
	for _, name := range path {
		if d == nil {
			return nil
		}
		if fd = d.Fields().ByTextName(name); fd == nil {
			fd = d.Fields().ByJSONName(name)
		}
		if fd == nil {
			return nil
		}
		d = fd.Message()
	}
	return fd
}

func snakeAll(list []string) []string {
	out := make([]string, len(list))
	for i, value := range list {
		var b strings.Builder
		for _, r := range value {
			if r >= 'A' && r <= 'Z' {
				b.WriteByte('_')
				r += 'a' - 'A'
			}
			b.WriteRune(r)
		}
		out[i] = b.String()
	}
	return out
}
