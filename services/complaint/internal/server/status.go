package server

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
	"github.com/kefu-suite/kefu/services/complaint/internal/db"
)

// secretKeyLabel is the label under which the key of secrets is derived from the keyring.
const secretKeyLabel = "complaint-secret"

// secretBytes are random; in base64url they make 32 characters.
const secretBytes = 24

// secrets makes what opens the status of a complaint. A keyed hash of number and secret is
// kept and looked up: neither the database nor the time a search takes says anything of
// secrets, or of which half of a pair was wrong.
type secrets struct{ key []byte }

func (s secrets) issue(number string) (secret string, hash []byte) {
	random := make([]byte, secretBytes)
	_, _ = rand.Read(random) // never fails
	secret = base64.RawURLEncoding.EncodeToString(random)
	return secret, s.hash(number, secret)
}

func (s secrets) hash(number, secret string) []byte {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(number))
	mac.Write([]byte{0}) // no number has it, so no two pairs are one text
	mac.Write([]byte(secret))
	return mac.Sum(nil)
}

// GetComplaintStatus tells what a reference and its secret open.
func (s *Server) GetComplaintStatus(ctx context.Context, req *complaintv1.GetComplaintStatusRequest) (*complaintv1.ComplaintStatus, error) {
	row, err := s.q.GetStatus(ctx, s.pool, s.secrets.hash(req.GetReference(), req.GetSecret()))
	if missing(err) {
		// It repeats neither half: they may be one mistyped character from a real pair.
		return nil, rpcerr.New(codes.NotFound, "COMPLAINT_STATUS_NOT_FOUND", rpcerr.T(
			"There is no complaint of this reference and secret; give both as they stand on the receipt.",
			"没有与该受理编号和查询密码对应的投诉；请按回执原样填写。"))
	}
	if err != nil {
		return nil, fmt.Errorf("read the status of a complaint: %w", err)
	}
	return &complaintv1.ComplaintStatus{
		Reference: row.Number, Stage: complaint.Stage(complaint.State(row.State)), Round: row.Round,
		ReceiveTime: timestamppb.New(row.CreateTime), PromisedTime: stamp(row.PromisedTime), TellTime: stamp(row.TellTime),
		Outcome: complaintv1.Outcome(row.Outcome),
	}, nil
}

// receipt makes a new secret for a complaint whose clocks are started.
func (s *Server) receipt(ctx context.Context, tx *write.Tx, c db.Complaint) (*complaintv1.ComplaintReceipt, error) {
	secret, hash := s.secrets.issue(c.Number)
	if err := s.q.SetSecret(ctx, tx, c.ID, hash); err != nil {
		return nil, fmt.Errorf("store the secret of a complaint: %w", err)
	}
	promised, err := s.q.GetPromise(ctx, tx, c.ID)
	if err != nil && !missing(err) {
		return nil, fmt.Errorf("read what was promised: %w", err)
	}
	return &complaintv1.ComplaintReceipt{Reference: c.Number, Secret: secret, PromisedTime: stamp(promised)}, nil
}

// with is the answer with what is told this once, which neither the audit record nor anybody
// else's view of the complaint has.
func with(out *complaintv1.Complaint, receipt *complaintv1.ComplaintReceipt) *complaintv1.Complaint {
	answer := proto.Clone(out).(*complaintv1.Complaint)
	answer.Receipt = receipt
	return answer
}

// RenewReceipt makes a new secret for a complaint.
func (s *Server) RenewReceipt(ctx context.Context, req *complaintv1.RenewReceiptRequest) (*complaintv1.ComplaintReceipt, error) {
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*complaintv1.ComplaintReceipt, error) {
		c, err := s.partial(ctx, tx, id(req.GetId()))
		if err != nil {
			return nil, public(err)
		}
		out, err := s.receipt(ctx, tx, c)
		if err != nil {
			return nil, err
		}
		tx.AuditOf(value(c.CustomerID), kind, c.ID, map[string]any{"receipt": "renewed"})
		return out, nil
	})
}

// partial locks a complaint for a change that is no move, by whoever may know of it and is
// not the one it is about.
func (s *Server) partial(ctx context.Context, tx *write.Tx, complaintID uuid.UUID) (db.Complaint, error) {
	c, err := s.q.LockComplaint(ctx, tx, complaintID)
	if missing(err) {
		return c, notFound(complaintID)
	}
	if err != nil {
		return c, fmt.Errorf("lock complaint: %w", err)
	}
	who, err := s.caller(ctx, tx)
	if err != nil {
		return c, err
	}
	v, err := s.see(ctx, tx, who, c)
	if err != nil {
		return c, err
	}
	if v == nothing {
		return c, notFound(complaintID)
	}
	return c, complaint.Impartial(who.Caller, value(c.AccusedStaffID))
}
