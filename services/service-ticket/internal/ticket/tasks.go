package ticket

import (
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// Reasons of refusals about sub-tasks.
const (
	// ReasonTasksOpen refuses to resolve, close or merge a ticket with a required sub-task that is open.
	ReasonTasksOpen = "TICKET_TASKS_OPEN"
	// ReasonTaskState refuses to end a sub-task that has ended.
	ReasonTaskState = "TASK_WRONG_STATE"
)

// Counts tells whether a move waits for required sub-tasks, and asks how many are open. Closing
// looks again, so that a ticket that was resolved past them by a fault does not end with them.
func Counts(v Verb) bool { return v == Resolve || v == Merge || v == Confirm || v == Close }

func tasksText(n int) rpcerr.Text {
	return rpcerr.T("%[1]d required sub-tasks of the ticket are open; complete them, or take them back with a reason, first",
		"该工单有 %[1]d 个必需的子任务尚未完成；请先完成，或说明原因后撤销", n)
}

// tasksOpen refuses a move while required sub-tasks are open.
func tasksOpen(n int) error {
	return rpcerr.WrongState(ReasonTasksOpen, tasksText(n)).Clause("3.2-subtasks")
}

// tasksLeft refuses a record that ended with required sub-tasks that are not done.
func tasksLeft(n int) *rpcerr.Error {
	return rpcerr.New(codes.InvalidArgument, ReasonTasksOpen, tasksText(n)).With("field", "tasks").Clause("3.2-subtasks")
}

// Delegable refuses a new sub-task of a ticket that is resolved or ended, and a call-back of one
// that was cancelled or merged.
func Delegable(s State, kind ticketv1.TaskKind) error {
	if kind == ticketv1.TaskKind_TASK_KIND_CALL_BACK {
		if s != Cancelled && s != Merged {
			return nil
		}
		return wrongState(s, "createTask", []State{New, Triaged, Assigned, InProgress, Waiting, Resolved, Closed})
	}
	return Before(s, "createTask")
}

// DueAhead refuses a due time of a sub-task that has passed.
func DueAhead(field string, due, now time.Time) error {
	if due.After(now) {
		return nil
	}
	return rpcerr.Invalid(field, rpcerr.T(
		"%[1]s is not in the future; give a time after now, %[2]s",
		"%[1]s 不是将来的时间；请填写晚于当前 %[2]s 的时间", stamp(due), stamp(now)))
}

// Endable refuses to end or to change a sub-task that has ended.
func Endable(s ticketv1.TaskState) error {
	if s == ticketv1.TaskState_TASK_STATE_OPEN {
		return nil
	}
	name := strings.ToLower(strings.TrimPrefix(s.String(), "TASK_STATE_"))
	label := rpcerr.T("done", "已完成")
	if s == ticketv1.TaskState_TASK_STATE_CANCELLED {
		label = rpcerr.T("cancelled", "已撤销")
	}
	return rpcerr.WrongState(ReasonTaskState, rpcerr.T(
		"The task is %[1]s already; only an open one is completed, changed or taken back.",
		"该任务状态为“%[1]s”；只有未结束的任务才能完成、修改或撤销。", label)).With("state", name)
}
