package server

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// effective reads from when on something shall hold: now unless given, and never earlier.
func effective(field string, given *timestamppb.Timestamp, now time.Time) (time.Time, error) {
	if given == nil {
		return now, nil
	}
	if err := given.CheckValid(); err != nil {
		return time.Time{}, rpcerr.Invalid(field, rpcerr.T(
			"it is not a valid time; give one like 2026-11-02T09:00:00Z", "时间无效；请填写如 2026-11-02T09:00:00Z 的时间"))
	}
	at := given.AsTime().Truncate(time.Microsecond)
	if at.Before(now) {
		return time.Time{}, rpcerr.Invalid(field, rpcerr.T(
			"%[1]s is in the past; give a time from now, %[2]s, on", "%[1]s 已过去；请填写不早于当前 %[2]s 的时间",
			at.Format(time.RFC3339), now.Format(time.RFC3339)))
	}
	return at, nil
}
