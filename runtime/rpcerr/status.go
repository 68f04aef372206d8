package rpcerr

import (
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"
)

// GRPCStatus gives the status in English, so that an *Error works wherever gRPC
// looks for one.
func (e *Error) GRPCStatus() *status.Status { return e.Status(English) }

// Status gives the public form: ErrorInfo, LocalizedMessage in lang ("zh-CN" or
// "en"), BadRequest where fields are at fault (its descriptions in lang), and
// RetryInfo where a time is known. The status message itself stays English: it
// is for developers and logs.
func (e *Error) Status(lang string) *status.Status {
	if lang != Chinese {
		lang = English
	}
	details := []protoadapt.MessageV1{
		protoadapt.MessageV1Of(&errdetails.ErrorInfo{
			Reason: e.reason, Domain: Domain, Metadata: e.metadata,
		}),
		protoadapt.MessageV1Of(&errdetails.LocalizedMessage{
			Locale: lang, Message: e.text.In(lang),
		}),
	}
	if len(e.violations) > 0 {
		bad := &errdetails.BadRequest{}
		for _, v := range e.violations {
			bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{
				Field: v.path, Description: v.text.In(lang), Reason: v.reason,
			})
		}
		details = append(details, protoadapt.MessageV1Of(bad))
	}
	if e.retryAfter > 0 {
		details = append(details, protoadapt.MessageV1Of(&errdetails.RetryInfo{
			RetryDelay: durationpb.New(e.retryAfter),
		}))
	}
	if id := e.metadata["request_id"]; id != "" {
		details = append(details, protoadapt.MessageV1Of(&errdetails.RequestInfo{RequestId: id}))
	}
	plain := status.New(e.code, e.text.EN)
	rich, err := plain.WithDetails(details...)
	if err != nil {
		// Only text that is not UTF-8 cannot be packed; the code still stands.
		return plain
	}
	return rich
}

// Info gives the ErrorInfo of an error received from a call, nil if it has none
// of our domain.
func Info(err error) *errdetails.ErrorInfo {
	s, ok := status.FromError(err)
	if !ok {
		return nil
	}
	for _, d := range s.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok && info.GetDomain() == Domain {
			return info
		}
	}
	return nil
}

// Reason gives the reason of an error received from a call, "" if it has none.
func Reason(err error) string {
	return Info(err).GetReason()
}
