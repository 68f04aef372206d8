package rpc

import (
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
)

// methods remembers what the descriptors say of each method.
type methods struct{ known sync.Map }

// method is what interceptors need to know of a method. A method that no linked
// descriptor describes has no rule.
type method struct {
	descriptor protoreflect.MethodDescriptor
	rule       *accessv1.AccessRule
}

// bulk tells methods that carry many records and may be large and slow.
func (m method) bulk() bool { return m.rule.GetRate() == accessv1.RateClass_RATE_CLASS_BULK }

// of looks up a full method name as grpc writes it: /package.Service/Method.
func (c *methods) of(full string) method {
	if m, ok := c.known.Load(full); ok {
		return m.(method)
	}
	var m method
	name := protoreflect.FullName(strings.ReplaceAll(strings.TrimPrefix(full, "/"), "/", "."))
	if d, err := protoregistry.GlobalFiles.FindDescriptorByName(name); err == nil {
		if md, ok := d.(protoreflect.MethodDescriptor); ok {
			m.descriptor = md
			m.rule, _ = proto.GetExtension(md.Options(), accessv1.E_Access).(*accessv1.AccessRule)
			c.known.Store(full, m)
		}
	}
	return m
}

// own reports whether the method belongs to grpc itself (health, reflection).
// Those have no rule, no request id and no texts of ours.
func own(full string) bool {
	return strings.HasPrefix(full, "/grpc.health.v1.") || strings.HasPrefix(full, "/grpc.reflection.")
}

// endless reports whether a server stream ends only when somebody ends it.
func endless(full string) bool {
	name := full[strings.LastIndexByte(full, '/')+1:]
	return strings.HasPrefix(name, "Stream") || strings.HasPrefix(name, "Watch")
}
