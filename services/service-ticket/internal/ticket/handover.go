package ticket

import (
	"strings"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// TaskNeeds is what a sub-task asks of whoever takes it over, by what its ticket asks for: a
// call-back is a talk with the customer, other work is the owner's department's.
func TaskNeeds(kind ticketv1.TaskKind, of Needs) Needs {
	if kind == ticketv1.TaskKind_TASK_KIND_CALL_BACK {
		return Needs{Language: of.Language}
	}
	return Needs{}
}

// Reassignable refuses another owner for a sub-task that has ended.
func Reassignable(s ticketv1.TaskState) error {
	if s == ticketv1.TaskState_TASK_STATE_OPEN {
		return nil
	}
	name := strings.ToLower(strings.TrimPrefix(s.String(), "TASK_STATE_"))
	label := map[ticketv1.TaskState]string{
		ticketv1.TaskState_TASK_STATE_DONE: "已完成", ticketv1.TaskState_TASK_STATE_CANCELLED: "已撤销",
	}[s]
	return rpcerr.WrongState(ReasonTaskState, rpcerr.T(
		"The task is %[1]s; only an open one is handed over.", "该任务%[1]s；只有未结束的任务才能交接。",
		rpcerr.Text{EN: name, ZH: label})).With("state", name)
}
