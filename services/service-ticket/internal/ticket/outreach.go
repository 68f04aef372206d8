package ticket

import (
	"unicode/utf8"

	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// CheckRange refuses a range of serial numbers that is none: both ends are given or neither,
// they are of one length, and the first is not behind the last.
func CheckRange(from, to string) error {
	if (from == "") != (to == "") {
		return rpcerr.Invalid("notice.serial_to", rpcerr.T(
			"a range has a first and a last serial number; give both, or neither for all of the model",
			"序列号范围须同时填写起止；请同时填写，或都不填写以表示整个型号"))
	}
	if utf8.RuneCountInString(from) != utf8.RuneCountInString(to) || from > to {
		return rpcerr.Invalid("notice.serial_to", rpcerr.T(
			"%[1]q to %[2]q is no range: both ends have one length, and the first is not behind the last",
			"%[1]q 至 %[2]q 不是有效范围：起止序列号长度须相同，且起始不得大于结束", from, to))
	}
	return nil
}

// CheckWider refuses a range of serial numbers that does not hold another one.
func CheckWider(from, to, heldFrom, heldTo string) error {
	n := utf8.RuneCountInString
	if heldFrom == "" {
		return rpcerr.Invalid("serial_to", rpcerr.T(
			"the notice is of all of the model; leave the range out", "该通知针对整个型号；请不要填写序列号范围"))
	}
	if n(from) != n(heldFrom) || n(to) != n(heldTo) || from > heldFrom || to < heldTo {
		return rpcerr.Invalid("serial_to", rpcerr.T(
			"%[1]q to %[2]q does not hold the present range, %[3]q to %[4]q; give ends of the same length that do",
			"%[1]q 至 %[2]q 未包含现有范围 %[3]q 至 %[4]q；请填写长度相同且包含现有范围的起止序列号", from, to, heldFrom, heldTo))
	}
	return nil
}
