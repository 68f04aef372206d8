package sheetload

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
)

// registry is the suite as far as an import sees it.
type registry struct {
	t *testing.T
	// mu orders the calls: an upload that breaks off tells its client nothing of when it ended.
	mu    sync.Mutex
	made  *customerv1.CustomerImport
	file  []byte
	asked int
	// cut ends the first upload after so many bytes.
	cut int
}

func (r *registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Header.Get("Authorization") != "Bearer t" {
		r.t.Errorf("%s comes without its token", req.URL)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	path := strings.TrimPrefix(req.URL.Path, "/v1/customerImports")
	switch {
	case req.Method == http.MethodPost && path == "":
		body, err := io.ReadAll(req.Body)
		if err == nil {
			err = protojson.Unmarshal(body, r.made)
		}
		if err != nil {
			r.t.Error(err)
		}
		r.made.Id, r.made.State = "imp", customerv1.ImportState_IMPORT_STATE_UPLOADING
		r.answer(w, r.made)
	case path == "/imp:upload":
		if got := req.URL.Query().Get("offset"); got != fmt.Sprint(len(r.file)) {
			r.t.Errorf("the upload begins at %s, %d bytes are here", got, len(r.file))
		}
		if r.cut > 0 {
			part := make([]byte, r.cut)
			if _, err := io.ReadFull(req.Body, part); err != nil {
				r.t.Error(err)
			}
			r.file, r.cut, r.made.ReceivedBytes = part, 0, int64(len(part))
			panic(http.ErrAbortHandler)
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			r.t.Error(err)
		}
		r.file = append(r.file, body...)
		r.made.ReceivedBytes, r.made.State = int64(len(r.file)), customerv1.ImportState_IMPORT_STATE_RUNNING
		r.answer(w, r.made)
	case path == "/imp":
		if r.asked++; r.asked > 2 && r.made.GetState() == customerv1.ImportState_IMPORT_STATE_RUNNING {
			r.made.State, r.made.Rows, r.made.Created, r.made.Refused, r.made.DoneBytes = customerv1.ImportState_IMPORT_STATE_DONE, 2, 1, 1, r.made.ReceivedBytes
		}
		r.answer(w, r.made)
	case path == "/imp/errors":
		r.answer(w, &customerv1.ListCustomerImportErrorsResponse{CustomerImportErrors: []*customerv1.CustomerImportError{
			{Line: 3, Column: "C", Heading: "电话", Field: "phone", Value: "12", Message: "it is no phone"}}})
	default:
		http.Error(w, `{"message": "no", "details": [{"reason": "ROUTE_NOT_FOUND"}]}`, http.StatusNotFound)
	}
}

func (r *registry) answer(w http.ResponseWriter, m proto.Message) {
	body, err := protojson.Marshal(m)
	if err != nil {
		r.t.Error(err)
	}
	if _, err := w.Write(body); err != nil {
		r.t.Error(err)
	}
}

func begin(t *testing.T, r *registry, name, text string) Request {
	t.Helper()
	r.t, r.made = t, &customerv1.CustomerImport{}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Request{
		Base: server.URL + "/", Token: func() (string, error) { return "t", nil }, File: file, Every: time.Millisecond,
		Import: &customerv1.CustomerImport{Source: "erp"},
	}
}

func TestDo(t *testing.T) {
	r := &registry{}
	req := begin(t, r, "a.csv", "a,b\n1,2\n")
	var out bytes.Buffer
	err := Do(context.Background(), req, &out)
	if err == nil || err.Error() != "1 rows were refused" {
		t.Errorf("ends with %v", err)
	}
	for _, want := range []string{"import imp", "2 rows: 1 new, 0 changed", `line 3, column C (电话): "12": it is no phone`, "8 / 8"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("does not print %q:\n%s", want, out.String())
		}
	}
	if string(r.file) != "a,b\n1,2\n" || r.made.GetFormat() != customerv1.SheetFormat_SHEET_FORMAT_CSV {
		t.Errorf("sent %q as %v", r.file, r.made.GetFormat())
	}
}

func TestDoGoesOn(t *testing.T) {
	r := &registry{cut: 3}
	req := begin(t, r, "a.XLSX", strings.Repeat("0123456789", 1000))
	if err := Do(context.Background(), req, io.Discard); err == nil || !strings.Contains(err.Error(), "--resume imp") {
		t.Fatalf("ends with %v", err)
	}
	req.Resume = "imp"
	if err := Do(context.Background(), req, io.Discard); err == nil || len(r.file) != 10_000 || string(r.file[:12]) != "012345678901" {
		t.Errorf("%d bytes arrived, %v", len(r.file), err)
	}
	if req.Import.GetFormat() != customerv1.SheetFormat_SHEET_FORMAT_XLSX {
		t.Errorf("a workbook is sent as %v", req.Import.GetFormat())
	}
	req.Resume = "other"
	if err := Do(context.Background(), req, io.Discard); err == nil || !strings.Contains(err.Error(), "ROUTE_NOT_FOUND") {
		t.Errorf("another import: %v", err)
	}
	req.File = "none.csv"
	if err := Do(context.Background(), req, io.Discard); err == nil {
		t.Error("a file that is not there")
	}
}
