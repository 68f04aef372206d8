package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/page"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/pii"
	"github.com/kefu-suite/kefu/runtime/rpc"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
)

// The states of an import, as they are stored.
const (
	importUploading = int16(customerv1.ImportState_IMPORT_STATE_UPLOADING)
	importRunning   = int16(customerv1.ImportState_IMPORT_STATE_RUNNING)
	importChecked   = int16(customerv1.ImportState_IMPORT_STATE_CHECKED)
	importDone      = int16(customerv1.ImportState_IMPORT_STATE_DONE)
	importFailed    = int16(customerv1.ImportState_IMPORT_STATE_FAILED)
	importCancelled = int16(customerv1.ImportState_IMPORT_STATE_CANCELLED)
)

const (
	maxUpload = 1 << 30
	// An XLSX file is read whole, so it must fit in memory.
	maxWorkbook = 64 << 20
	// importKept is how long faults, rows to be compared and unfinished files are kept.
	importKept = 30 * 24 * time.Hour
)

// CreateCustomerImport makes an import and the key that its file is encrypted with.
func (s *Server) CreateCustomerImport(ctx context.Context, req *customerv1.CreateCustomerImportRequest) (*customerv1.CustomerImport, error) {
	given := req.GetCustomerImport()
	fields, err := s.sheetFields(ctx)
	if err != nil {
		return nil, err
	}
	if err := invalid("customer_import.", fields.Check(given.GetColumns(), s.disclosure.Zone)); err != nil {
		return nil, err
	}
	policy := given.GetOnExisting()
	if policy == customerv1.OnExisting_ON_EXISTING_UNSPECIFIED {
		policy = customerv1.OnExisting_ON_EXISTING_SKIP
	}
	definition, err := protojson.Marshal(&customerv1.CustomerImport{
		Format: given.GetFormat(), Columns: given.GetColumns(), Delimiter: given.GetDelimiter(),
		Encoding: given.GetEncoding(), Sheet: given.GetSheet(), KeepInvalid: given.GetKeepInvalid(), Purpose: given.GetPurpose(),
	})
	if err != nil {
		return nil, fmt.Errorf("encode import: %w", err)
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*customerv1.CustomerImport, error) {
		id, err := newID()
		if err != nil {
			return nil, err
		}
		if _, err := s.keys.Create(ctx, tx, id); err != nil {
			return nil, err
		}
		now := s.now()
		keep := now.Add(importKept)
		err = s.q.InsertCustomerImport(ctx, tx, db.InsertCustomerImportParams{
			ID: id, Source: given.GetSource(), Definition: definition, OnExisting: int16(policy), DryRun: given.GetDryRun(),
			Author: authn.FromContext(ctx).Actor(), CreateTime: now, KeepUntil: &keep,
		})
		if err != nil {
			return nil, fmt.Errorf("insert import: %w", err)
		}
		return s.importChanged(ctx, tx, id)
	})
}

// importChanged records that an import changed and returns it.
func (s *Server) importChanged(ctx context.Context, tx *write.Tx, id uuid.UUID) (*customerv1.CustomerImport, error) {
	row, err := s.q.GetCustomerImport(ctx, tx, id)
	if err != nil {
		return nil, missingImport(err, id)
	}
	out, err := importProto(ctx, &row)
	tx.Audit("customer_import", id, out)
	return out, err
}

func missingImport(err error, id uuid.UUID) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return rpcerr.NotFound("customer import", id.String())
	}
	return fmt.Errorf("read import: %w", err)
}

func importProto(ctx context.Context, row *db.CustomerImport) (*customerv1.CustomerImport, error) {
	out := &customerv1.CustomerImport{}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(row.Definition, out); err != nil {
		return nil, fmt.Errorf("decode import %s: %w", row.ID, err)
	}
	out.Id, out.Source, out.OnExisting, out.DryRun = row.ID.String(), row.Source, customerv1.OnExisting(row.OnExisting), row.DryRun
	out.State, out.ReceivedBytes, out.DoneBytes = customerv1.ImportState(row.State), row.Received, row.DoneBytes
	out.Rows, out.Created, out.Updated, out.Existing = row.Rows, row.Created, row.Updated, row.Existing
	out.Reviews, out.Refused, out.Author = row.Reviews, row.Refused, row.Author
	out.Failure = rpcerr.Text{EN: row.FailureEn, ZH: row.FailureZh}.In(rpc.Language(ctx))
	out.CreateTime, out.EndTime, out.Etag = timestamppb.New(row.CreateTime), stampPtr(row.EndTime), etag(row.Revision)
	return out, nil
}

func partPlace(id uuid.UUID, at int64) pii.Place {
	return pii.Place{Table: "customer_import_parts", Column: fmt.Sprintf("sealed/%d", at), Row: id}
}

// UploadCustomerImport takes a file in parts, each committed before the next is read.
func (s *Server) UploadCustomerImport(stream grpc.ClientStreamingServer[customerv1.UploadCustomerImportRequest, customerv1.CustomerImport]) error {
	var last *customerv1.CustomerImport
	for {
		req, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			if last == nil {
				return emptyFile()
			}
			return stream.SendAndClose(last)
		}
		if err != nil {
			return err
		}
		if last, err = s.takePart(stream.Context(), req); err != nil {
			return err
		}
		if last.GetState() != customerv1.ImportState_IMPORT_STATE_UPLOADING {
			s.sheets.wake()
		}
	}
}

func (s *Server) takePart(ctx context.Context, req *customerv1.UploadCustomerImportRequest) (*customerv1.CustomerImport, error) {
	id, err := parseID("id", req.GetId())
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*customerv1.CustomerImport, error) {
		row, err := s.q.LockCustomerImport(ctx, tx, id)
		if err != nil {
			return nil, missingImport(err, id)
		}
		known, err := s.admitPart(ctx, &row, req)
		if err != nil {
			return nil, err
		}
		data, state := req.GetData(), importUploading
		if known {
			data = nil
		}
		if req.GetLast() {
			state = importRunning
		}
		if known && !req.GetLast() {
			tx.Unchanged()
			return importProto(ctx, &row)
		}
		if row.Received+int64(len(data)) == 0 {
			return nil, emptyFile()
		}
		if len(data) > 0 {
			subject, err := s.keys.Subject(ctx, tx, id)
			if err != nil {
				return nil, err
			}
			sealed, err := subject.Seal(partPlace(id, row.Received), string(data))
			if err != nil {
				return nil, err
			}
			if err := s.q.InsertImportPart(ctx, tx, id, row.Received, sealed); err != nil {
				return nil, fmt.Errorf("insert a part of a file: %w", err)
			}
		}
		if err := s.q.ReceiveImportPart(ctx, tx, int64(len(data)), state, id); err != nil {
			return nil, fmt.Errorf("receive a part of a file: %w", err)
		}
		return s.importChanged(ctx, tx, id)
	})
}

func emptyFile() *rpcerr.Error {
	return rpcerr.New(codes.InvalidArgument, "FILE_EMPTY", rpcerr.T("The file is empty; send one with a heading and rows.",
		"文件为空；请上传带表头和数据行的文件。"))
}

// admitPart refuses a part that does not follow on what has arrived. One that has arrived
// already is known and need not be stored.
func (s *Server) admitPart(ctx context.Context, row *db.CustomerImport, req *customerv1.UploadCustomerImportRequest) (known bool, err error) {
	if row.State != importUploading {
		return false, importInState(row, importUploading)
	}
	end := req.GetOffset() + int64(len(req.GetData()))
	if end <= row.Received && len(req.GetData()) > 0 {
		return true, nil
	}
	if req.GetOffset() != row.Received {
		return false, rpcerr.New(codes.FailedPrecondition, "UPLOAD_GAP", rpcerr.T(
			"The part begins at byte %[1]d and %[2]d bytes have arrived; send what begins at byte %[2]d.",
			"该部分从第 %[1]d 字节开始，而已收到 %[2]d 字节；请从第 %[2]d 字节开始发送。", req.GetOffset(), row.Received)).
			With("received", fmt.Sprint(row.Received))
	}
	spec, err := importProto(ctx, row)
	if err != nil {
		return false, err
	}
	most := int64(maxUpload)
	if spec.GetFormat() == customerv1.SheetFormat_SHEET_FORMAT_XLSX {
		most = maxWorkbook
	}
	if end > most {
		return false, rpcerr.New(codes.InvalidArgument, "FILE_TOO_LARGE", rpcerr.T(
			"The file has more than %[1]d bytes; split it, or send a large table as CSV.",
			"文件超过 %[1]d 字节；请拆分，大表请使用 CSV 格式。", most))
	}
	return false, nil
}

func importInState(row *db.CustomerImport, wanted int16) *rpcerr.Error {
	return rpcerr.WrongState("IMPORT_WRONG_STATE", rpcerr.T(
		"The import %[1]s is in the state %[2]s; this needs %[3]s.", "导入 %[1]s 的状态为 %[2]s；此操作要求 %[3]s。",
		row.ID, customerv1.ImportState(row.State), customerv1.ImportState(wanted)))
}

// GetCustomerImport returns an import.
func (s *Server) GetCustomerImport(ctx context.Context, req *customerv1.GetCustomerImportRequest) (*customerv1.CustomerImport, error) {
	row, err := s.importByID(ctx, s.pool, "id", req.GetId())
	if err != nil {
		return nil, err
	}
	return importProto(ctx, row)
}

func (s *Server) importByID(ctx context.Context, on pg.DBTX, field, given string) (*db.CustomerImport, error) {
	id, err := parseID(field, given)
	if err != nil {
		return nil, err
	}
	row, err := s.q.GetCustomerImport(ctx, on, id)
	if err != nil {
		return nil, missingImport(err, id)
	}
	return &row, nil
}

// ListCustomerImports lists the imports, newest first.
func (s *Server) ListCustomerImports(ctx context.Context, req *customerv1.ListCustomerImportsRequest) (*customerv1.ListCustomerImportsResponse, error) {
	before, err := s.idCursor(ctx, req, req.GetPageToken(), newestID)
	if err != nil {
		return nil, err
	}
	size := page.Size(req.GetPageSize())
	rows, err := s.q.ListCustomerImports(ctx, s.pool, before, size+1)
	if err != nil {
		return nil, fmt.Errorf("list imports: %w", err)
	}
	rows, next, err := cut(ctx, s, req, rows, size, func(r *db.CustomerImport) string { return r.ID.String() })
	if err != nil {
		return nil, err
	}
	out := &customerv1.ListCustomerImportsResponse{NextPageToken: next}
	for i := range rows {
		one, err := importProto(ctx, &rows[i])
		if err != nil {
			return nil, err
		}
		out.CustomerImports = append(out.CustomerImports, one)
	}
	return out, nil
}

// RunCustomerImport begins in earnest what a dry run has checked.
func (s *Server) RunCustomerImport(ctx context.Context, req *customerv1.RunCustomerImportRequest) (*customerv1.CustomerImport, error) {
	out, err := s.changeImport(ctx, req, req.GetId(), req.GetEtag(), func(ctx context.Context, tx *write.Tx, row *db.CustomerImport) error {
		if row.State != importChecked {
			return importInState(row, importChecked)
		}
		if err := s.q.DeleteImportErrors(ctx, tx, row.ID); err != nil {
			return fmt.Errorf("delete the faults of the dry run: %w", err)
		}
		if err := s.q.DeleteImportReviews(ctx, tx, row.ID); err != nil {
			return fmt.Errorf("delete what the dry run shows: %w", err)
		}
		return s.q.RestartCustomerImport(ctx, tx, row.ID)
	})
	s.sheets.wake()
	return out, err
}

// CancelCustomerImport ends an import.
func (s *Server) CancelCustomerImport(ctx context.Context, req *customerv1.CancelCustomerImportRequest) (*customerv1.CustomerImport, error) {
	return s.changeImport(ctx, req, req.GetId(), req.GetEtag(), func(ctx context.Context, tx *write.Tx, row *db.CustomerImport) error {
		if row.State > importChecked {
			return importInState(row, importRunning)
		}
		return s.endImport(ctx, tx, row, importCancelled, rpcerr.Text{})
	})
}

// changeImport changes a locked import whose etag is current.
func (s *Server) changeImport(ctx context.Context, req write.Request, given, etag string, change func(context.Context, *write.Tx, *db.CustomerImport) error) (*customerv1.CustomerImport, error) {
	id, err := parseID("id", given)
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*customerv1.CustomerImport, error) {
		row, err := s.q.LockCustomerImport(ctx, tx, id)
		if err != nil {
			return nil, missingImport(err, id)
		}
		if err := current(etag, row.Revision, "customer import", id); err != nil {
			return nil, err
		}
		if err := change(ctx, tx, &row); err != nil {
			return nil, err
		}
		return s.importChanged(ctx, tx, id)
	})
}

// endImport gives a locked import its last state and deletes its file; what was found in it
// is kept a while.
func (s *Server) endImport(ctx context.Context, tx *write.Tx, row *db.CustomerImport, state int16, why rpcerr.Text) error {
	now := s.now()
	keep := now.Add(importKept)
	err := s.q.SetCustomerImportState(ctx, tx, db.SetCustomerImportStateParams{
		ID: row.ID, State: state, EndTime: &now, KeepUntil: &keep, FailureZh: why.ZH, FailureEn: why.EN,
	})
	if err != nil {
		return fmt.Errorf("end import: %w", err)
	}
	if err := s.q.DeleteImportParts(ctx, tx, row.ID); err != nil {
		return fmt.Errorf("delete the file of an import: %w", err)
	}
	return nil
}
