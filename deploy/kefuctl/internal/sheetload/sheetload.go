// Package sheetload sends a spreadsheet of customers to the suite, shows how far it is, and
// writes what is wrong with which row.
package sheetload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"

	"github.com/kefu-suite/kefu/deploy/kefuctl/internal/dryrun"
	"github.com/kefu-suite/kefu/deploy/kefuctl/internal/progress"
)

// Request says what is sent where.
type Request struct {
	// Base is the URL of the REST API.
	Base string
	// Token gives an information administrator's; a long import needs several.
	Token func() (string, error)
	// File is the path of the spreadsheet.
	File string
	// Resume is the id of an import whose upload broke off; empty makes a new one.
	Resume string
	// Import is the import to make.
	Import *customerv1.CustomerImport
	// Every is how often progress is asked for.
	Every time.Duration
}

// Do sends the file, waits for the import and writes its totals and faults. It fails when the
// suite refuses a call, the import fails, or a row was refused.
func Do(ctx context.Context, r Request, out io.Writer) error {
	file, err := os.Open(r.File)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // only read
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if r.Import.GetFormat() == customerv1.SheetFormat_SHEET_FORMAT_UNSPECIFIED {
		r.Import.Format = customerv1.SheetFormat_SHEET_FORMAT_CSV
		if strings.HasSuffix(strings.ToLower(r.File), ".xlsx") {
			r.Import.Format = customerv1.SheetFormat_SHEET_FORMAT_XLSX
		}
	}
	made := &customerv1.CustomerImport{}
	if r.Resume != "" {
		err = r.call(ctx, http.MethodGet, "/"+url.PathEscape(r.Resume), nil, made)
	} else {
		err = r.call(ctx, http.MethodPost, "", r.Import, made)
	}
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(out, "import %s\n", made.GetId())
	bars := progress.New(out)
	if err := r.upload(ctx, file, info.Size(), made, bars); err != nil {
		bars.Wait()
		return fmt.Errorf("%w\nthe upload broke off; go on with --resume %s", err, made.GetId())
	}
	err = r.follow(ctx, made, bars)
	bars.Wait()
	if err != nil {
		return err
	}
	return r.report(ctx, made, out)
}

func (r Request) upload(ctx context.Context, file *os.File, size int64, made *customerv1.CustomerImport, bars *progress.Progress) error {
	if made.GetState() != customerv1.ImportState_IMPORT_STATE_UPLOADING {
		return nil // an earlier call has sent all of it
	}
	from := made.GetReceivedBytes()
	if _, err := file.Seek(from, io.SeekStart); err != nil {
		return err
	}
	part := bars.Begin("upload", int(size))
	defer part.End()
	part.Add(int(from))
	at := fmt.Sprintf("/%s:upload?offset=%d", made.GetId(), from)
	return r.send(ctx, http.MethodPost, at, "application/octet-stream", io.TeeReader(file, counter{part}), made)
}

// counter counts what passes.
type counter struct{ part *progress.Part }

func (c counter) Write(b []byte) (int, error) {
	c.part.Add(len(b))
	return len(b), nil
}

// follow asks for the import until it has ended.
func (r Request) follow(ctx context.Context, made *customerv1.CustomerImport, bars *progress.Progress) error {
	part := bars.Begin("import", int(made.GetReceivedBytes()))
	defer part.End()
	done := int64(0)
	for {
		if err := r.call(ctx, http.MethodGet, "/"+made.GetId(), nil, made); err != nil {
			return err
		}
		part.Add(int(made.GetDoneBytes() - done))
		done = made.GetDoneBytes()
		if made.GetState() != customerv1.ImportState_IMPORT_STATE_RUNNING {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(r.Every):
		}
	}
}

// report writes the totals and every fault.
func (r Request) report(ctx context.Context, made *customerv1.CustomerImport, out io.Writer) error {
	would := ""
	if made.GetDryRun() {
		would = "dry run: "
	}
	_, err := fmt.Fprintf(out, "%s%d rows: %d new, %d changed, %d left as they are, %d to be compared, %d refused\n", would,
		made.GetRows(), made.GetCreated(), made.GetUpdated(), made.GetExisting(), made.GetReviews(), made.GetRefused())
	if err != nil {
		return err
	}
	if made.GetFailure() != "" {
		return errors.New(made.GetFailure())
	}
	for token := ""; made.GetRefused() > 0; {
		page := &customerv1.ListCustomerImportErrorsResponse{}
		query := url.Values{"pageSize": {"500"}, "pageToken": {token}}
		if err := r.call(ctx, http.MethodGet, "/"+made.GetId()+"/errors?"+query.Encode(), nil, page); err != nil {
			return err
		}
		for _, e := range page.GetCustomerImportErrors() {
			if _, err := fmt.Fprintf(out, "line %d, column %s (%s): %q: %s\n", e.GetLine(), or(e.GetColumn(), "-"), or(e.GetHeading(), e.GetField()), e.GetValue(), e.GetMessage()); err != nil {
				return err
			}
		}
		if token = page.GetNextPageToken(); token == "" {
			return fmt.Errorf("%d rows were refused", made.GetRefused())
		}
	}
	return nil
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func (r Request) call(ctx context.Context, method, path string, in, out proto.Message) error {
	var body io.Reader
	if in != nil {
		encoded, err := protojson.Marshal(in)
		if err != nil {
			return fmt.Errorf("the call: %w", err)
		}
		body = bytes.NewReader(encoded)
	}
	return r.send(ctx, method, path, "application/json", body, out)
}

func (r Request) send(ctx context.Context, method, path, kind string, body io.Reader, out proto.Message) error {
	token, err := r.Token()
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(r.Base, "/")+"/v1/customerImports"+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", kind)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // only read
	content, err := io.ReadAll(io.LimitReader(resp.Body, 8<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return dryrun.Refused(content, resp.Status)
	}
	return (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(content, out)
}
