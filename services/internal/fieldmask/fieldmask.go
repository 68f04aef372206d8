// Package fieldmask applies update masks: which fields a PATCH changes.
package fieldmask

import (
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// ReasonInvalid is the reason of every refused mask.
const ReasonInvalid = "UPDATE_MASK_INVALID"

// Apply copies to dst the fields of src that the mask names; a field unset in
// src is cleared. A path may lead into a message (`address.city`). The path
// `etag` is passed over: over REST the mask is made of the body's fields, and an
// etag there is a condition and no value. Before it changes anything it refuses,
// with a public error naming the path, a mask without other paths, a path that
// does not exist or leads into a list or map, an output-only field, and the
// fields named in fixed, which identify the resource. dst and src are of one
// type.
func Apply(dst, src proto.Message, mask *fieldmaskpb.FieldMask, fixed ...string) error {
	paths := slices.DeleteFunc(slices.Clone(mask.GetPaths()), func(path string) bool { return path == "etag" })
	if len(paths) == 0 {
		return invalid("", rpcerr.T(
			"The update mask is empty; name at least one field to change.",
			"update_mask 为空；请至少指定一个要修改的字段。"))
	}
	for _, path := range paths {
		if err := check(dst.ProtoReflect().Descriptor(), path, fixed); err != nil {
			return err
		}
	}
	for _, path := range paths {
		set(dst.ProtoReflect(), src.ProtoReflect(), strings.Split(path, "."))
	}
	return nil
}

func check(message protoreflect.MessageDescriptor, path string, fixed []string) error {
	if slices.Contains(fixed, path) {
		return invalid(path, rpcerr.T(
			"The update mask names %[1]q, which identifies the resource and cannot be changed; leave it out.",
			"update_mask 包含 %[1]q，该字段用于标识资源，不能修改；请将其去掉。", path))
	}
	parts := strings.Split(path, ".")
	for i, name := range parts {
		field := message.Fields().ByName(protoreflect.Name(name))
		if field == nil {
			return invalid(path, rpcerr.T(
				"The update mask names %[1]q, which is no field of %[2]s; use the names of its fields.",
				"update_mask 包含 %[1]q，它不是 %[2]s 的字段；请使用其字段名。", path, message.Name()))
		}
		if outputOnly(field) {
			return invalid(path, rpcerr.T(
				"The update mask names %[1]q, which is output only; leave it out.",
				"update_mask 包含 %[1]q，该字段为只读；请将其去掉。", path))
		}
		if i == len(parts)-1 {
			return nil
		}
		if field.Message() == nil || field.IsList() || field.IsMap() {
			return invalid(path, rpcerr.T(
				"The update mask names %[1]q, but %[2]q has no fields of its own; name %[2]q as a whole.",
				"update_mask 包含 %[1]q，但 %[2]q 没有下级字段；请指定整个 %[2]q。", path, strings.Join(parts[:i+1], ".")))
		}
		message = field.Message()
	}
	return nil
}

func outputOnly(field protoreflect.FieldDescriptor) bool {
	behaviors, _ := proto.GetExtension(field.Options(), annotations.E_FieldBehavior).([]annotations.FieldBehavior)
	return slices.Contains(behaviors, annotations.FieldBehavior_OUTPUT_ONLY)
}

func set(dst, src protoreflect.Message, path []string) {
	field := dst.Descriptor().Fields().ByName(protoreflect.Name(path[0]))
	switch {
	case len(path) == 1 && src.Has(field):
		dst.Set(field, copied(src, field))
	case len(path) == 1:
		dst.Clear(field)
	case src.Has(field) || dst.Has(field):
		set(dst.Mutable(field).Message(), src.Get(field).Message(), path[1:])
	}
}

// copied keeps dst from sharing messages and lists with src.
func copied(src protoreflect.Message, field protoreflect.FieldDescriptor) protoreflect.Value {
	alone := src.New()
	alone.Set(field, src.Get(field))
	return proto.Clone(alone.Interface()).ProtoReflect().Get(field)
}

func invalid(path string, text rpcerr.Text) error {
	err := rpcerr.New(codes.InvalidArgument, ReasonInvalid, text).Field("update_mask", text)
	if path != "" {
		err = err.With("path", path)
	}
	return err
}
