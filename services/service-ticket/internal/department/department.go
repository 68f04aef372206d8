// Package department holds the rules of the organisation's tree and of its names. It
// reads no clock and no database.
package department

import (
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

const maxName = 100

// CheckName wants a name in one language at least, each of a bearable length. field is the
// path of the name.
func CheckName(field string, name *typev1.Text) error {
	if strings.TrimSpace(name.GetZh()) == "" && strings.TrimSpace(name.GetEn()) == "" {
		return rpcerr.Invalid(field, rpcerr.T(
			"both languages are empty; give the name in zh, in en or in both",
			"中英文均为空；请至少填写 zh 或 en 之一"))
	}
	for _, part := range []struct{ path, text string }{{field + ".zh", name.GetZh()}, {field + ".en", name.GetEn()}} {
		if n := utf8.RuneCountInString(part.text); n > maxName {
			return rpcerr.Invalid(part.path, rpcerr.T(
				"it has %[1]d characters; give at most %[2]d",
				"现为 %[1]d 个字符；最多 %[2]d 个", n, maxName))
		}
	}
	return nil
}

// CheckParent refuses to put a department below itself. parents holds the department
// above each one, uuid.Nil at the top.
func CheckParent(id, parent uuid.UUID, parents map[uuid.UUID]uuid.UUID) error {
	// A tree has no way longer than its nodes; the bound ends even a broken one.
	for above, steps := parent, 0; above != uuid.Nil && steps <= len(parents); above, steps = parents[above], steps+1 {
		if above == id {
			return rpcerr.WrongState("DEPARTMENT_CYCLE", rpcerr.T(
				"Department %[1]s cannot stand below %[2]s, which is itself or below it; choose a department elsewhere in the tree.",
				"部门 %[1]s 不能隶属于 %[2]s，因为后者就是它本身或它的下级部门；请选择组织树中的其他部门。", id, parent)).
				With("parent_id", parent.String())
		}
	}
	return nil
}
