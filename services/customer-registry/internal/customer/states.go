package customer

import (
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// Origin is who set a value, when, and where it came from.
type Origin struct {
	Source customerv1.ValueSource
	Actor  string
	Time   time.Time
}

// States tells of each value of a file or contact where it came from. kept are the states of
// what was changed or verified since it was opened; everything else came with it.
func States(file proto.Message, opened Origin, kept *customerv1.FieldStates) *customerv1.FieldStates {
	known := byField(kept)
	out := &customerv1.FieldStates{}
	for _, field := range paths(file) {
		state := known[field]
		if state == nil {
			state = set(field, opened)
		}
		out.States = append(out.States, state)
	}
	return out
}

func byField(states *customerv1.FieldStates) map[string]*customerv1.FieldState {
	out := map[string]*customerv1.FieldState{}
	for _, state := range states.GetStates() {
		out[state.GetField()] = state
	}
	return out
}

func set(field string, by Origin) *customerv1.FieldState {
	return &customerv1.FieldState{Field: field, Source: by.Source, SetTime: timestamppb.New(by.Time), Setter: by.Actor}
}

// Changed gives the states to keep after changes: a value that changed has the origin of the
// change and is not verified, one that was removed has none.
func Changed(kept *customerv1.FieldStates, changes []Change, by Origin) *customerv1.FieldStates {
	known := byField(kept)
	for _, c := range changes {
		if c.After == "" {
			delete(known, c.Field)
			continue
		}
		known[c.Field] = set(c.Field, by)
	}
	return sorted(known)
}

// Verified gives the states to keep after values were verified. A field without a value is a
// fault.
func Verified(file proto.Message, opened Origin, kept *customerv1.FieldStates, fields []string, method string, by Origin) (*customerv1.FieldStates, []Fault) {
	known, values := byField(kept), Values(file)
	var faults []Fault
	for _, field := range fields {
		if values[field] == "" {
			faults = append(faults, Fault{"fields", rpcerr.T(
				"%[1]q has no value here; name fields of the fieldStates",
				"%[1]q 没有值；请填写 fieldStates 中列出的字段", field)})
			continue
		}
		state := set(field, opened)
		if known[field] != nil {
			state = proto.CloneOf(known[field])
		}
		state.Verified, state.Verifier, state.VerifyMethod = true, by.Actor, method
		state.VerifyTime = timestamppb.New(by.Time)
		known[field] = state
	}
	return sorted(known), faults
}

// Verifications tells for the history how fields were verified before, and how they are now.
func Verifications(before, after *customerv1.FieldStates, fields []string) []Change {
	was, is := byField(before), byField(after)
	var out []Change
	for _, field := range fields {
		out = append(out, Change{Field: field, Before: was[field].GetVerifyMethod(), After: is[field].GetVerifyMethod()})
	}
	return Below("verifications", out)
}

func sorted(known map[string]*customerv1.FieldState) *customerv1.FieldStates {
	out := &customerv1.FieldStates{}
	for _, field := range slices.Sorted(maps.Keys(known)) {
		out.States = append(out.States, known[field])
	}
	return out
}

// ReviewDue is when a file is to be reviewed that was right at an instant.
func ReviewDue(right time.Time, intervalDays int32) time.Time {
	return right.AddDate(0, 0, int(intervalDays))
}

// Retire judges whether a file may be retired.
func Retire(status customerv1.CustomerStatus) *rpcerr.Error {
	if status == customerv1.CustomerStatus_CUSTOMER_STATUS_RETIRED {
		return Retired()
	}
	return nil
}

// Restore judges whether a file may be taken into use again.
func Restore(status customerv1.CustomerStatus) *rpcerr.Error {
	if status != customerv1.CustomerStatus_CUSTOMER_STATUS_RETIRED {
		return rpcerr.WrongState("CUSTOMER_NOT_RETIRED", rpcerr.T(
			"The customer's file is in use; only a retired one can be restored.",
			"客户档案正在使用中；只有已停用的档案可以恢复。"))
	}
	return nil
}

// Retired refuses what only files in use allow.
func Retired() *rpcerr.Error {
	return rpcerr.WrongState("CUSTOMER_RETIRED", rpcerr.T(
		"The customer's file is retired; restore it first with POST /v1/customers/{id}:restore.",
		"客户档案已停用；请先通过 POST /v1/customers/{id}:restore 恢复。"))
}

// DecideReport judges whether a reported change may be applied or refused.
func DecideReport(state customerv1.ChangeReportState) *rpcerr.Error {
	if state == customerv1.ChangeReportState_CHANGE_REPORT_STATE_OPEN {
		return nil
	}
	return rpcerr.WrongState("CHANGE_REPORT_DECIDED", rpcerr.T(
		"The report is decided already (%[1]s); only an open one can be.",
		"该变更报告已处理（%[1]s）；只能处理未决的报告。", state))
}

// VerifiedPoints counts which of phone and e-mail are verified.
func VerifiedPoints(states *customerv1.FieldStates) int {
	n, known := 0, byField(states)
	for _, field := range []string{"phone", "email"} {
		if known[field].GetVerified() {
			n++
		}
	}
	return n
}
