package pg_test

import (
	"reflect"
	"testing"

	"github.com/google/uuid"

	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/testkit"
)

// Ids come back as they went, alone and in lists, by prepared statements and without.
func TestUUIDs(t *testing.T) {
	db := testkit.Database(t)
	one, two := uuid.New(), uuid.New()
	var none *uuid.UUID
	for _, on := range []pg.DBTX{db.Pool, pg.OnePlan{Sender: db.Pool}} {
		var (
			plain, null   uuid.UUID
			some, nothing *uuid.UUID
			list          []uuid.UUID
			holes         []*uuid.UUID
			text          string
		)
		err := on.QueryRow(t.Context(), `SELECT $1::uuid, $2::uuid, $2::uuid, $3::uuid, $4::uuid[], $5::uuid[], $1::uuid::text`,
			one, none, &two, []uuid.UUID{one, two}, []*uuid.UUID{&one, nil, &two}).
			Scan(&plain, &null, &nothing, &some, &list, &holes, &text)
		if err != nil {
			t.Fatal(err)
		}
		if plain != one || null != uuid.Nil || nothing != nil || *some != two || text != one.String() ||
			!reflect.DeepEqual(list, []uuid.UUID{one, two}) || !reflect.DeepEqual(holes, []*uuid.UUID{&one, nil, &two}) {
			t.Errorf("%v %v %v %v %v %v %v", plain, null, nothing, some, list, holes, text)
		}
	}
}
