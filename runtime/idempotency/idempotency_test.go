package idempotency_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	"github.com/kefu-suite/kefu/runtime/idempotency"
	"github.com/kefu-suite/kefu/runtime/testkit"
)

func vault(t *testing.T, fill byte) *idempotency.Vault {
	t.Helper()
	v, err := idempotency.NewVault(bytes.Repeat([]byte{fill}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestInsertAndFind(t *testing.T) {
	db := testkit.Database(t, idempotency.Migrations())
	ctx, v := t.Context(), vault(t, 1)
	k := idempotency.Key{Caller: "c", Method: "/m", RequestID: "r"}
	if o, err := v.Find(ctx, db.Pool, k); o != nil || err != nil {
		t.Errorf("Find before Insert = %v, %v", o, err)
	}
	want := idempotency.Outcome{BodyHash: []byte("h"), ResourceID: uuid.New(), ResourceVersion: 3, Response: []byte("secret answer")}
	if err := v.Insert(ctx, db.Pool, k, want, time.Now()); err != nil {
		t.Fatal(err)
	}
	got, err := v.Find(ctx, db.Pool, k)
	if err != nil || fmt.Sprint(*got) != fmt.Sprint(want) {
		t.Errorf("Find = %v, %v; want %v", got, err, want)
	}
	if err := v.Insert(ctx, db.Pool, k, want, time.Now()); !idempotency.Taken(err) {
		t.Errorf("second Insert: %v", err)
	}
	if _, err := vault(t, 2).Find(ctx, db.Pool, k); err == nil {
		t.Error("another key opened the response")
	}
	// A response moved under another request id does not open there.
	if _, err := db.Pool.Exec(ctx, `UPDATE idempotency_outcomes SET request_id = 'other'`); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Find(ctx, db.Pool, idempotency.Key{Caller: "c", Method: "/m", RequestID: "other"}); err == nil {
		t.Error("a moved response was opened")
	}
}

func TestHashBody(t *testing.T) {
	v := vault(t, 1)
	hash := func(v *idempotency.Vault, id, requestID string) string {
		t.Helper()
		m := &eventv1.Envelope{Id: id, RequestId: requestID}
		h, err := v.HashBody(m)
		if err != nil || m.GetRequestId() != requestID {
			t.Fatalf("%v; the message is now %v", err, m)
		}
		return string(h)
	}
	if hash(v, "a", "1") != hash(v, "a", "2") {
		t.Error("the request id changes the hash of the body")
	}
	if hash(v, "a", "1") == hash(v, "b", "1") || hash(v, "a", "1") == hash(vault(t, 2), "a", "1") {
		t.Error("another body or key has the same hash")
	}
}

func TestPurge(t *testing.T) {
	db := testkit.Database(t, idempotency.Migrations())
	now := time.Now()
	_, err := db.Pool.Exec(t.Context(), `
INSERT INTO idempotency_outcomes (caller, method, request_id, body_hash, response, create_time)
SELECT 'c', '/m', n::text, '', '', $1::timestamptz - make_interval(hours => n::int) FROM generate_series(1, 12000) AS n`, now)
	if err != nil {
		t.Fatal(err)
	}
	if err := idempotency.Purge(t.Context(), db.Pool, now); err != nil {
		t.Fatal(err)
	}
	var left, oldest int
	err = db.Pool.QueryRow(context.Background(), `SELECT count(*), max(request_id::int) FROM idempotency_outcomes`).Scan(&left, &oldest)
	if err != nil || left != 7*24 || oldest != 7*24 {
		t.Errorf("%d left, the oldest of %d hours, %v; want those of 168 hours", left, oldest, err)
	}
}
