package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/kefu-suite/kefu/runtime/rpc"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// fails is a handler that answers with one error.
func fails(err error) handler {
	return func(context.Context, string, *dynamicpb.Message) (proto.Message, error) { return nil, err }
}

// localized gives the text in the caller's language.
func localized(err error) (locale, text string) {
	for _, d := range status.Convert(err).Details() {
		if m, ok := d.(*errdetails.LocalizedMessage); ok {
			return m.GetLocale(), m.GetMessage()
		}
	}
	return "", ""
}

func TestPublicErrorsArriveInTheCallersLanguage(t *testing.T) {
	public := rpcerr.WrongState("TICKET_CLOSED", rpcerr.T("The ticket is closed.", "工单已关闭。"))
	s := serve(t, fails(fmt.Errorf("resolve: %w", public)), noStream)
	conn := dial(t, s.addr, rpc.ClientConfig{})
	for accept, want := range map[string][2]string{
		"":                        {"en", "The ticket is closed."},
		"zh-CN,zh;q=0.9,en;q=0.8": {"zh-CN", "工单已关闭。"},
		"zh-TW":                   {"zh-CN", "工单已关闭。"},
		"de, en-GB;q=0.5":         {"en", "The ticket is closed."},
		strings.Repeat("x", 5000): {"en", "The ticket is closed."},
	} {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "accept-language", accept)
		_, err := call(ctx, conn, "Get", "x")
		locale, text := localized(err)
		if status.Code(err) != codes.FailedPrecondition || rpcerr.Reason(err) != "TICKET_CLOSED" ||
			locale != want[0] || text != want[1] {
			t.Errorf("%.20q: got %v %q %q", accept, err, locale, text)
		}
	}
}

func TestPrivateErrorsDoNotLeak(t *testing.T) {
	row := &pgconn.PgError{Code: "23514", Message: "secret row", Detail: "Failing row contains (secret)", TableName: "customers"}
	for name, err := range map[string]error{
		"plain":             errors.New("secret plain"),
		"postgres":          fmt.Errorf("insert secret: %w", row),
		"another service's": fmt.Errorf("ask: %w", status.Error(codes.PermissionDenied, "secret status")),
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, fails(err), noStream)
			conn := dial(t, s.addr, rpc.ClientConfig{})
			ctx := metadata.AppendToOutgoingContext(t.Context(), "x-request-id", "call-7")
			_, got := call(ctx, conn, "Get", "x")
			if status.Code(got) != codes.Internal || rpcerr.Reason(got) != "INTERNAL" {
				t.Fatalf("got %v", got)
			}
			if strings.Contains(fmt.Sprint(status.Convert(got).Proto()), "secret") {
				t.Errorf("the answer tells: %v", status.Convert(got).Proto())
			}
			if id := rpcerr.Info(got).GetMetadata()["request_id"]; id != "call-7" {
				t.Errorf("request id %q", id)
			}
			lines := s.logs.lines(t, "ERROR")
			if len(lines) != 1 || lines[0]["request_id"] != "call-7" || lines[0]["error"] == nil {
				t.Errorf("logged %v", lines)
			}
			if name == "postgres" && strings.Contains(s.logs.text(), "secret") {
				t.Errorf("the log holds row values: %s", s.logs.text())
			}
		})
	}
}

func TestFaultsOfTheSurroundingsAreNamed(t *testing.T) {
	for _, c := range []struct {
		err    error
		code   codes.Code
		reason string
	}{
		{&pgconn.PgError{Code: "57P01"}, codes.Unavailable, "DEPENDENCY_UNAVAILABLE"},
		{&pgconn.PgError{Code: "57014"}, codes.Unavailable, "DEPENDENCY_UNAVAILABLE"},
		{&pgconn.PgError{Code: "53100"}, codes.Unavailable, "DEPENDENCY_UNAVAILABLE"},
		{&pgconn.PgError{Code: "40001"}, codes.Aborted, "CONFLICT"},
		{&pgconn.PgError{Code: "55P03"}, codes.Aborted, "CONFLICT"},
		{status.Error(codes.Unavailable, "x"), codes.Unavailable, "DEPENDENCY_UNAVAILABLE"},
		{status.Error(codes.DeadlineExceeded, "x"), codes.Unavailable, "DEPENDENCY_UNAVAILABLE"},
		{status.Error(codes.Unimplemented, "x"), codes.Unimplemented, "METHOD_NOT_SERVED"},
		{context.Canceled, codes.Internal, "INTERNAL"}, // of some other context: our fault
	} {
		s := serve(t, fails(c.err), noStream)
		_, err := call(t.Context(), dial(t, s.addr, rpc.ClientConfig{}), "Get", "x")
		if status.Code(err) != c.code || rpcerr.Reason(err) != c.reason {
			t.Errorf("%v: got %v, want %v %s", c.err, err, c.code, c.reason)
		}
	}
}

func TestPanicsAreRecovered(t *testing.T) {
	s := serve(t, func(_ context.Context, _ string, req *dynamicpb.Message) (proto.Message, error) {
		switch read(req, "text") {
		case "value":
			panic("secret value")
		case "nil":
			var none []string
			return nil, errors.New(none[len(read(req, "text"))]) // out of range
		}
		return req, nil
	}, func(grpc.ServerStream) error { panic("secret stream") })
	conn := dial(t, s.addr, rpc.ClientConfig{})
	for _, text := range []string{"value", "nil"} {
		if _, err := call(t.Context(), conn, "Get", text); status.Code(err) != codes.Internal || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v", text, err)
		}
	}
	stream, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/"+sampleService+"/StreamAll")
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.RecvMsg(newNote("")); status.Code(err) != codes.Internal {
		t.Errorf("stream: got %v", err)
	}
	if got, err := call(t.Context(), conn, "Get", "still here"); err != nil || got != "still here" {
		t.Errorf("afterwards: %q, %v", got, err)
	}
	if strings.Contains(s.logs.text(), "secret") {
		t.Errorf("the log holds a panic's value: %s", s.logs.text())
	}
	if lines := s.logs.lines(t, "ERROR"); len(lines) != 3 || !strings.Contains(fmt.Sprint(lines[1]["error"]), "out of range") || lines[1]["stack"] == nil {
		t.Errorf("logged %v", lines)
	}
}

func TestDeadlines(t *testing.T) {
	waits := func(ctx context.Context, _ string, _ *dynamicpb.Message) (proto.Message, error) {
		<-ctx.Done()
		return nil, fmt.Errorf("query: %w", ctx.Err())
	}
	t.Run("of the server", func(t *testing.T) {
		s := serve(t, waits, noStream, func(c *rpc.ServerConfig) { c.Limits.Deadline = 50 * time.Millisecond })
		_, err := call(t.Context(), dial(t, s.addr, rpc.ClientConfig{Tries: 1}), "Get", "x")
		if status.Code(err) != codes.DeadlineExceeded || rpcerr.Reason(err) != "DEADLINE_EXCEEDED" {
			t.Errorf("got %v", err)
		}
		if lines := s.logs.lines(t, "WARN"); len(lines) != 1 {
			t.Errorf("logged %s", s.logs.text())
		}
	})
	t.Run("of the caller", func(t *testing.T) {
		// Nothing but the caller's deadline ends this call.
		s := serve(t, waits, noStream, func(c *rpc.ServerConfig) { c.Limits.Deadline = time.Hour })
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := call(ctx, dial(t, s.addr, rpc.ClientConfig{Try: time.Hour}), "Get", "x"); status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("got %v", err)
		}
	})
	t.Run("is seen by the handler", func(t *testing.T) {
		s := serve(t, func(ctx context.Context, _ string, _ *dynamicpb.Message) (proto.Message, error) {
			end, ok := ctx.Deadline()
			return newNote(fmt.Sprint(ok && time.Until(end) <= 30*time.Second)), nil
		}, noStream)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if got, err := call(ctx, dial(t, s.addr, rpc.ClientConfig{Try: time.Hour}), "Get", "x"); err != nil || got != "true" {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

func TestSizes(t *testing.T) {
	s := serve(t, func(_ context.Context, _ string, _ *dynamicpb.Message) (proto.Message, error) {
		return newNote("ok"), nil
	}, noStream)
	conn := dial(t, s.addr, rpc.ClientConfig{})
	for _, c := range []struct {
		method string
		size   int
		reason string
		ok     bool
	}{
		{"Get", 1<<20 - 100, "", true},
		{"Get", 1<<20 + 1, "MESSAGE_TOO_LARGE", false},
		{"Load", 4<<20 - 100, "", true},
		{"Load", 4<<20 + 1, "", false}, // refused before it is read
	} {
		_, err := call(t.Context(), conn, c.method, strings.Repeat("x", c.size))
		if c.ok != (err == nil) || (!c.ok && status.Code(err) != codes.ResourceExhausted) || rpcerr.Reason(err) != c.reason {
			t.Errorf("%s of %d bytes: got %v", c.method, c.size, err)
		}
	}
	ctx := metadata.AppendToOutgoingContext(t.Context(), "x-large", strings.Repeat("x", 17<<10))
	if _, err := call(ctx, conn, "Get", "x"); err == nil {
		t.Error("17 KiB of metadata were taken")
	}
}

func TestConcurrencyIsBounded(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	s := serve(t, func(_ context.Context, _ string, req *dynamicpb.Message) (proto.Message, error) {
		if read(req, "text") == "hold" {
			entered <- struct{}{}
			<-leave
		}
		return req, nil
	}, noStream, func(c *rpc.ServerConfig) { c.Limits.MaxCalls = 1 })
	conn := dial(t, s.addr, rpc.ClientConfig{})
	held := make(chan error, 1)
	go func() { _, err := call(t.Context(), conn, "Get", "hold"); held <- err }()
	<-entered
	_, err := call(t.Context(), conn, "Get", "x")
	if status.Code(err) != codes.ResourceExhausted || rpcerr.Reason(err) != "OVERLOADED" || retryDelay(err) != time.Second {
		t.Errorf("got %v, retry in %s", err, retryDelay(err))
	}
	close(leave)
	if err := <-held; err != nil {
		t.Errorf("the held call: %v", err)
	}
	if _, err := call(t.Context(), conn, "Get", "x"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func retryDelay(err error) time.Duration {
	for _, d := range status.Convert(err).Details() {
		if r, ok := d.(*errdetails.RetryInfo); ok {
			return r.GetRetryDelay().AsDuration()
		}
	}
	return 0
}

func TestValidationNamesTheField(t *testing.T) {
	s := serve(t, echo, func(ss grpc.ServerStream) error {
		return ss.RecvMsg(dynamicpb.NewMessage(note()))
	})
	conn := dial(t, s.addr, rpc.ClientConfig{})
	_, unary := call(t.Context(), conn, "Get", "no!")
	stream, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/"+sampleService+"/StreamAll")
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.SendMsg(newNote("no!")); err != nil {
		t.Fatal(err)
	}
	for kind, err := range map[string]error{"unary": unary, "stream": stream.RecvMsg(newNote(""))} {
		var fields []string
		for _, d := range status.Convert(err).Details() {
			if bad, ok := d.(*errdetails.BadRequest); ok {
				for _, v := range bad.GetFieldViolations() {
					fields = append(fields, v.GetField())
				}
			}
		}
		if status.Code(err) != codes.InvalidArgument || len(fields) != 1 || fields[0] != "text" {
			t.Errorf("%s: got %v, fields %v", kind, err, fields)
		}
	}
}

func TestRequestIDs(t *testing.T) {
	s := serve(t, func(ctx context.Context, _ string, _ *dynamicpb.Message) (proto.Message, error) {
		return newNote(rpc.RequestID(ctx)), nil
	}, noStream)
	conn := dial(t, s.addr, rpc.ClientConfig{})
	for given, kept := range map[string]bool{
		"call-7.A_b": true, strings.Repeat("x", 128): true, strings.Repeat("x", 129): false, "a b": false, "": false, "a\"b": false,
	} {
		var header metadata.MD
		ctx := metadata.AppendToOutgoingContext(t.Context(), "x-request-id", given)
		got, err := call(ctx, conn, "Get", "x", grpc.Header(&header))
		if err != nil {
			t.Fatal(err)
		}
		if (got == given) != kept || got == "" || strings.Join(header.Get("x-request-id"), ",") != got {
			t.Errorf("%q: handler saw %q, answer carries %v", given, got, header.Get("x-request-id"))
		}
	}
}

func TestStopEndsEndlessStreamsAndNothingElse(t *testing.T) {
	entered, leave := make(chan struct{}, 2), make(chan struct{})
	s := serve(t, func(_ context.Context, _ string, req *dynamicpb.Message) (proto.Message, error) {
		entered <- struct{}{}
		<-leave
		return req, nil
	}, func(ss grpc.ServerStream) error {
		if err := ss.SendMsg(newNote("first")); err != nil {
			return err
		}
		entered <- struct{}{}
		<-ss.Context().Done()
		return ss.Context().Err()
	})
	conn := dial(t, s.addr, rpc.ClientConfig{})
	stream, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/"+sampleService+"/StreamAll")
	if err != nil {
		t.Fatal(err)
	}
	inFlight := make(chan error, 1)
	go func() { _, err := call(t.Context(), conn, "Get", "x"); inFlight <- err }()
	<-entered
	<-entered
	// What had no answer at all would be tried again elsewhere.
	if err := stream.RecvMsg(newNote("")); err != nil {
		t.Fatal(err)
	}
	close(s.stop)
	stopped := make(chan struct{})
	go func() { s.GracefulStop(); close(stopped) }()
	if err := stream.RecvMsg(newNote("")); status.Code(err) != codes.Unavailable || rpcerr.Reason(err) != "SHUTTING_DOWN" {
		t.Errorf("the stream ended with %v", err)
	}
	close(leave)
	if err := <-inFlight; err != nil {
		t.Errorf("the call in flight was lost: %v", err)
	}
	<-stopped
}

// TestARefusedStreamHasNoHeader: by that a client tells a refusal from an answer that
// breaks off. The request id comes behind its status; an answer has it ahead.
func TestARefusedStreamHasNoHeader(t *testing.T) {
	refusing := true
	s := serve(t, echo, func(ss grpc.ServerStream) error {
		if refusing {
			return rpcerr.NotFound("note", "x")
		}
		return ss.SendMsg(newNote("x"))
	})
	conn := dial(t, s.addr, rpc.ClientConfig{})
	ctx := metadata.AppendToOutgoingContext(t.Context(), "x-request-id", "call-11")
	open := func() (header, trailer metadata.MD, err error) {
		stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/"+sampleService+"/StreamAll")
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.CloseSend(); err != nil {
			t.Fatal(err)
		}
		err = stream.RecvMsg(newNote(""))
		header, _ = stream.Header() // the stream's error is RecvMsg's too
		return header, stream.Trailer(), err
	}
	header, trailer, err := open()
	if status.Code(err) != codes.NotFound || header != nil || strings.Join(trailer.Get("x-request-id"), ",") != "call-11" {
		t.Errorf("refused: %v with %v and %v", err, header, trailer)
	}
	refusing = false
	if header, _, err = open(); err != nil || strings.Join(header.Get("x-request-id"), ",") != "call-11" {
		t.Errorf("answered: %v with %v", err, header)
	}
}

func TestHealthNeedsNoCaller(t *testing.T) {
	s := serve(t, echo, noStream, func(c *rpc.ServerConfig) { c.Authn, c.Guard = refuse{}, refuse{} })
	conn := dial(t, s.addr, rpc.ClientConfig{})
	got, err := grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	if err != nil || got.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Errorf("health: got %v, %v", got, err)
	}
	if _, err := call(t.Context(), conn, "Get", "x"); rpcerr.Reason(err) != "REFUSED" {
		t.Errorf("ours: got %v", err)
	}
}

func TestServerRefusesUnusableLimits(t *testing.T) {
	_, err := rpc.NewServer(rpc.ServerConfig{Authn: pass{}, Guard: pass{}})
	if err == nil || !strings.Contains(err.Error(), "MaxCalls") || !strings.Contains(err.Error(), "Log") {
		t.Fatalf("got %v", err)
	}
}
