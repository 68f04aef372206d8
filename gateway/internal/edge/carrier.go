package edge

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// headers are what a request said outside of its body and path.
type headers struct {
	idempotencyKey, ifMatch string
	// maskGiven: update_mask was given and not derived from the body.
	maskGiven bool
	// signedIn: a token was verified.
	signedIn bool
}

type headersKey struct{}

func withHeaders(ctx context.Context, h *headers) context.Context {
	return context.WithValue(ctx, headersKey{}, h)
}

func headersOf(ctx context.Context) *headers {
	if h, ok := ctx.Value(headersKey{}).(*headers); ok {
		return h
	}
	return &headers{}
}

// carrier is a connection that puts what stood in HTTP headers into the request's
// fields: Idempotency-Key into request_id, If-Match into etag.
type carrier struct {
	grpc.ClientConnInterface
	routes *routeTable
}

func (c *carrier) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	h := headersOf(ctx)
	if err := c.admit(h, method); err != nil {
		return err
	}
	if m, ok := args.(proto.Message); ok {
		if err := h.carry(m.ProtoReflect()); err != nil {
			return err
		}
	}
	return c.ClientConnInterface.Invoke(ctx, method, args, reply, opts...)
}

// NewStream opens a stream for a signed-in caller. A stream over REST is a read: no header
// stands for a field of its request.
func (c *carrier) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	if err := c.admit(headersOf(ctx), method); err != nil {
		return nil, err
	}
	stream, err := c.ClientConnInterface.NewStream(ctx, desc, method, opts...)
	if err != nil {
		return nil, err
	}
	return &asked{ClientStream: stream}, nil
}

// asked is a stream whose opening fails with what the service refuses at once: it is
// answered like any other error, with its HTTP code, and not as a line of the stream. What
// ends a stream of events later is its last event.
type asked struct {
	grpc.ClientStream
	// events: server-sent events have come; over: the last one was made.
	events, over bool
}

func (s *asked) RecvMsg(m any) error {
	if s.over {
		return io.EOF
	}
	err := s.ClientStream.RecvMsg(m)
	body, ok := m.(*httpbody.HttpBody)
	if !ok {
		return err
	}
	if err == nil {
		s.events = body.GetContentType() == eventStream
		return nil
	}
	last := lastEvent(err)
	if !s.events || last == nil {
		return err
	}
	s.over = true
	body.ContentType, body.Data = eventStream, last
	return nil
}

// lastEvent tells why a stream ended as its last event, `end`, with the error as other calls
// have it: a browser shows its scripts nothing else of a stream that was begun. Nil for what no
// service has said, such as a connection that was lost, after which a browser connects again.
func lastEvent(err error) []byte {
	st, ok := status.FromError(err)
	if !ok || rpcerr.Info(err) == nil {
		return nil
	}
	data, err := protojson.Marshal(named(st, "", camelPath))
	if err != nil {
		return nil
	}
	return append(append([]byte("event: end\ndata: "), data...), "\n\n"...)
}

func (s *asked) CloseSend() error {
	if err := s.ClientStream.CloseSend(); err != nil {
		return err
	}
	// It waits for the headers of the first message; a refusal has none.
	header, err := s.Header()
	if header != nil || err != nil {
		return err
	}
	if err := s.RecvMsg(new(emptypb.Empty)); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// bySource is a connection to what every service has for itself: the request's field
// `source` says which is meant. A source that is none is refused by whichever is asked.
type bySource map[string]*carrier

func (s bySource) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	source := ""
	if m, ok := args.(interface{ GetSource() string }); ok {
		source = m.GetSource()
	}
	to, ok := s[source]
	if !ok {
		to = s[slices.Min(slices.Collect(maps.Keys(s)))]
	}
	return to.Invoke(ctx, method, args, reply, opts...)
}

// NewStream is of no use here: no such method answers with a stream over REST.
func (s bySource) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, status.Error(codes.Unimplemented, "a trail is no stream")
}

// admit refuses here what no service would take: without a token only public methods are
// called at all.
func (c *carrier) admit(h *headers, method string) error {
	if h.signedIn || c.routes.public[method] {
		return nil
	}
	return rpcerr.Unauthenticated("TOKEN_MISSING", rpcerr.T(
		"this call needs an access token in the header Authorization: Bearer …",
		"此调用需要在请求头 Authorization: Bearer … 中提供访问令牌"))
}

func (h *headers) carry(m protoreflect.Message) *rpcerr.Error {
	if h.idempotencyKey != "" {
		if err := put(m, "request_id", "Idempotency-Key", h.idempotencyKey); err != nil {
			return err
		}
	}
	if h.ifMatch != "" {
		holder, ok := etagHolder(m)
		if !ok {
			return rpcerr.Invalid("If-Match", rpcerr.T("this call has no precondition; leave If-Match out", "此调用没有前置条件，请去掉 If-Match"))
		}
		if err := put(holder, "etag", "If-Match", h.ifMatch); err != nil {
			return err
		}
	}
	if !h.maskGiven {
		trimMask(m)
	}
	return nil
}

// put sets a text field to what a header said; a different value given in both
// places is refused.
func put(m protoreflect.Message, field protoreflect.Name, header, value string) *rpcerr.Error {
	fd := m.Descriptor().Fields().ByName(field)
	if fd == nil { // a read: nothing to repeat safely
		return nil
	}
	if given := m.Get(fd).String(); given != "" && given != value {
		return rpcerr.Invalid(string(field), rpcerr.T(
			"%[1]s says %[2]q and the field %[3]s says %[4]q; give one of them, or the same in both",
			"%[1]s 为 %[2]q，而字段 %[3]s 为 %[4]q；只给一个，或两处相同", header, clip(value), field, clip(given)))
	}
	m.Set(fd, protoreflect.ValueOfString(value))
	return nil
}

// etagHolder finds the message whose etag is a precondition: the request, or the
// resource it updates.
func etagHolder(m protoreflect.Message) (protoreflect.Message, bool) {
	fields := m.Descriptor().Fields()
	if fields.ByName("etag") != nil {
		return m, true
	}
	if fields.ByName("update_mask") == nil {
		return nil, false
	}
	for i := range fields.Len() {
		fd := fields.Get(i)
		if fd.Message() != nil && !fd.IsList() && !fd.IsMap() && fd.Message().Fields().ByName("etag") != nil {
			return m.Mutable(fd).Message(), true
		}
	}
	return nil, false
}

// trimMask takes out of a mask that was derived from the body what names the
// resource or its version: those say which, not what to change.
func trimMask(m protoreflect.Message) {
	fd := m.Descriptor().Fields().ByName("update_mask")
	if fd == nil || !m.Has(fd) {
		return
	}
	mask, ok := m.Get(fd).Message().Interface().(*fieldmaskpb.FieldMask)
	if !ok {
		return
	}
	mask.Paths = slices.DeleteFunc(mask.Paths, func(path string) bool { return path == "id" || path == "etag" })
}

// readHeaders takes from a request what the carrier needs.
func readHeaders(r *http.Request) (*headers, *rpcerr.Error) {
	h := &headers{maskGiven: r.URL.Query().Has("updateMask") || r.URL.Query().Has("update_mask")}
	for _, name := range []string{"Idempotency-Key", "If-Match", "If-None-Match", "Authorization", "Content-Type"} {
		if len(r.Header.Values(name)) > 1 {
			return nil, rpcerr.New(codes.InvalidArgument, reasonHeader, rpcerr.T(
				"the header %s stands more than once; give it once", "请求头 %s 重复；只能出现一次", name))
		}
	}
	h.idempotencyKey = r.Header.Get("Idempotency-Key")
	if match := strings.TrimSpace(r.Header.Get("If-Match")); match != "" && match != "*" {
		etag, ok := unquote(match)
		if !ok {
			return nil, rpcerr.New(codes.InvalidArgument, reasonHeader, rpcerr.T(
				"If-Match is %q; it must be one strong etag in double quotes, as the ETag of an answer", "If-Match 为 %q；应为应答中 ETag 那样带双引号的一个强校验值", clip(match)))
		}
		h.ifMatch = etag
	}
	return h, nil
}

func unquote(etag string) (string, bool) {
	inner, ok := strings.CutPrefix(etag, `"`)
	if !ok {
		return "", false
	}
	inner, ok = strings.CutSuffix(inner, `"`)
	return inner, ok && inner != "" && !strings.Contains(inner, `"`)
}
