package event

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

const (
	// answerLimit is the number of events in one answer, and answerBytes about its size.
	answerLimit = 500
	answerBytes = 512 << 10
	// beatEvery is how long a stream may be silent; consumers give up after three beats.
	beatEvery = 15 * time.Second
)

// Server streams a database's numbered events. It reads a run of rows into memory before
// it sends them, so a slow consumer holds neither a connection nor a transaction.
type Server struct {
	eventv1.UnimplementedEventServiceServer
	pool *pgxpool.Pool
	log  *slog.Logger
	head head
	beat time.Duration

	mu      sync.Mutex
	news    chan struct{} // closed at the next Wake
	stopped chan struct{}
	stop    sync.Once
}

// NewServer reads from the pool. Its streams are woken by [Server.Wake] and look by
// themselves twice a second.
func NewServer(pool *pgxpool.Pool, log *slog.Logger) *Server {
	return &Server{pool: pool, log: log, beat: beatEvery, news: make(chan struct{}), stopped: make(chan struct{})}
}

// Wake lets every stream look for new positions at once. It never blocks.
func (s *Server) Wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.news)
	s.news = make(chan struct{})
}

// Shutdown ends all streams, present and future, with UNAVAILABLE, so that consumers go
// to another replica. Without it a graceful stop waits for streams that never end.
func (s *Server) Shutdown() { s.stop.Do(func() { close(s.stopped) }) }

func (s *Server) nextNews() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.news
}

// StreamEvents is described in the proto. It ends only with the caller's context, a lost
// database (UNAVAILABLE) or [Server.Shutdown].
func (s *Server) StreamEvents(req *eventv1.StreamEventsRequest, stream grpc.ServerStreamingServer[eventv1.StreamEventsResponse]) error {
	ctx := stream.Context()
	after := req.GetAfterPosition()
	head, err := s.head.load(ctx, s.pool, 0)
	if err != nil {
		return s.refuse(ctx, err)
	}
	if after > head {
		// The consumer has seen what this database never had: one of them was restored.
		return rpcerr.Invalid("after_position", rpcerr.T(
			"%d is after the last position %d; start from a position that this stream gave",
			"%d 大于最新位置 %d；请从本流给出过的位置开始", after, head))
	}
	beat := time.NewTicker(s.beat)
	defer beat.Stop()
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	for {
		select {
		case <-s.stopped:
			return rpcerr.Unavailable("event stream")
		default:
		}
		news := s.nextNews() // before reading, so that none is missed
		events, err := s.read(ctx, after)
		if err != nil {
			return s.refuse(ctx, err)
		}
		if len(events) > 0 {
			if err := stream.Send(&eventv1.StreamEventsResponse{Events: events}); err != nil {
				return err
			}
			after = events[len(events)-1].GetPosition()
			beat.Reset(s.beat)
			continue
		}
		if err := s.wait(ctx, stream, after, news, poll.C, beat.C); err != nil {
			return err
		}
	}
}

// wait returns when it is worth reading again.
func (s *Server) wait(ctx context.Context, stream grpc.ServerStreamingServer[eventv1.StreamEventsResponse],
	after int64, news <-chan struct{}, poll, beat <-chan time.Time,
) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.stopped:
			return rpcerr.Unavailable("event stream")
		case <-news:
			return nil
		case <-beat:
			if err := stream.Send(&eventv1.StreamEventsResponse{}); err != nil {
				return err
			}
		case <-poll:
			head, err := s.head.load(ctx, s.pool, pollEvery/2)
			if err != nil {
				return s.refuse(ctx, err)
			}
			if head > after {
				return nil
			}
		}
	}
}

func (s *Server) refuse(ctx context.Context, err error) error {
	if pg.Unavailable(err) {
		s.log.WarnContext(ctx, "event stream lost its database", "error", pg.Describe(err))
		return rpcerr.Unavailable("database")
	}
	return err
}

const readEvents = `
SELECT position, event_id, type, subject_id, subject_version, customer_id, occur_time, record_time,
  actor_kind, actor_id, request_id, historic, payload
FROM event_outbox WHERE position > $1 ORDER BY position LIMIT $2`

func (s *Server) read(ctx context.Context, after int64) ([]*eventv1.Envelope, error) {
	rows, err := s.pool.Query(ctx, readEvents, after, answerLimit)
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	defer rows.Close()
	var events []*eventv1.Envelope
	size := 0
	for size < answerBytes && rows.Next() {
		e, err := scanEnvelope(rows)
		if err != nil {
			return nil, err
		}
		size += proto.Size(e)
		events = append(events, e)
	}
	rows.Close()
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	return events, nil
}

func scanEnvelope(row pgx.Row) (*eventv1.Envelope, error) {
	e := new(eventv1.Envelope)
	var id, subject uuid.UUID
	var customer *uuid.UUID
	var occurred, recorded time.Time
	var kind int16
	var payload []byte
	err := row.Scan(&e.Position, &id, &e.Type, &subject, &e.SubjectVersion, &customer, &occurred, &recorded,
		&kind, &e.ActorId, &e.RequestId, &e.Historic, &payload)
	if err != nil {
		return nil, fmt.Errorf("read event: %w", err)
	}
	e.Id, e.SubjectId = id.String(), subject.String()
	if customer != nil {
		e.CustomerId = customer.String()
	}
	e.OccurTime, e.RecordTime = timestamppb.New(occurred), timestamppb.New(recorded)
	e.ActorKind = eventv1.ActorKind(kind)
	if payload != nil {
		e.Payload = new(anypb.Any)
		if err := proto.Unmarshal(payload, e.Payload); err != nil {
			return nil, fmt.Errorf("decode payload of event %s: %w", e.Id, err)
		}
	}
	return e, nil
}

// LastPosition gives the position of the last event that has one, 0 for none.
func LastPosition(ctx context.Context, db pg.DBTX) (int64, error) {
	var h head
	return h.load(ctx, db, 0)
}

// head is the last position, read for all polling streams together.
type head struct {
	mu       sync.Mutex
	position int64
	read     time.Time
}

// load gives the head as it was at most maxAge ago.
func (h *head) load(ctx context.Context, db pg.DBTX, maxAge time.Duration) (int64, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if maxAge > 0 && time.Since(h.read) < maxAge {
		return h.position, nil
	}
	err := db.QueryRow(ctx, `
SELECT position FROM event_outbox WHERE position IS NOT NULL ORDER BY position DESC LIMIT 1`).Scan(&h.position)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return 0, fmt.Errorf("read last position: %w", err)
	}
	h.read = time.Now()
	return h.position, nil
}
