package edge

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// files is the registry's part of the backend that takes files in and gives them out.
type files struct {
	customerv1.UnimplementedCustomerImportServiceServer
	customerv1.UnimplementedCustomerExportServiceServer

	mu       sync.Mutex
	id       string
	received []byte
	ended    bool
	language string
	request  *customerv1.ExportCustomersRequest
	// gives are the parts of an export, and breaks what ends it.
	gives  []string
	breaks error
}

func (f *files) UploadCustomerImport(in grpc.ClientStreamingServer[customerv1.UploadCustomerImportRequest, customerv1.CustomerImport]) error {
	for {
		part, err := in.Recv()
		if errors.Is(err, io.EOF) {
			return in.SendAndClose(&customerv1.CustomerImport{Id: f.id, ReceivedBytes: int64(len(f.received))})
		}
		if err != nil {
			return err
		}
		f.mu.Lock()
		if part.GetOffset() != int64(len(f.received)) {
			f.mu.Unlock()
			return rpcerr.New(codes.FailedPrecondition, "UPLOAD_GAP", rpcerr.T("gap", "间断")).Status("en").Err()
		}
		f.id, f.received, f.ended = part.GetId(), append(f.received, part.GetData()...), part.GetLast()
		f.mu.Unlock()
	}
}

func (f *files) ExportCustomers(r *customerv1.ExportCustomersRequest, out grpc.ServerStreamingServer[httpbody.HttpBody]) error {
	meta, _ := metadata.FromIncomingContext(out.Context())
	f.mu.Lock()
	f.request, f.language = r, strings.Join(meta.Get("accept-language"), "")
	f.mu.Unlock()
	for _, part := range f.gives {
		if err := out.Send(&httpbody.HttpBody{ContentType: "text/csv; charset=utf-8", Data: []byte(part)}); err != nil {
			return err
		}
	}
	return f.breaks
}

func (w *world) post(path, kind, token string, body io.Reader) (*http.Response, string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.url+path, body)
	must(w.t, err)
	req.Header.Set("Content-Type", kind)
	req.Header.Set("Accept-Language", "zh-CN")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	must(w.t, err)
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return resp, err.Error()
	}
	return resp, string(text)
}

func TestUploadStreamsTheBody(t *testing.T) {
	w := setup(t)
	file := bytes.Repeat([]byte("0123456789abcdef"), (uploadPart*2+uploadPart/2)/16)
	resp, text := w.post("/v1/customerImports/some-id:upload", "text/csv", w.token, bytes.NewReader(file))
	if resp.StatusCode != http.StatusOK || !strings.Contains(text, `"some-id"`) || !bytes.Equal(w.received, file) || !w.ended {
		t.Fatalf("%d %s: %d bytes arrived of %d, ended %v", resp.StatusCode, text, len(w.received), len(file), w.ended)
	}
	// The rest of a file goes on where the first part ended.
	rest := bytes.Repeat([]byte("x"), uploadPart)
	resp, text = w.post("/v1/customerImports/some-id:upload?offset="+strconv.Itoa(len(file)), "application/octet-stream", w.token, bytes.NewReader(rest))
	if resp.StatusCode != http.StatusOK || len(w.received) != len(file)+len(rest) {
		t.Errorf("%d %s", resp.StatusCode, text)
	}
	for name, tc := range map[string]struct {
		path, kind, token string
		code              int
		reason            string
	}{
		"a gap":             {"/v1/customerImports/some-id:upload?offset=5", "text/csv", w.token, 400, "UPLOAD_GAP"},
		"no token":          {"/v1/customerImports/some-id:upload", "text/csv", "", 401, "TOKEN_MISSING"},
		"JSON":              {"/v1/customerImports/some-id:upload", "application/json", w.token, 415, "CONTENT_TYPE_UNSUPPORTED"},
		"an offset of none": {"/v1/customerImports/some-id:upload?offset=-1", "text/csv", w.token, 400, "VALIDATION_FAILED"},
		"another parameter": {"/v1/customerImports/some-id:upload?etag=1", "text/csv", w.token, 400, "BODY_INVALID"},
	} {
		resp, text := w.post(tc.path, tc.kind, tc.token, strings.NewReader("x"))
		if resp.StatusCode != tc.code || !strings.Contains(text, tc.reason) {
			t.Errorf("%s: %d %s, want %d %s", name, resp.StatusCode, text, tc.code, tc.reason)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, w.url+"/v1/customerImports/some-id:upload", http.NoBody)
	must(t, err)
	req.Header.Set("Authorization", "Bearer "+w.token)
	resp, err = http.DefaultClient.Do(req)
	must(t, err)
	must(t, resp.Body.Close())
	if resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") != http.MethodPost {
		t.Errorf("PUT: %d, Allow %q", resp.StatusCode, resp.Header.Get("Allow"))
	}
}

func TestExportStreamsTheFile(t *testing.T) {
	w := setup(t)
	w.gives = []string{"a,b\r\n", "1,2\r\n"}
	resp, text := w.post("/v1/customers:export", "application/json", w.token, strings.NewReader(`{"format": "SHEET_FORMAT_CSV", "purpose": "核对"}`))
	if resp.StatusCode != http.StatusOK || text != "a,b\r\n1,2\r\n" || resp.Header.Get("Content-Type") != "text/csv; charset=utf-8" ||
		!strings.Contains(resp.Header.Get("Content-Disposition"), "customers.csv") || w.request.GetPurpose() != "核对" || w.language != "zh-CN" {
		t.Errorf("%d %v %q", resp.StatusCode, resp.Header, text)
	}
	w.gives, w.breaks = nil, rpcerr.Invalid("purpose", rpcerr.T("it is empty", "不能为空")).Status("en").Err()
	resp, text = w.post("/v1/customers:export", "application/json", w.token, strings.NewReader(`{}`))
	if resp.StatusCode != http.StatusBadRequest || !strings.Contains(text, "VALIDATION_FAILED") {
		t.Errorf("refused at once: %d %s", resp.StatusCode, text)
	}
	w.gives = []string{"half"}
	if resp, text = w.post("/v1/customers:export", "application/json", w.token, strings.NewReader(`{}`)); resp.StatusCode != http.StatusOK || !strings.Contains(text, "EOF") {
		t.Errorf("one that breaks off ends like a whole one: %d %q", resp.StatusCode, text)
	}
	resp, text = w.post("/v1/customers:export", "application/json", w.token, strings.NewReader(`{"surprise": 1}`))
	if resp.StatusCode != http.StatusBadRequest || !strings.Contains(text, "BODY_INVALID") {
		t.Errorf("an unknown field: %d %s", resp.StatusCode, text)
	}
}
