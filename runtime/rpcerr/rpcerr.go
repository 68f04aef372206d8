// Package rpcerr is the vocabulary of errors that callers may see.
//
// An *Error is public and final: whatever stands in it leaves the process, in
// both languages. Every other error is private, and the boundary interceptor of
// package rpc turns it into INTERNAL. So a handler decides what a caller learns
// by the kind of error it returns, and by nothing else.
package rpcerr

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
)

// Domain stands in every ErrorInfo: the reasons are stable within it.
const Domain = "kefu"

// The languages of public texts, as they stand in LocalizedMessage.
const (
	Chinese = "zh-CN"
	English = "en"
)

// Reasons that more than one package gives.
const (
	ReasonValidation = "VALIDATION_FAILED"
	ReasonStale      = "ETAG_MISMATCH"
	ReasonDependency = "DEPENDENCY_UNAVAILABLE"
	ReasonInternal   = "INTERNAL"
	ReasonDeadline   = "DEADLINE_EXCEEDED"
	ReasonCanceled   = "CANCELED"
	ReasonRate       = "RATE_LIMITED"
	ReasonOverloaded = "OVERLOADED"
	ReasonTooLarge   = "MESSAGE_TOO_LARGE"
	ReasonNotServed  = "METHOD_NOT_SERVED"
)

// Text is one sentence in both languages. It says what was wrong, with which
// value, and what would be right; it never holds personal data.
type Text struct{ EN, ZH string }

// T formats both languages with the same arguments, of which a Text, e.g. the name of a
// state, stands in each in that language; where their order differs use indexed verbs (%[1]s).
func T(en, zh string, args ...any) Text {
	if len(args) == 0 {
		return Text{EN: en, ZH: zh}
	}
	inEN, inZH := slices.Clone(args), slices.Clone(args)
	for i, a := range args {
		if t, ok := a.(Text); ok {
			inEN[i], inZH[i] = t.EN, t.ZH
		}
	}
	return Text{EN: fmt.Sprintf(en, inEN...), ZH: fmt.Sprintf(zh, inZH...)}
}

// List puts texts one after another with commas.
func List(texts ...Text) Text {
	var all Text
	for i, t := range texts {
		if i > 0 {
			all = Text{EN: all.EN + ", ", ZH: all.ZH + "、"}
		}
		all = Text{EN: all.EN + t.EN, ZH: all.ZH + t.ZH}
	}
	return all
}

// In gives the text in lang, English for every language but Chinese.
func (t Text) In(lang string) string {
	if lang == Chinese {
		return t.ZH
	}
	return t.EN
}

// violation is one bad field of a request.
type violation struct {
	path   string
	reason string
	text   Text
}

// Error is an error made for the caller. It is immutable: With, Field, Clause
// and RetryAfter give a changed copy, so one value may be shared.
type Error struct {
	code       codes.Code
	reason     string
	text       Text
	metadata   map[string]string
	violations []violation
	retryAfter time.Duration
}

// New makes a public error. The reason is UPPER_SNAKE_CASE and stable: clients
// branch on it.
func New(code codes.Code, reason string, text Text) *Error {
	return &Error{code: code, reason: reason, text: text}
}

// Error gives the English text with code and reason, for logs.
func (e *Error) Error() string {
	s := fmt.Sprintf("%s (%s): %s", e.code, e.reason, e.text.EN)
	for _, v := range e.violations {
		if v.text.EN != e.text.EN {
			s += "; " + v.path + ": " + v.text.EN
		}
	}
	return s
}

// Code is the gRPC code of the error.
func (e *Error) Code() codes.Code { return e.code }

// Reason is the stable reason of the error.
func (e *Error) Reason() string { return e.reason }

// Text is the sentence in both languages.
func (e *Error) Text() Text { return e.text }

// clone copies the error so that a shared one is never changed.
func (e *Error) clone() *Error {
	c := *e
	c.metadata = maps.Clone(e.metadata)
	c.violations = slices.Clone(e.violations)
	return &c
}

// With adds one entry to the ErrorInfo metadata.
func (e *Error) With(key, value string) *Error {
	c := e.clone()
	if c.metadata == nil {
		c.metadata = map[string]string{}
	}
	c.metadata[key] = value
	return c
}

// Field adds a BadRequest violation for the field at path. The path is written
// as in the proto (`ticket.customer_id`); the gateway translates it for JSON.
func (e *Error) Field(path string, text Text) *Error {
	return e.field(violation{path: path, text: text})
}

func (e *Error) field(v violation) *Error {
	c := e.clone()
	c.violations = append(c.violations, v)
	return c
}

// Clause names the clause of the company's policy that refused (metadata "clause").
func (e *Error) Clause(id string) *Error { return e.With("clause", id) }

// RetryAfter tells the caller when to try again (RetryInfo).
func (e *Error) RetryAfter(d time.Duration) *Error {
	c := e.clone()
	c.retryAfter = d
	return c
}

// Invalid says that one field of the request is wrong.
func Invalid(field string, text Text) *Error {
	return New(codes.InvalidArgument, ReasonValidation, Text{
		EN: lead("The request is not valid: ", ": ", field, text.EN),
		ZH: lead("请求无效：", "：", field, text.ZH),
	}).Field(field, text)
}

// NotFound says that no object of that kind has the id. The kind is a word in
// lower case ("ticket", "service standard"), the reason <KIND>_NOT_FOUND.
func NotFound(kind, id string) *Error {
	return New(codes.NotFound, upper(kind)+"_NOT_FOUND", T(
		"There is no %[1]s with id %[2]q; use an id that a list or a create call gave.",
		"没有 id 为 %[2]q 的对象（%[1]s）；请使用列表或创建接口返回的 id。", kind, id)).
		With("kind", kind).With("id", id)
}

// Exists says that another object of that kind already holds the value in the
// field; the reason is <KIND>_EXISTS. Give "" for a value that is personal data:
// it then stays out of the text.
func Exists(kind, field, value string) *Error {
	text := T("Another %[1]s already has this %[2]s; give a different one or update the existing %[1]s.",
		"已有其他对象（%[1]s）使用该 %[2]s；请换一个值，或更新已有的对象。", kind, field)
	if value != "" {
		text = T("Another %[1]s already has %[2]s %[3]q; give a different one or update the existing %[1]s.",
			"已有其他对象（%[1]s）的 %[2]s 为 %[3]q；请换一个值，或更新已有的对象。", kind, field, value)
	}
	return New(codes.AlreadyExists, upper(kind)+"_EXISTS", text).With("kind", kind).With("field", field)
}

// WrongState says that the object's state forbids the call.
func WrongState(reason string, text Text) *Error {
	return New(codes.FailedPrecondition, reason, text)
}

// Stale says that the caller's etag is not the object's present one.
func Stale(kind, id string) *Error {
	return New(codes.Aborted, ReasonStale, T(
		"The %[1]s %[2]s was changed after you read it; read it again and repeat the change with its new etag.",
		"对象（%[1]s）%[2]s 在您读取之后已被修改；请重新读取，并用新的 etag 再次提交。", kind, id)).
		With("kind", kind).With("id", id)
}

// Denied says that the caller has no right to the call.
func Denied(reason string, text Text) *Error {
	return New(codes.PermissionDenied, reason, text)
}

// Unauthenticated says that the caller did not prove who they are.
func Unauthenticated(reason string, text Text) *Error {
	return New(codes.Unauthenticated, reason, text)
}

// Unavailable says that something this process needs cannot be reached; the
// same call may succeed later. The dependency is a plain name ("database").
func Unavailable(dependency string) *Error {
	return New(codes.Unavailable, ReasonDependency, T(
		"The service cannot reach %[1]s at the moment; try again shortly.",
		"服务暂时无法访问 %[1]s，请稍后重试。", dependency)).
		With("dependency", dependency)
}

// Exhausted says that a limit was met and when it is worth trying again.
func Exhausted(reason string, retryAfter time.Duration, text Text) *Error {
	return New(codes.ResourceExhausted, reason, text).RetryAfter(retryAfter)
}

// upper turns a kind into the head of a reason: "service standard" → SERVICE_STANDARD.
func upper(kind string) string {
	return strings.ToUpper(strings.NewReplacer(" ", "_", "-", "_").Replace(kind))
}
