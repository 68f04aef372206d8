package department_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/department"
)

func TestNames(t *testing.T) {
	long := strings.Repeat("质", 101)
	for _, c := range []struct {
		name *typev1.Text
		ok   bool
	}{
		{nil, false},
		{&typev1.Text{}, false},
		{&typev1.Text{Zh: " ", En: "\t"}, false},
		{&typev1.Text{Zh: "质检部"}, true},
		{&typev1.Text{En: "Quality control"}, true},
		{&typev1.Text{Zh: long[:300]}, true},
		{&typev1.Text{Zh: long}, false},
		{&typev1.Text{Zh: "质检部", En: strings.Repeat("q", 101)}, false},
	} {
		err := department.CheckName("department.name", c.name)
		var public *rpcerr.Error
		if (err == nil) != c.ok || err != nil && !errors.As(err, &public) {
			t.Errorf("name %v: %v, want ok %v", c.name, err, c.ok)
		}
	}
}

// Whatever moves are tried, the tree stays a tree, and a move is refused only when it
// would close a circle.
func TestTheTreeStaysATree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(t, "departments")
		ids := make([]uuid.UUID, n)
		parents := map[uuid.UUID]uuid.UUID{}
		for i := range ids {
			ids[i][15] = byte(i + 1)
			parents[ids[i]] = uuid.Nil
		}
		for range rapid.IntRange(0, 40).Draw(t, "moves") {
			id := rapid.SampledFrom(ids).Draw(t, "id")
			parent := rapid.SampledFrom(append([]uuid.UUID{uuid.Nil}, ids...)).Draw(t, "parent")
			err := department.CheckParent(id, parent, parents)
			if circle := below(parents, id, parent); circle != (err != nil) {
				t.Fatalf("moving %v below %v: %v, circle %v", id, parent, err, circle)
			}
			if err == nil {
				parents[id] = parent
			}
		}
		for _, id := range ids {
			if below(parents, id, parents[id]) {
				t.Fatalf("%v stands below itself", id)
			}
		}
	})
}

// below tells by following every way up whether candidate is id or below it.
func below(parents map[uuid.UUID]uuid.UUID, id, candidate uuid.UUID) bool {
	seen := map[uuid.UUID]bool{}
	for at := candidate; at != uuid.Nil && !seen[at]; at = parents[at] {
		if at == id {
			return true
		}
		seen[at] = true
	}
	return false
}
