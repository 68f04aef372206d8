package mask

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
)

// node is what the walker has to look at of a type of message, worked out once.
type node struct {
	fields []field
	// form is that of the generated type, nil where there is none such.
	form *form
	// any is set on google.protobuf.Any alone.
	any bool
	// sensitive tells that somewhere in such a message there may be a rule, and guarded that there
	// is one that asks for a permission to write.
	sensitive, guarded bool
}

// field has a rule, or messages that may have one.
type field struct {
	fd   protoreflect.FieldDescriptor
	rule *accessv1.DataRule
	sub  *node
}

const anyName = "google.protobuf.Any"

var nodes sync.Map // of *node by protoreflect.MessageDescriptor

func nodeOf(d protoreflect.MessageDescriptor) *node {
	if n, ok := nodes.Load(d); ok {
		return n.(*node)
	}
	reached := map[protoreflect.MessageDescriptor]*node{}
	root := reach(d, reached)
	// What reaches something sensitive is sensitive; types may reach each other in circles.
	for again := true; again; {
		again = false
		for _, n := range reached {
			for _, f := range n.fields {
				if !n.sensitive && (f.rule != nil || f.sub != nil && f.sub.sensitive) {
					n.sensitive, again = true, true
				}
				if !n.guarded && (f.rule.GetWritePermission() != "" || f.sub != nil && f.sub.guarded) {
					n.guarded, again = true, true
				}
			}
		}
	}
	for d, n := range reached {
		n.prune()
		n.form = formOf(d)
	}
	nodes.Store(d, root)
	return root
}

// reach makes the nodes of a type and of all it can hold.
func reach(d protoreflect.MessageDescriptor, reached map[protoreflect.MessageDescriptor]*node) *node {
	if n, ok := reached[d]; ok {
		return n
	}
	n := &node{any: d.FullName() == anyName}
	n.sensitive = n.any
	reached[d] = n
	for i := range d.Fields().Len() {
		f := field{fd: d.Fields().Get(i)}
		f.rule = Rule(f.fd)
		if held := holds(f.fd); held != nil {
			f.sub = reach(held, reached)
		}
		n.fields = append(n.fields, f)
	}
	return n
}

// holds is the type of the messages in a field, nil for none.
func holds(fd protoreflect.FieldDescriptor) protoreflect.MessageDescriptor {
	if fd.IsMap() {
		return fd.MapValue().Message()
	}
	return fd.Message()
}

// prune keeps the fields that matter.
func (n *node) prune() {
	var kept []field
	for _, f := range n.fields {
		if f.sub != nil && !f.sub.sensitive {
			f.sub = nil
		}
		if f.rule != nil || f.sub != nil {
			kept = append(kept, f)
		}
	}
	n.fields = kept
}

// Rule is the rule on a field, nil for none.
func Rule(fd protoreflect.FieldDescriptor) *accessv1.DataRule {
	if !proto.HasExtension(fd.Options(), accessv1.E_Data) {
		return nil
	}
	rule, _ := proto.GetExtension(fd.Options(), accessv1.E_Data).(*accessv1.DataRule)
	return rule
}

// Check fails on rules, of a type and of all it can hold, that cannot be kept: without a
// level, or with a mask on what is not text.
func Check(d protoreflect.MessageDescriptor) error {
	var problems []error
	reached := map[protoreflect.MessageDescriptor]*node{}
	reach(d, reached)
	for _, n := range reached {
		for _, f := range n.fields {
			switch {
			case f.rule == nil:
			case f.rule.GetLevel() == accessv1.Sensitivity_SENSITIVITY_UNSPECIFIED:
				problems = append(problems, fmt.Errorf("%s: its data rule has no level", f.fd.FullName()))
			case f.rule.GetMask() != accessv1.Mask_MASK_UNSPECIFIED && (f.fd.Kind() != protoreflect.StringKind || f.fd.IsMap()):
				problems = append(problems, fmt.Errorf("%s: its data rule masks what is not text", f.fd.FullName()))
			}
		}
	}
	return errors.Join(problems...)
}

// Find follows a dotted path from a message type to a field, nil if there is none.
func Find(d protoreflect.MessageDescriptor, path string) protoreflect.FieldDescriptor {
	var fd protoreflect.FieldDescriptor
	for part := range strings.SplitSeq(path, ".") {
		if d == nil {
			return nil
		}
		if fd = d.Fields().ByName(protoreflect.Name(part)); fd == nil {
			return nil
		}
		d = fd.Message()
	}
	return fd
}

// Guarded tells whether a message of the type, or one that it can hold, has a field that asks for a
// permission to be written. What an Any holds does not count.
func Guarded(d protoreflect.MessageDescriptor) bool { return nodeOf(d).guarded }

// Ruled calls visit for every field of m that is set and has a rule, with its path. What an
// Any holds is not visited.
func Ruled(m protoreflect.Message, visit func(path string, rule *accessv1.DataRule)) {
	ruled(m, nodeOf(m.Descriptor()), "", visit)
}

func ruled(m protoreflect.Message, n *node, prefix string, visit func(path string, rule *accessv1.DataRule)) {
	for _, f := range n.fields {
		if !m.Has(f.fd) {
			continue
		}
		path := prefix + string(f.fd.Name())
		if f.rule != nil {
			visit(path, f.rule)
		}
		if f.sub == nil {
			continue
		}
		switch v := m.Get(f.fd); {
		case f.fd.IsList():
			for i := range v.List().Len() {
				ruled(v.List().Get(i).Message(), f.sub, fmt.Sprintf("%s[%d].", path, i), visit)
			}
		case f.fd.IsMap():
			v.Map().Range(func(k protoreflect.MapKey, in protoreflect.Value) bool {
				ruled(in.Message(), f.sub, fmt.Sprintf("%s[%v].", path, k), visit)
				return true
			})
		default:
			ruled(v.Message(), f.sub, path+".", visit)
		}
	}
}
