package rpc

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/google/uuid"
	"golang.org/x/text/language"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// Metadata keys that this package reads and writes.
const (
	// RequestIDKey carries the id of one call through all its hops. It is for
	// finding logs, and is no idempotency key: that is the field request_id.
	RequestIDKey = "x-request-id"
	// LanguageKey says in which language the caller wants texts.
	LanguageKey = "accept-language"
	// ForwardedKey carries the caller's network address behind the gateway.
	ForwardedKey = "x-forwarded-for"
)

// request is what the server knows of a call besides its message.
type request struct {
	id       string
	language string
	address  netip.Addr
}

type requestKey struct{}

func requestOf(ctx context.Context) request {
	r, _ := ctx.Value(requestKey{}).(request)
	return r
}

// RequestID gives the id of the call that ctx belongs to, "" outside of one.
func RequestID(ctx context.Context) string { return requestOf(ctx).id }

// WithRequestID gives a context whose calls carry the id. It is for work that
// no call of ours began, such as jobs and HTTP requests.
func WithRequestID(ctx context.Context, id string) context.Context {
	r := requestOf(ctx)
	r.id = id
	return context.WithValue(ctx, requestKey{}, r)
}

// Language gives the language for the caller's texts: "zh-CN" or "en".
func Language(ctx context.Context) string {
	if l := requestOf(ctx).language; l != "" {
		return l
	}
	return rpcerr.English
}

// maxLanguageBytes bounds the parsing of a header that is at most a few tags.
const maxLanguageBytes = 256

// Preferred picks "zh-CN" or "en" from an Accept-Language value; English where
// it asks for neither.
func Preferred(accept string) string {
	if accept == "" || len(accept) > maxLanguageBytes {
		return rpcerr.English
	}
	tags, _, err := language.ParseAcceptLanguage(accept)
	if err != nil {
		return rpcerr.English
	}
	for _, tag := range tags {
		switch base, _ := tag.Base(); base.String() {
		case "zh":
			return rpcerr.Chinese
		case "en":
			return rpcerr.English
		}
	}
	return rpcerr.English
}

// ValidRequestID reports whether an id from outside may be kept: at most 128 of
// A-Z a-z 0-9 . _ - so that it can stand in logs and SQL comments as it is.
func ValidRequestID(id string) bool {
	if id == "" || len(id) > 128 {
		return false
	}
	for i := range len(id) {
		c := id[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}

// requests tells handlers what came with a call besides its message.
type requests struct {
	forwarder string
}

// read takes it from an incoming call's metadata and peer.
func (q requests) read(ctx context.Context) (request, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	r := request{
		id:       first(md, RequestIDKey),
		language: Preferred(first(md, LanguageKey)),
		address:  addressOf(ctx, md, q.forwarder),
	}
	if !ValidRequestID(r.id) {
		id, err := uuid.NewV7()
		if err != nil {
			return r, fmt.Errorf("make a request id: %w", err)
		}
		r.id = id.String()
	}
	return r, nil
}

func first(md metadata.MD, key string) string {
	if v := md.Get(key); len(v) > 0 {
		return v[0]
	}
	return ""
}

// unary puts the request into the context and its id into the answer. An error
// carries it behind its status: a header before the status would tell the client that
// the call was answered in part, and no client tries that again.
func (q requests) unary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	r, err := q.read(ctx)
	if err != nil {
		return nil, err
	}
	resp, err := next(context.WithValue(ctx, requestKey{}, r), req)
	put := grpc.SetHeader
	if err != nil {
		put = grpc.SetTrailer
	}
	if failed := put(ctx, metadata.Pairs(RequestIDKey, r.id)); failed != nil && err == nil {
		return nil, fmt.Errorf("set the request id: %w", failed)
	}
	return resp, err
}

// stream does the same for a stream: its id goes ahead of the first message, and
// behind the status of an error. A stream that is refused before it said anything so has
// no header, by which a client tells a refusal from an answer that breaks off.
func (q requests) stream(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	r, err := q.read(ss.Context())
	if err != nil {
		return err
	}
	err = next(srv, &stream{ServerStream: ss, ctx: context.WithValue(ss.Context(), requestKey{}, r), id: r.id})
	if err != nil {
		ss.SetTrailer(metadata.Pairs(RequestIDKey, r.id))
	}
	return err
}

// stream is a ServerStream with a context of ours that tells the request id with its first
// message.
type stream struct {
	grpc.ServerStream
	ctx context.Context
	id  string // empty once it was told
}

func (s *stream) SendMsg(m any) error {
	if s.id != "" {
		if err := s.SetHeader(metadata.Pairs(RequestIDKey, s.id)); err != nil {
			return fmt.Errorf("set the request id: %w", err)
		}
		s.id = ""
	}
	return s.ServerStream.SendMsg(m)
}

func (s *stream) Context() context.Context { return s.ctx }
