package audit_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	"github.com/kefu-suite/kefu/runtime/audit"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/testkit"
)

func TestRecordsOfManyActs(t *testing.T) {
	db := testkit.Database(t, audit.Migrations())
	var acts []audit.Act
	for i := range 5 {
		o := audit.Origin{Time: time.Now(), Actor: "issuer|someone", ActorKind: eventv1.ActorKind_ACTOR_KIND_PERSON, RequestID: "r"}
		if i%2 == 1 {
			o.CauseEventID = uuid.New()
		}
		o.Address = addresses[i%len(addresses)]
		acts = append(acts, audit.Act{Origin: o, Entry: audit.Entry{
			Action: "/kefu.Things/Read", ObjectType: "thing", ObjectID: uuid.New(), Right: "role:x/y", Changes: map[string]int{"n": i},
			CustomerID: []uuid.UUID{uuid.Nil, uuid.New()}[i%2],
		}})
	}
	if err := audit.InsertMany(t.Context(), db.Pool, key, acts); err != nil {
		t.Fatal(err)
	}
	if err := audit.InsertMany(t.Context(), db.Pool, key, nil); err != nil {
		t.Errorf("no acts: %v", err)
	}
	bad := append(acts[:1:1], audit.Act{Entry: audit.Entry{Changes: func() {}}})
	if err := audit.InsertMany(t.Context(), db.Pool, key, bad); err == nil {
		t.Error("changes that have no encoding were recorded")
	}
	linked := 0
	if err := pg.InTx(t.Context(), db.Pool, func(tx pgx.Tx) (err error) {
		linked, err = audit.Link(t.Context(), tx, key, 10)
		return err
	}); err != nil || linked != len(acts) {
		t.Fatalf("%d linked, %v", linked, err)
	}
	// Each is as Insert would have written it: its MAC holds.
	if n, err := audit.Verify(t.Context(), db.Pool, key); n != int64(len(acts)) || err != nil {
		t.Errorf("Verify = %d, %v", n, err)
	}
	for _, a := range acts {
		var action, actor, right, request string
		var cause, customer *uuid.UUID
		var address netip.Prefix
		err := db.Pool.QueryRow(t.Context(), `SELECT action, actor, access_right, request_id, cause_event_id, customer_id, address FROM audit_records WHERE object_id = $1`,
			a.Entry.ObjectID).Scan(&action, &actor, &right, &request, &cause, &customer, &address)
		if err != nil || action != a.Entry.Action || actor != a.Origin.Actor || right != a.Entry.Right || request != "r" || address != a.Origin.Address ||
			(cause == nil) != (a.Origin.CauseEventID == uuid.Nil) || cause != nil && *cause != a.Origin.CauseEventID ||
			(customer == nil) != (a.Entry.CustomerID == uuid.Nil) || customer != nil && *customer != a.Entry.CustomerID {
			t.Errorf("%v: %s %s %s %s %v, %v", a, action, actor, right, request, cause, err)
		}
	}
}
