package event

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/kefu-suite/kefu/runtime/audit"
	"github.com/kefu-suite/kefu/runtime/crash"
)

const (
	// pollEvery is the floor under all wake-ups: what no signal told is seen this late.
	pollEvery = 500 * time.Millisecond
	// passGap keeps passes apart, so that under load one pass takes many events and its
	// flush to disk is not paid by each.
	passGap = 20 * time.Millisecond
	// passLimit bounds the rows of each kind that one pass touches.
	passLimit = 2000
	// roundLimit bounds all that happens between two pauses.
	roundLimit = 15 * time.Second
)

// The channels of NOTIFY. A replica that does not lead tells of its writes on the first,
// outside its business transactions; the leader tells of new positions on the second.
const (
	channelWritten  = "kefu_event_written"
	channelNumbered = "kefu_event_numbered"
)

// tryLead takes a lock of two numbers, a space of locks apart from that of single numbers, in which
// the idempotency keys lie.
const tryLead = `SELECT pg_try_advisory_lock(1801807477, 1)`

const numberEvents = `
WITH unnumbered AS (
  SELECT id, row_number() OVER (ORDER BY id) AS nth
  FROM (SELECT id FROM event_outbox WHERE position IS NULL ORDER BY id LIMIT $1) AS waiting
), head AS (
  SELECT coalesce((SELECT position FROM event_outbox WHERE position IS NOT NULL ORDER BY position DESC LIMIT 1), 0) AS position
)
UPDATE event_outbox AS o SET position = head.position + unnumbered.nth
FROM unnumbered, head WHERE o.id = unnumbered.id AND o.position IS NULL`

// Sequencer numbers a database's committed events densely and links its audit records.
// Every replica runs one; the one that holds an advisory lock leads and the others wait
// to follow within half a second of its end. The lock lives and dies with the connection
// on which the leader works, so two can never number at once.
type Sequencer struct {
	pool     *pgxpool.Pool
	log      *slog.Logger
	auditKey []byte
	numbered func()
	written  chan struct{} // this process committed something
	told     chan struct{} // another one did
}

// NewSequencer works on the database of the pool, over two connections of its own.
// auditKey is the keyring's key derived with audit.KeyLabel. numbered is called after
// each pass, here or in another replica, that gave positions: [Server.Wake].
func NewSequencer(pool *pgxpool.Pool, log *slog.Logger, auditKey []byte, numbered func()) *Sequencer {
	return &Sequencer{
		pool: pool, log: log, auditKey: auditKey, numbered: numbered,
		written: make(chan struct{}, 1), told: make(chan struct{}, 1),
	}
}

// Wake says that this process committed events or audit records. It never blocks.
func (s *Sequencer) Wake() { poke(s.written) }

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Run works until ctx ends and then returns nil. A lost connection ends leadership; it
// connects again for ever, with a growing pause.
func (s *Sequencer) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return forever(ctx, s.log, "sequencer", s.work) })
	g.Go(func() error { return forever(ctx, s.log, "event listener", s.listen) })
	return g.Wait()
}

// work leads, or waits to lead, for as long as its connection lasts.
func (s *Sequencer) work(ctx context.Context, healthy func()) error {
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer closeConn(conn)
	leading := false
	for woken := false; ; {
		more, err := s.round(ctx, conn, &leading, woken)
		if err != nil {
			return err
		}
		healthy()
		if woken, err = s.pause(ctx, more); err != nil {
			return err
		}
	}
}

// pause keeps the gap between passes and then waits for something to do.
func (s *Sequencer) pause(ctx context.Context, more bool) (woken bool, err error) {
	gap := time.NewTimer(passGap)
	defer gap.Stop()
	if more {
		return false, ctx.Err()
	}
	select {
	case <-ctx.Done():
		return false, ctx.Err()
	case <-gap.C:
	}
	poll := time.NewTimer(pollEvery - passGap)
	defer poll.Stop()
	select {
	case <-ctx.Done():
		return false, ctx.Err()
	case <-s.written:
		return true, nil
	case <-s.told: // not worth telling again
		return false, nil
	case <-poll.C:
		return false, nil
	}
}

// round does once what is this replica's part; more says that the leader has more to do.
// It is bounded, because a connection that went silent would keep the lead.
func (s *Sequencer) round(ctx context.Context, conn *pgx.Conn, leading *bool, woken bool) (more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, roundLimit)
	defer cancel()
	if !*leading {
		if err := conn.QueryRow(ctx, tryLead).Scan(leading); err != nil {
			return false, fmt.Errorf("try to lead: %w", err)
		}
		if *leading {
			s.log.InfoContext(ctx, "sequencer leads")
		}
	}
	switch {
	case *leading:
		return s.lead(ctx, conn)
	case woken:
		return false, notify(ctx, conn, channelWritten)
	}
	return false, nil
}

// lead is one pass and the news of it.
func (s *Sequencer) lead(ctx context.Context, conn *pgx.Conn) (more bool, err error) {
	events, links, err := s.pass(ctx, conn)
	if err != nil {
		return false, err
	}
	if events > 0 {
		s.numbered()
		if err := notify(ctx, conn, channelNumbered); err != nil {
			return false, err
		}
	}
	return events == passLimit || links >= passLimit, nil
}

// pass numbers and links what one snapshot shows. The snapshot is why the order holds:
// an event that it does not show commits later and gets a later position.
func (s *Sequencer) pass(ctx context.Context, conn *pgx.Conn) (events, links int, err error) {
	err = pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{IsoLevel: pgx.RepeatableRead}, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, numberEvents, passLimit)
		if err != nil {
			return fmt.Errorf("number events: %w", err)
		}
		events = int(tag.RowsAffected())
		links, err = audit.Link(ctx, tx, s.auditKey, passLimit)
		if events > 0 {
			crash.At(crash.BeforePosition)
		}
		return err
	})
	if err == nil && events > 0 {
		crash.At(crash.AfterPosition)
	}
	return events, links, err
}

// listen passes on what other replicas tell.
func (s *Sequencer) listen(ctx context.Context, healthy func()) error {
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer closeConn(conn)
	for _, channel := range []string{channelWritten, channelNumbered} {
		if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
			return fmt.Errorf("listen to %s: %w", channel, err)
		}
	}
	healthy()
	s.numbered() // what was told before this connection listened
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return fmt.Errorf("wait for notification: %w", err)
		}
		switch n.Channel {
		case channelWritten:
			poke(s.told)
		case channelNumbered:
			s.numbered()
		}
	}
}

// connect opens a session whose statements find rows one by one by their indexes. A plan made
// while the tables were empty, as those of a new suite are, would read the whole of what they
// have grown to until Postgres counts them anew.
func (s *Sequencer) connect(ctx context.Context) (*pgx.Conn, error) {
	config := s.pool.Config()
	for _, way := range []string{"enable_seqscan", "enable_hashjoin", "enable_mergejoin"} {
		config.ConnConfig.RuntimeParams[way] = "off"
	}
	conn, err := pgx.ConnectConfig(ctx, config.ConnConfig)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	if ready := config.AfterConnect; ready != nil { // what a pool has its sessions do
		if err := ready(ctx, conn); err != nil {
			closeConn(conn)
			return nil, fmt.Errorf("connect: %w", err)
		}
	}
	return conn, nil
}

func closeConn(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx) // the server drops what it held either way
}

func notify(ctx context.Context, conn *pgx.Conn, channel string) error {
	if _, err := conn.Exec(ctx, `SELECT pg_notify($1, '')`, channel); err != nil {
		return fmt.Errorf("notify %s: %w", channel, err)
	}
	return nil
}
