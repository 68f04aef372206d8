package testkit

import (
	"context"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/mask"
)

// mostAnswers bounds the messages that a test keeps.
const mostAnswers = 20_000

// answers fails the test where a handler answers with a message that was in an answer before:
// what a caller may not see is taken out of the message itself ([authz.Guard]), and would be
// gone for the next. It looks at the messages of unary calls that have a field under a rule, as the
// caller gets them.
type answers struct {
	*authn.Authenticator
	t testing.TB

	mu sync.Mutex
	// given keeps the messages, so that none is mistaken for one that was where it is.
	given map[proto.Message]string
	ruled map[protoreflect.MessageDescriptor]bool
}

func newAnswers(t testing.TB, of *authn.Authenticator) *answers {
	return &answers{Authenticator: of, t: t, given: map[proto.Message]string{}, ruled: map[protoreflect.MessageDescriptor]bool{}}
}

// Unary is that of the authenticator, and looks at the answer behind it.
func (a *answers) Unary() grpc.UnaryServerInterceptor {
	inner := a.Authenticator.Unary()
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		resp, err := inner(ctx, req, info, next)
		if m, ok := resp.(proto.Message); ok && err == nil {
			a.mu.Lock()
			defer a.mu.Unlock()
			in := map[proto.Message]bool{}
			a.look(m.ProtoReflect(), info.FullMethod, in)
			for m := range in {
				a.given[m] = info.FullMethod
			}
		}
		return resp, err
	}
}

// look goes through an answer; in gets what is in it.
func (a *answers) look(m protoreflect.Message, method string, in map[proto.Message]bool) {
	if !m.IsValid() || len(a.given)+len(in) > mostAnswers {
		return
	}
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.IsMap() && fd.MapValue().Message() != nil:
			v.Map().Range(func(_ protoreflect.MapKey, one protoreflect.Value) bool {
				a.look(one.Message(), method, in)
				return true
			})
		case fd.IsList() && fd.Message() != nil:
			for i := range v.List().Len() {
				a.look(v.List().Get(i).Message(), method, in)
			}
		case !fd.IsMap() && fd.Message() != nil:
			a.look(v.Message(), method, in)
		}
		return true
	})
	if !a.hasRule(m.Descriptor()) {
		return
	}
	one := m.Interface()
	if before := a.given[one]; before != "" {
		a.t.Errorf("%s answers with a %s that an answer of %s held", method, m.Descriptor().FullName(), before)
	}
	in[one] = true
}

func (a *answers) hasRule(d protoreflect.MessageDescriptor) bool {
	has, known := a.ruled[d]
	if !known {
		for i := range d.Fields().Len() {
			has = has || mask.Rule(d.Fields().Get(i)) != nil
		}
		a.ruled[d] = has
	}
	return has
}
