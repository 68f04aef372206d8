package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpc"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/intake"
)

// ReceiveMessage takes in a signed message of a connector.
func (s *Server) ReceiveMessage(ctx context.Context, req *ticketv1.ReceiveMessageRequest) (*ticketv1.ReceiveMessageResponse, error) {
	from, err := s.signedBy(ctx, req)
	if err != nil {
		return nil, err
	}
	m, err := s.inbound(ctx, from, req)
	if err != nil {
		return nil, err
	}
	out, err := write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*ticketv1.ReceiveMessageResponse, error) {
		at, err := s.takeIn(ctx, tx, m)
		if err != nil {
			return nil, err
		}
		return &ticketv1.ReceiveMessageResponse{Reference: at.row.Number, Joined: at.joined}, nil
	})
	return out, heldFor(err)
}

// signedBy gives the connector that signed a message. Whatever is wrong is told in one way,
// so that nobody learns which connectors there are.
func (s *Server) signedBy(ctx context.Context, req *ticketv1.ReceiveMessageRequest) (*db.Connector, error) {
	row, err := s.q.GetConnectorByCode(ctx, s.pool, req.GetConnector())
	unknown := errors.Is(err, pgx.ErrNoRows)
	if err != nil && !unknown {
		return nil, fmt.Errorf("read connector: %w", err)
	}
	now := s.now()
	// One that is not there has a secret too, so that looking at it takes as long.
	signed := intake.Signed(s.connectorSecrets(&row, now), req.GetSignature(), req.GetMessageId(), req.GetTimestamp(), req.GetPayload(), now)
	if unknown || row.Off || !signed {
		return nil, rpcerr.New(codes.PermissionDenied, "SIGNATURE_INVALID", rpcerr.T(
			"The message is not signed by a connector that is in use, or its time is more than %[1]g minutes off; sign <message_id>.<timestamp>.<payload> with the present secret.",
			"该消息未由启用的接入端正确签名，或时间偏差超过 %[1]g 分钟；请用当前密钥对 <message_id>.<timestamp>.<payload> 签名。", intake.Window.Minutes()))
	}
	return &row, nil
}

// inbound reads the payload of a signed message.
func (s *Server) inbound(ctx context.Context, from *db.Connector, req *ticketv1.ReceiveMessageRequest) (*said, error) {
	in := new(ticketv1.InboundMessage)
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal([]byte(req.GetPayload()), in); err != nil {
		return nil, rpcerr.Invalid("payload", rpcerr.T(
			"it is not the JSON of an InboundMessage; give at least threadId and text", "内容不是 InboundMessage 的 JSON；请至少填写 threadId 和 text"))
	}
	if err := rpc.Check(s.validator, in); err != nil {
		return nil, err
	}
	told, faults := s.normalize(in.GetReporter())
	if len(faults) > 0 {
		return nil, invalid("", faults)
	}
	title, description := intake.Lines(in.GetText())
	if title == "" {
		return nil, rpcerr.Invalid("text", rpcerr.T("it is blank; give what was written", "内容为空；请填写消息内容"))
	}
	owner, err := s.intakeOwner(ctx, "customer_id", in.GetCustomerId())
	if err != nil {
		return nil, err
	}
	m := &said{
		source: "connector/" + from.Code, id: req.GetMessageId(), thread: in.GetThreadId(), owner: owner, told: told,
		ticket: &ticketv1.Ticket{
			Channel: typev1.Channel(from.Channel), Phase: in.GetPhase(), Title: title, Description: description, ProductModel: in.GetProductModel(),
			Urgency: in.GetUrgency(), Impact: in.GetImpact(),
		},
	}
	return m, nil
}

// CreateConnector adds a connector.
func (s *Server) CreateConnector(ctx context.Context, req *ticketv1.CreateConnectorRequest) (*ticketv1.ConnectorSecret, error) {
	id, err := newID()
	if err != nil {
		return nil, err
	}
	row := &db.Connector{
		ID: id, Code: req.GetConnector().GetCode(), Channel: int16(req.GetConnector().GetChannel()), SecretGeneration: 1, CreateTime: s.now(),
	}
	out, err := write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*ticketv1.ConnectorSecret, error) {
		if err := s.q.InsertConnector(ctx, tx, db.InsertConnectorParams{ID: id, Code: row.Code, Channel: row.Channel, CreateTime: row.CreateTime}); err != nil {
			return nil, err
		}
		tx.Audit("connector", id, connectorProto(row))
		return &ticketv1.ConnectorSecret{Connector: connectorProto(row), Secret: s.connectorSecrets(row, s.now())[0]}, nil
	})
	if pg.Violates(err, "connectors_code_key") {
		return nil, rpcerr.Exists("connector", "code", row.Code)
	}
	return out, err
}

// holdConnector reads a connector and holds it.
func (s *Server) holdConnector(ctx context.Context, tx *write.Tx, id uuid.UUID) (*db.Connector, error) {
	row, err := s.q.LockConnector(ctx, tx, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, rpcerr.NotFound("connector", id.String())
	}
	if err != nil {
		return nil, fmt.Errorf("lock connector: %w", err)
	}
	return &row, nil
}

// storeConnector stores a changed connector and audits it.
func (s *Server) storeConnector(ctx context.Context, tx *write.Tx, row *db.Connector) error {
	if err := s.q.UpdateConnector(ctx, tx, db.UpdateConnectorParams{
		ID: row.ID, Off: row.Off, SecretGeneration: row.SecretGeneration, PreviousUntil: row.PreviousUntil,
	}); err != nil {
		return fmt.Errorf("store connector: %w", err)
	}
	tx.Audit("connector", row.ID, connectorProto(row))
	return nil
}

// RotateConnectorSecret gives a connector a new secret.
func (s *Server) RotateConnectorSecret(ctx context.Context, req *ticketv1.RotateConnectorSecretRequest) (*ticketv1.ConnectorSecret, error) {
	id, err := parseID("id", req.GetId())
	if err != nil {
		return nil, err
	}
	keep := intake.KeepSecret
	if req.GetKeepHours() > 0 {
		keep = time.Duration(req.GetKeepHours()) * time.Hour
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*ticketv1.ConnectorSecret, error) {
		row, err := s.holdConnector(ctx, tx, id)
		if err != nil {
			return nil, err
		}
		until := s.now().Add(keep)
		row.SecretGeneration, row.PreviousUntil = row.SecretGeneration+1, &until
		if err := s.storeConnector(ctx, tx, row); err != nil {
			return nil, err
		}
		return &ticketv1.ConnectorSecret{Connector: connectorProto(row), Secret: s.connectorSecrets(row, s.now())[0]}, nil
	})
}

// SwitchConnector switches a connector off or on.
func (s *Server) SwitchConnector(ctx context.Context, req *ticketv1.SwitchConnectorRequest) (*ticketv1.Connector, error) {
	id, err := parseID("id", req.GetId())
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*ticketv1.Connector, error) {
		row, err := s.holdConnector(ctx, tx, id)
		if err != nil {
			return nil, err
		}
		row.Off = req.GetOff()
		if err := s.storeConnector(ctx, tx, row); err != nil {
			return nil, err
		}
		return connectorProto(row), nil
	})
}

// ListConnectors lists connectors in the order they were added.
func (s *Server) ListConnectors(ctx context.Context, req *ticketv1.ListConnectorsRequest) (*ticketv1.ListConnectorsResponse, error) {
	rows, next, err := byID(ctx, s, req, "connectors", func(r db.Connector) uuid.UUID { return r.ID }, func(after uuid.UUID, size int32) ([]db.Connector, error) {
		return s.q.ListConnectors(ctx, s.pool, after, size)
	})
	out := &ticketv1.ListConnectorsResponse{NextPageToken: next}
	for i := range rows {
		out.Connectors = append(out.Connectors, connectorProto(&rows[i]))
	}
	return out, err
}

func connectorProto(row *db.Connector) *ticketv1.Connector {
	return &ticketv1.Connector{
		Id: row.ID.String(), Code: row.Code, Channel: typev1.Channel(row.Channel), Off: row.Off, Generation: row.SecretGeneration,
		PreviousUntil: stamp(row.PreviousUntil), CreateTime: timestamppb.New(row.CreateTime),
	}
}
