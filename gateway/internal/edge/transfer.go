package edge

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

const (
	exportPath = "/v1/customers:export"
	// uploadPart is how much of a file goes to the service at once.
	uploadPart = 2 << 20
)

// sheetTypes are what a file may be sent as; the import says which of them it is.
var sheetTypes = []string{
	"text/csv", "application/octet-stream", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}

var uploadPath = regexp.MustCompile(`^/v1/customerImports/([^/:]+):upload$`)

// transfers are the calls whose body or answer is a file. They last as long as bytes move:
// the timeouts of other calls are replaced by one of idleness.
type transfers struct {
	limits  Limits
	imports customerv1.CustomerImportServiceClient
	exports customerv1.CustomerExportServiceClient
}

// moving gives the connection more time, each time that bytes have moved.
func (t *transfers) moving(w http.ResponseWriter) {
	c, until := http.NewResponseController(w), time.Now().Add(t.limits.Transfer)
	// A connection without deadlines, as in tests, needs none moved.
	_, _ = c.SetReadDeadline(until), c.SetWriteDeadline(until)
}

// uploads takes the upload of a file; other calls go on.
func (t *transfers) uploads(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		match := uploadPath.FindStringSubmatch(r.URL.Path)
		if match == nil {
			next.ServeHTTP(w, r)
			return
		}
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			writeError(w, r, refusal{code: http.StatusMethodNotAllowed, err: rpcerr.New(codes.Unimplemented, reasonVerb, rpcerr.T(
				"a file is uploaded by POST", "上传文件请使用 POST"))})
			return
		}
		if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || !slices.Contains(sheetTypes, kind) {
			writeError(w, r, refusal{code: http.StatusUnsupportedMediaType, err: rpcerr.New(codes.InvalidArgument, reasonContentType, rpcerr.T(
				"the Content-Type is %q; it must be text/csv, that of XLSX or application/octet-stream",
				"Content-Type 为 %q；应为 text/csv、XLSX 的类型或 application/octet-stream", clip(r.Header.Get("Content-Type"))))})
			return
		}
		out, err := t.upload(w, r, match[1])
		if err != nil {
			handleError(r.Context(), nil, nil, w, r, err)
			return
		}
		writeMessage(w, out)
	})
}

func writeMessage(w http.ResponseWriter, m proto.Message) {
	body, err := newWriter().Marshal(m)
	if err != nil {
		panic(err) // the protect handler answers it
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body) // the caller may have gone
}

// upload streams the body to the service. A body that breaks off does not end the file: what
// has arrived stays, and the caller goes on from there.
func (t *transfers) upload(w http.ResponseWriter, r *http.Request, id string) (*customerv1.CustomerImport, error) {
	offset, err := uploadOffset(r)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(outgoing(r))
	defer cancel()
	stream, err := t.imports.UploadCustomerImport(ctx)
	if err != nil {
		return nil, err
	}
	body := http.MaxBytesReader(w, r.Body, t.limits.UploadBytes)
	part := make([]byte, uploadPart)
	for last := false; !last; {
		t.moving(w)
		n, err := io.ReadFull(body, part)
		last = errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !last {
			return nil, brokenBody(err, t.limits.UploadBytes)
		}
		t.moving(w)
		err = stream.Send(&customerv1.UploadCustomerImportRequest{Id: id, Offset: offset, Data: part[:n], Last: last})
		if errors.Is(err, io.EOF) {
			break // the service has answered, and Recv tells what
		}
		if err != nil {
			return nil, err
		}
		offset += int64(n)
	}
	return stream.CloseAndRecv()
}

func brokenBody(err error, most int64) error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return rpcerr.New(codes.InvalidArgument, "FILE_TOO_LARGE", rpcerr.T("the body is larger than %[1]d bytes; split the file", "请求体超过 %[1]d 字节；请拆分文件", most))
	}
	return rpcerr.New(codes.InvalidArgument, reasonBody, rpcerr.T(
		"the body did not arrive whole; ask for received_bytes and send the rest from there", "请求体未完整到达；请查询 received_bytes 并从该处继续上传"))
}

// uploadOffset is where in the file the body begins.
func uploadOffset(r *http.Request) (int64, error) {
	query := r.URL.Query()
	for name := range query {
		if name != "offset" {
			return 0, rpcerr.New(codes.InvalidArgument, reasonBody, rpcerr.T(
				"there is no query parameter %q here; an upload takes offset", "没有查询参数 %q；上传只接受 offset", clip(name)))
		}
	}
	if query.Get("offset") == "" {
		return 0, nil
	}
	offset, err := strconv.ParseInt(query.Get("offset"), 10, 64)
	if err != nil || offset < 0 {
		return 0, rpcerr.Invalid("offset", rpcerr.T("it is %q; give how many bytes have arrived", "值为 %q；请填写已收到的字节数", clip(query.Get("offset"))))
	}
	return offset, nil
}

// outgoing is the context of a call that transcoding does not make.
func outgoing(r *http.Request) context.Context {
	ctx := r.Context()
	for _, name := range []string{"Accept-Language", "Traceparent", "Tracestate"} {
		if key, ok := incoming(name); ok && r.Header.Get(name) != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, key, r.Header.Get(name))
		}
	}
	return ctx
}

// downloads answers an export with its file; other calls go on.
func (t *transfers) downloads(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != exportPath || r.Method != http.MethodPost {
			next.ServeHTTP(w, r)
			return
		}
		if err := t.export(w, r); err != nil {
			handleError(r.Context(), nil, nil, w, r, err)
		}
	})
}

// export streams the file. What fails before its first byte is an error like any other; what
// fails later cuts the connection, so that nobody takes a part for the whole.
func (t *transfers) export(w http.ResponseWriter, r *http.Request) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	req := &customerv1.ExportCustomersRequest{}
	if len(body) > 0 {
		if err := protojson.Unmarshal(body, req); err != nil {
			return status.Error(codes.InvalidArgument, err.Error())
		}
	}
	if bad := headersOf(r.Context()).carry(req.ProtoReflect()); bad != nil {
		return bad
	}
	stream, err := t.exports.ExportCustomers(outgoing(r), req)
	if err != nil {
		return err
	}
	for begun := false; ; begun = true {
		part, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && !begun:
			return err
		case err != nil:
			panic(http.ErrAbortHandler)
		}
		if !begun {
			w.Header().Set("Content-Type", part.GetContentType())
			w.Header().Set("Content-Disposition", `attachment; filename="customers.`+suffix(req.GetFormat())+`"`)
		}
		t.moving(w)
		if _, err := w.Write(part.GetData()); err != nil {
			panic(http.ErrAbortHandler)
		}
		_ = http.NewResponseController(w).Flush() // one that cannot sends it at the end
	}
}

func suffix(f customerv1.SheetFormat) string {
	if f == customerv1.SheetFormat_SHEET_FORMAT_XLSX {
		return "xlsx"
	}
	return "csv"
}

// transferring tells the calls that last as long as bytes move.
func transferring(r *http.Request) bool {
	return r.URL.Path == exportPath && r.Method == http.MethodPost
}
