//go:build faults

package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kefu-suite/kefu/runtime/audit"
	"github.com/kefu-suite/kefu/runtime/pii"
)

// audited checks in a service's database that each acknowledged write of the run has one
// audit record of each object that it changed, that all records are linked, and that the
// chain verifies.
func (c *check) audited(ctx context.Context, service string) error {
	at, err := pgx.ParseConfig(c.g.admin)
	if err != nil {
		return err
	}
	at.Database = strings.ReplaceAll(service, "-", "_")
	conn, err := pgx.ConnectConfig(ctx, at)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	var keys, ids []string
	for _, k := range c.h.writes() {
		if k.service == service {
			for _, id := range k.ids {
				keys, ids = append(keys, k.key), append(ids, id)
			}
		}
	}
	rows, err := conn.Query(ctx, `
SELECT key, count(r.id) FROM unnest($1::text[], $2::text[]) AS a (key, id) LEFT JOIN audit_records AS r ON r.request_id = a.id
GROUP BY key HAVING count(r.id) = 0 OR count(r.id) <> count(DISTINCT r.object_id)`, keys, ids)
	if err != nil {
		return err
	}
	var key string
	var n int
	_, err = pgx.ForEachRow(rows, []any{&key, &n}, func() error {
		c.h.violated("the write %s to %s has %d audit records, expected one of each changed object", key, service, n)
		return nil
	})
	if err != nil {
		return err
	}
	return c.chained(ctx, conn, service)
}

// chained verifies the chain, once nothing waits for its link.
func (c *check) chained(ctx context.Context, conn *pgx.Conn, service string) error {
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		var pending int
		if err := conn.QueryRow(ctx, `SELECT (SELECT count(*) FROM audit_pending) + (SELECT count(*) FROM audit_reads)`).Scan(&pending); err != nil {
			return err
		}
		if pending == 0 {
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d records wait for their link", pending)
		}
	}
	master, err := pii.OpenFileMaster(filepath.Join(c.g.s.dir, "keys", "master-"+service+".key"))
	if err != nil {
		return err
	}
	keyring, err := pii.Open(ctx, conn, master, time.Now)
	if err != nil {
		return err
	}
	_, err = audit.Verify(ctx, conn, keyring.Derive(audit.KeyLabel))
	return err
}
