package edge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/rpc"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

const requestIDHeader = "X-Request-Id"

// identify gives the request an id, sets the headers that every answer has, and finds
// the caller's address: X-Forwarded-For is believed from trusted hops only.
func identify(trusted []netip.Prefix, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get(requestIDHeader)
		if !rpc.ValidRequestID(id) {
			id = uuid.Must(uuid.NewV7()).String()
		}
		r = r.WithContext(rpc.WithRequestID(r.Context(), id))
		r.RemoteAddr = clientAddress(r, trusted)
		for name := range r.Header {
			if strings.HasPrefix(name, "X-Forwarded-") || name == "Forwarded" {
				r.Header.Del(name)
			}
		}
		h := w.Header()
		h.Set(requestIDHeader, id)
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		h.Add("Vary", "Accept-Language")
		if r.TLS != nil {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})
}

// clientAddress is the last hop that is not one of our own proxies.
func clientAddress(r *http.Request, trusted []netip.Prefix) string {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !within(trusted, peer.Addr()) {
		return r.RemoteAddr
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		addr, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		if !within(trusted, addr) {
			return net.JoinHostPort(addr.String(), "0")
		}
	}
	return r.RemoteAddr
}

func within(prefixes []netip.Prefix, addr netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(addr.Unmap()) {
			return true
		}
	}
	return false
}

// protect answers a panic as INTERNAL and logs it with its stack.
func protect(log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(p)
			}
			log.ErrorContext(r.Context(), "panic", "panic", p, "request_id", rpc.RequestID(r.Context()), "stack", string(debug.Stack()))
			writeError(w, r, refusal{code: http.StatusInternalServerError, err: translate(status.New(codes.Internal, ""))})
		}()
		next.ServeHTTP(w, r)
	})
}

// recorder remembers the code of an answer.
type recorder struct {
	http.ResponseWriter
	code int
}

func (w *recorder) WriteHeader(code int) {
	w.code = code
	w.ResponseWriter.WriteHeader(code)
}

func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// record logs each call once. Paths of capability links are secrets and stay out.
func record(log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		rec := &recorder{ResponseWriter: w, code: http.StatusOK}
		next.ServeHTTP(rec, r)
		log.InfoContext(r.Context(), "call", "method", r.Method, "path", clip(tellable(r.URL.Path)), "code", rec.code,
			"ms", float64(time.Since(began).Microseconds())/1000, "request_id", rpc.RequestID(r.Context()))
	})
}

// capabilities are where paths go on with what opens something to whoever has it.
var capabilities = []string{"/v1/answers/", "/s/", "/v1/complaintStatus/"}

// tellable is the path without what nobody may read in a log.
func tellable(path string) string {
	for _, prefix := range capabilities {
		if strings.HasPrefix(path, prefix) {
			return prefix + "…"
		}
	}
	return path
}

// signIn verifies the caller's access token and replaces it by a token of the
// gateway's own for the services behind.
func signIn(verifier *authn.Verifier, minter *authn.Minter, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, bad := readHeaders(r)
		if bad != nil {
			writeError(w, r, refusal{code: http.StatusBadRequest, err: bad})
			return
		}
		ctx := r.Context()
		credential := r.Header.Get("Authorization")
		token, err := exchange(ctx, verifier, minter, credential)
		if err != nil {
			handleError(ctx, nil, nil, w, r, err)
			return
		}
		h.signedIn = credential != ""
		ctx = authn.WithGatewayToken(ctx, token)
		r.Header.Del("Authorization")
		r.Header.Del("Cookie")
		next.ServeHTTP(w, r.WithContext(withHeaders(ctx, h)))
	})
}

// nobody passes a page's requests on as those of someone unknown, whatever credentials a
// browser adds: the right to a page is its link. Body and time are bounded as those of calls.
func nobody(minter *authn.Minter, l Limits, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, err := minter.Mint(authn.Identity{})
		if err != nil {
			handleError(r.Context(), nil, nil, w, r, err)
			return
		}
		ctx, cancel := context.WithTimeout(authn.WithGatewayToken(r.Context(), token), l.Call)
		defer cancel()
		// The service counts the calls of each address.
		if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
			ctx = metadata.AppendToOutgoingContext(ctx, rpc.ForwardedKey, host)
		}
		r.Header.Del("Authorization")
		r.Header.Del("Cookie")
		r.Body = http.MaxBytesReader(w, r.Body, l.BodyBytes)
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// exchange gives the gateway's token for a credential; for none it says that the
// caller is unknown, lest the gateway's certificate be taken for the caller.
func exchange(ctx context.Context, verifier *authn.Verifier, minter *authn.Minter, credential string) (string, error) {
	if credential == "" {
		return minter.Mint(authn.Identity{})
	}
	scheme, raw, _ := strings.Cut(credential, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", rpcerr.Unauthenticated(authn.ReasonInvalid, rpcerr.T(
			"the header Authorization must be \"Bearer\" and an access token", "请求头 Authorization 应为 \"Bearer\" 加访问令牌"))
	}
	identity, err := verifier.Verify(ctx, raw)
	if err != nil {
		return "", authn.PublicError(err)
	}
	return minter.Mint(identity)
}

// limitCall bounds a call; Grpc-Timeout may ask for less, never for more. A stream has a
// bound of its own, for its answer as for its call.
func limitCall(l Limits, routes *routeTable, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if transferring(r) {
			next.ServeHTTP(w, r)
			return
		}
		limit := l.Call
		if routes.streams(r.Method, r.URL.Path) {
			limit = l.Stream
			// A connection without deadlines, as in tests, needs none moved.
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(limit))
		}
		if asked := r.Header.Get("Grpc-Timeout"); asked != "" {
			d, ok := grpcTimeout(asked)
			if !ok {
				writeError(w, r, refusal{code: http.StatusBadRequest, err: rpcerr.New(codes.InvalidArgument, reasonHeader, rpcerr.T(
					"Grpc-Timeout is %q; it must be 1 to 8 digits and a unit out of H M S m u n, as 500m", "Grpc-Timeout 为 %q；应为 1 至 8 位数字加单位 H M S m u n，如 500m", clip(asked)))})
				return
			}
			limit = min(limit, d)
			r.Header.Del("Grpc-Timeout")
		}
		ctx, cancel := context.WithTimeout(r.Context(), limit)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

func grpcTimeout(s string) (time.Duration, bool) {
	units := map[byte]time.Duration{'H': time.Hour, 'M': time.Minute, 'S': time.Second, 'm': time.Millisecond, 'u': time.Microsecond, 'n': time.Nanosecond}
	if len(s) < 2 || len(s) > 9 {
		return 0, false
	}
	unit, ok := units[s[len(s)-1]]
	if !ok {
		return 0, false
	}
	n := int64(0)
	for _, c := range s[:len(s)-1] {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	n = min(n, int64(time.Hour/unit)) // no call lasts an hour; avoids overflow
	return time.Duration(n) * unit, true
}

// limitBody reads a body of JSON whole, so that one that is too large, of another type
// or broken is refused before anything is called.
func limitBody(l Limits, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost && r.Method != http.MethodPatch && r.Method != http.MethodPut {
			next.ServeHTTP(w, r)
			return
		}
		most := l.BodyBytes
		if strings.HasSuffix(r.URL.Path, ":import") {
			most = l.ImportBytes
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
		if f := badBody(r, body, err, most, l.Depth); f != nil {
			writeError(w, r, *f)
			return
		}
		r.Body = &keptBody{Reader: bytes.NewReader(body), raw: body}
		next.ServeHTTP(w, r)
	})
}

func badBody(r *http.Request, body []byte, err error, most int64, depth int) *refusal {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return &refusal{code: http.StatusRequestEntityTooLarge, err: rpcerr.New(codes.InvalidArgument, reasonBodySize, rpcerr.T(
			"the body is larger than %d bytes; send less at once", "请求体超过 %d 字节；请分批发送", most))}
	}
	if err != nil {
		return &refusal{code: http.StatusBadRequest, err: rpcerr.New(codes.InvalidArgument, reasonBody, rpcerr.T(
			"the body did not arrive whole and in time", "请求体未完整及时到达"))}
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return &refusal{code: http.StatusUnsupportedMediaType, err: rpcerr.New(codes.InvalidArgument, reasonContentType, rpcerr.T(
			"the Content-Type is %q; it must be application/json", "Content-Type 为 %q；应为 application/json", clip(r.Header.Get("Content-Type"))))}
	}
	if deep(body, depth) {
		return &refusal{code: http.StatusBadRequest, err: rpcerr.New(codes.InvalidArgument, reasonBody, rpcerr.T(
			"the body nests deeper than %d levels; nothing here needs that", "请求体嵌套超过 %d 层；此处不需要如此嵌套", depth))}
	}
	var whole json.RawMessage
	if err := json.Unmarshal(body, &whole); err != nil {
		return &refusal{code: http.StatusBadRequest, err: rpcerr.New(codes.InvalidArgument, reasonBody, notJSON(body, err))}
	}
	return nil
}

// notJSON says where a body ceases to be JSON.
func notJSON(body []byte, err error) rpcerr.Text {
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) || strings.HasPrefix(syntax.Error(), "unexpected end") || syntax.Offset < 1 || syntax.Offset > int64(len(body)) {
		return rpcerr.T("the body is not one JSON value: it ends at byte %d before the value does",
			"请求体不是一个 JSON 值：第 %d 字节处结束，而该值尚不完整", len(body))
	}
	odd, _ := utf8.DecodeRune(body[syntax.Offset-1:])
	return rpcerr.T("the body is not one JSON value: %[2]q at byte %[1]d does not belong there",
		"请求体不是一个 JSON 值：第 %[1]d 字节处的 %[2]q 不应出现", syntax.Offset, odd)
}

// conditional answers 304 in place of what the caller has already.
type conditional struct {
	http.ResponseWriter
	has    string
	silent bool
}

func (w *conditional) WriteHeader(code int) {
	if code == http.StatusOK && w.has != "" && w.Header().Get("ETag") == w.has {
		w.silent = true
		w.Header().Del("Content-Type")
		w.Header().Del("Content-Length")
		code = http.StatusNotModified
	}
	w.has = ""
	w.ResponseWriter.WriteHeader(code)
}

func (w *conditional) Write(b []byte) (int, error) {
	if w.has != "" {
		w.WriteHeader(http.StatusOK)
	}
	if w.silent {
		return len(b), nil
	}
	return w.ResponseWriter.Write(b)
}

func (w *conditional) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// notModified honours If-None-Match on reads.
func notModified(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if has := r.Header.Get("If-None-Match"); has != "" && r.Method == http.MethodGet {
			w = &conditional{ResponseWriter: w, has: has}
		}
		next.ServeHTTP(w, r)
	})
}
