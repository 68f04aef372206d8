package customerref_test

import (
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// badRequest gives the paths an error blames.
func badRequest(err *rpcerr.Error) []string {
	var out []string
	for _, d := range err.GRPCStatus().Details() {
		if bad, ok := d.(*errdetails.BadRequest); ok {
			for _, v := range bad.GetFieldViolations() {
				out = append(out, v.GetField())
			}
		}
	}
	return out
}
