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
