package authz

import (
	"testing"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// method is a method of a contract made for a test; a nil rule is none.
type method struct {
	name string
	rule *accessv1.AccessRule
}

// ruled are the options of a field with a data rule.
func ruled(rule *accessv1.DataRule) *descriptorpb.FieldOptions {
	o := &descriptorpb.FieldOptions{}
	proto.SetExtension(o, accessv1.E_Data, rule)
	return o
}

// contract builds the service <pkg>.Widgets with these methods. Every request has the
// fields id, purpose, update_mask and widget (with customer_id, and owner and phone under
// data rules).
func contract(t testing.TB, pkg string, methods ...method) protoreflect.FileDescriptor {
	t.Helper()
	text, msg := descriptorpb.FieldDescriptorProto_TYPE_STRING, descriptorpb.FieldDescriptorProto_TYPE_MESSAGE
	one := descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL
	file := &descriptorpb.FileDescriptorProto{
		Name: proto.String(pkg + "/widgets.proto"), Package: proto.String(pkg), Syntax: proto.String("proto3"),
		Dependency: []string{"google/protobuf/field_mask.proto"},
		MessageType: []*descriptorpb.DescriptorProto{
			{Name: proto.String("Widget"), Field: []*descriptorpb.FieldDescriptorProto{
				{Name: proto.String("customer_id"), Number: proto.Int32(1), Type: &text, Label: &one},
				{Name: proto.String("owner"), Number: proto.Int32(2), Type: &text, Label: &one, Options: ruled(&accessv1.DataRule{
					Level: accessv1.Sensitivity_SENSITIVITY_INTERNAL, Mask: accessv1.Mask_MASK_NAME, Purpose: "repair"})},
				{Name: proto.String("phone"), Number: proto.Int32(3), Type: &text, Label: &one, Options: ruled(&accessv1.DataRule{
					Level: accessv1.Sensitivity_SENSITIVITY_CONFIDENTIAL, Mask: accessv1.Mask_MASK_PHONE, Purpose: "repair",
					WritePermission: "phones.write"})}}},
			{Name: proto.String("Request"), Field: []*descriptorpb.FieldDescriptorProto{
				{Name: proto.String("id"), Number: proto.Int32(1), Type: &text, Label: &one},
				{Name: proto.String("widget"), Number: proto.Int32(2), Type: &msg, Label: &one, TypeName: proto.String("." + pkg + ".Widget")},
				{Name: proto.String("purpose"), Number: proto.Int32(3), Type: &text, Label: &one},
				{Name: proto.String("update_mask"), Number: proto.Int32(4), Type: &msg, Label: &one, TypeName: proto.String(".google.protobuf.FieldMask")}}},
		},
	}
	service := &descriptorpb.ServiceDescriptorProto{Name: proto.String("Widgets")}
	for _, m := range methods {
		d := &descriptorpb.MethodDescriptorProto{Name: proto.String(m.name),
			InputType: proto.String("." + pkg + ".Request"), OutputType: proto.String("." + pkg + ".Widget")}
		if m.rule != nil {
			d.Options = &descriptorpb.MethodOptions{}
			proto.SetExtension(d.Options, accessv1.E_Access, m.rule)
		}
		service.Method = append(service.Method, d)
	}
	file.Service = append(file.Service, service)
	fd, err := protodesc.NewFile(file, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

// registered puts the contract where a server's would be; pkg must be used once.
func registered(t testing.TB, pkg string, methods ...method) map[string]grpc.ServiceInfo {
	t.Helper()
	fd := contract(t, pkg, methods...)
	if err := protoregistry.GlobalFiles.RegisterFile(fd); err != nil {
		t.Fatal(err)
	}
	info := grpc.ServiceInfo{}
	for _, m := range methods {
		info.Methods = append(info.Methods, grpc.MethodInfo{Name: m.name})
	}
	return map[string]grpc.ServiceInfo{pkg + ".Widgets": info}
}
