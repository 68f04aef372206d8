package department

import (
	"strconv"

	"github.com/google/uuid"

	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// MaxMoved bounds the open tickets and sub-tasks that a successor takes over in one write.
const MaxMoved = 500

// Use counts what hangs on a department.
type Use struct {
	Members, Below, Tickets, Waiting, Tasks                    int32
	Routes, Hotlines, Rosters, Shifts, Stations, CannedAnswers int32
}

// part is one kind of what hangs on a department, in words.
type part struct {
	key  string
	n    int32
	text rpcerr.Text
}

func (u Use) parts() []part {
	all := []part{
		{"members", u.Members, rpcerr.T("%[1]d members", "成员 %[1]d 人", u.Members)},
		{"departments", u.Below, rpcerr.T("%[1]d departments below it", "下级部门 %[1]d 个", u.Below)},
		{"tickets", u.Tickets, rpcerr.T("%[1]d open tickets, %[2]d of them in the queue", "未结工单 %[1]d 张（其中待分配 %[2]d 张）", u.Tickets, u.Waiting)},
		{"tasks", u.Tasks, rpcerr.T("%[1]d open sub-tasks", "未结子任务 %[1]d 个", u.Tasks)},
		{"routes", u.Routes, rpcerr.T("%[1]d routes", "分派规则 %[1]d 条", u.Routes)},
		{"hotlines", u.Hotlines, rpcerr.T("%[1]d hotlines of its members", "成员负责的热线 %[1]d 条", u.Hotlines)},
		{"rosters", u.Rosters, rpcerr.T("%[1]d duty rosters with %[2]d shifts to come", "值班表 %[1]d 份（待值班次 %[2]d 个）", u.Rosters, u.Shifts)},
		{"stations", u.Stations, rpcerr.T("%[1]d service stations", "服务站 %[1]d 个", u.Stations)},
		{"canned_answers", u.CannedAnswers, rpcerr.T("%[1]d canned answers", "常用回复 %[1]d 条", u.CannedAnswers)},
	}
	out := all[:0]
	for _, p := range all {
		if p.n > 0 {
			out = append(out, p)
		}
	}
	return out
}

// CheckClose refuses to close a department on which something hangs without a successor, and one
// on which more hangs than is moved in one write.
func CheckClose(id uuid.UUID, u Use, successor bool) error {
	if successor {
		if n := u.Tickets + u.Tasks; n > MaxMoved {
			return rpcerr.WrongState("DEPARTMENT_TOO_FULL", rpcerr.T(
				"%[1]d open tickets and sub-tasks hang on department %[2]s; at most %[3]d go to a successor at once. Resolve, transfer or hand over some first.",
				"部门 %[2]s 尚有未结工单和子任务共 %[1]d 个；一次最多转入承接部门 %[3]d 个。请先解决、转派或交接一部分。", n, id, MaxMoved)).
				With("count", strconv.Itoa(int(n)))
		}
		return nil
	}
	parts := u.parts()
	if len(parts) == 0 {
		return nil
	}
	texts := make([]rpcerr.Text, len(parts))
	for i, p := range parts {
		texts[i] = p.text
	}
	text := rpcerr.T(
		"Department %[1]s cannot be closed without a successor while there are: %[2]s; give successor_id, the department that takes them over, or move them first.",
		"部门 %[1]s 尚有：%[2]s，不能直接撤销；请在 successor_id 中填写承接部门，或先将其转出。", id, rpcerr.List(texts...))
	err := rpcerr.WrongState("DEPARTMENT_IN_USE", text)
	for _, p := range parts {
		err = err.With(p.key, strconv.Itoa(int(p.n)))
	}
	return err.Field("successor_id", text)
}

// CheckState refuses to close what is closed, and to reopen what is open.
func CheckState(id uuid.UUID, closed, want bool) error {
	switch {
	case closed == want:
		return nil
	case closed:
		return rpcerr.WrongState("DEPARTMENT_CLOSED", rpcerr.T(
			"Department %[1]s is closed already; reopen it first to close it for another successor.",
			"部门 %[1]s 已撤销；如需更换承接部门，请先恢复该部门。", id))
	}
	return rpcerr.WrongState("DEPARTMENT_NOT_CLOSED", rpcerr.T(
		"Department %[1]s is open; only a closed one is reopened.", "部门 %[1]s 未撤销；只有已撤销的部门才能恢复。", id))
}

// CheckSuccessor refuses a department as its own successor.
func CheckSuccessor(id, successor uuid.UUID) error {
	if id != successor {
		return nil
	}
	return rpcerr.Invalid("successor_id", rpcerr.T(
		"%[1]s is the department itself; give another one that is open", "%[1]s 就是该部门本身；请填写其他未撤销的部门", id))
}

// Above gives where a department that stands below a closed one goes: below the successor; the
// successor itself, and what it stands below, to where the closed one stood. parents holds the
// department above each one.
func Above(child, closed, successor uuid.UUID, parents map[uuid.UUID]uuid.UUID) uuid.UUID {
	for at, steps := successor, 0; at != uuid.Nil && steps <= len(parents); at, steps = parents[at], steps+1 {
		if at == child {
			return parents[closed]
		}
	}
	return successor
}
