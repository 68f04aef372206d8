package mask

import (
	"slices"

	"google.golang.org/protobuf/reflect/protoreflect"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
)

// plan is what has to be done with a type of message before somebody may see it.
type plan struct {
	// steps are the fields that are hidden, and those that may hold such.
	steps []step
	form  *form // of the node
	// any is set on google.protobuf.Any alone.
	any bool
	// hides tells that somewhere in such a message there may be something to hide.
	hides bool
}

// step is done with a field that is set: with sub its messages are walked, else it is
// cleared, or masked.
type step struct {
	fd    protoreflect.FieldDescriptor
	sub   *plan
	masks bool
	how   accessv1.Mask
	// held and at are as what and where the form has the field.
	held holder
	at   uintptr
}

func (s *Sight) plan(d protoreflect.MessageDescriptor) *plan {
	if p, ok := s.plans.Load(d); ok {
		return p.(*plan)
	}
	made := map[*node]*plan{}
	root := s.make(nodeOf(d), made)
	// As with nodes: types may hold each other in circles.
	for again := true; again; {
		again = false
		for _, p := range made {
			for _, f := range p.steps {
				if !p.hides && (f.sub == nil || f.sub.hides) {
					p.hides, again = true, true
				}
			}
		}
	}
	for _, p := range made {
		p.steps = slices.DeleteFunc(p.steps, func(f step) bool { return f.sub != nil && !f.sub.hides })
	}
	s.plans.Store(d, root)
	return root
}

// make makes the plans of a node and of all it holds.
func (s *Sight) make(n *node, made map[*node]*plan) *plan {
	if p, ok := made[n]; ok {
		return p
	}
	p := &plan{form: n.form, any: n.any, hides: n.any}
	made[n] = p
	for _, f := range n.fields {
		view := Shown
		if f.rule != nil {
			view = s.see(f.rule)
		}
		switch {
		case view == Masked && f.fd.Kind() == protoreflect.StringKind && !f.fd.IsMap():
			p.steps = append(p.steps, step{fd: f.fd, masks: true, how: f.rule.GetMask()})
		case view != Shown:
			p.steps = append(p.steps, step{fd: f.fd})
		case f.sub != nil:
			p.steps = append(p.steps, step{fd: f.fd, sub: s.make(f.sub, made)})
		}
	}
	for i := range p.steps {
		f := &p.steps[i]
		f.held, f.at = p.form.holder(f)
	}
	return p
}

// hide leaves of a text what its mask leaves, and nothing of anything else.
func (f *step) hide(m protoreflect.Message) {
	switch {
	case !f.masks:
		m.Clear(f.fd)
	case !f.fd.IsList():
		m.Set(f.fd, protoreflect.ValueOfString(Text(f.how, m.Get(f.fd).String())))
	default:
		given, list := m.Get(f.fd).List(), m.NewField(f.fd).List()
		for i := range given.Len() {
			if left := Text(f.how, given.Get(i).String()); left != "" {
				list.Append(protoreflect.ValueOfString(left))
			}
		}
		m.Set(f.fd, protoreflect.ValueOfList(list))
	}
}
