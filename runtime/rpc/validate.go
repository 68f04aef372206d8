package rpc

import (
	"context"
	"fmt"
	"strings"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// NewValidator compiles the rules of every request that a linked service of ours
// takes, so that a rule that does not compile stops the start and no call waits
// for compilation.
func NewValidator() (protovalidate.Validator, error) {
	var requests []protoreflect.MessageDescriptor
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		if !strings.HasPrefix(string(f.Package()), "kefu.") {
			return true
		}
		for i := range f.Services().Len() {
			ms := f.Services().Get(i).Methods()
			for j := range ms.Len() {
				requests = append(requests, ms.Get(j).Input())
			}
		}
		return true
	})
	v, err := protovalidate.New(protovalidate.WithMessageDescriptors(requests...))
	if err != nil {
		return nil, fmt.Errorf("compile the validation rules: %w", err)
	}
	return v, nil
}

// Check validates any message by the rules of its proto, and that the database can
// hold its texts: a public INVALID_ARGUMENT that names every bad field, or nil.
// Handlers use it for what is not validated before: a resource merged from an update,
// a record of an import.
func Check(v protovalidate.Validator, m proto.Message) error {
	err := v.Validate(m)
	if err == nil {
		if path := unstorable(m.ProtoReflect()); path != "" {
			return rpcerr.Invalid(path, rpcerr.T("it contains the character U+0000; leave it out", "含有字符 U+0000；请删除"))
		}
		return nil
	}
	if e, ok := rpcerr.FromValidation(err); ok {
		return e
	}
	return fmt.Errorf("validate %s: %w", m.ProtoReflect().Descriptor().FullName(), err)
}

// unstorable gives the path of a text with a NUL character, "" where there is none.
// What the rules leave to the handler is left to it here too.
func unstorable(m protoreflect.Message) string {
	found := ""
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case left(fd):
		case fd.IsList() && fd.Kind() == protoreflect.StringKind, fd.IsList() && fd.Message() != nil:
			for i := range v.List().Len() {
				if found = unstorableValue(fd, v.List().Get(i), fmt.Sprintf("%s[%d]", fd.Name(), i)); found != "" {
					break
				}
			}
		case !fd.IsList() && !fd.IsMap():
			found = unstorableValue(fd, v, string(fd.Name()))
		}
		return found == ""
	})
	return found
}

func unstorableValue(fd protoreflect.FieldDescriptor, v protoreflect.Value, path string) string {
	switch {
	case fd.Message() != nil:
		if below := unstorable(v.Message()); below != "" {
			return path + "." + below
		}
	case fd.Kind() == protoreflect.StringKind && strings.ContainsRune(v.String(), 0):
		return path
	}
	return ""
}

// left tells whether the rules leave a field, or its items, to the handler.
func left(fd protoreflect.FieldDescriptor) bool {
	rules, ok := proto.GetExtension(fd.Options(), validate.E_Field).(*validate.FieldRules)
	return ok && (rules.GetIgnore() == validate.Ignore_IGNORE_ALWAYS ||
		rules.GetRepeated().GetItems().GetIgnore() == validate.Ignore_IGNORE_ALWAYS)
}

type validation struct{ validator protovalidate.Validator }

func (v validation) message(m any) error {
	msg, ok := m.(proto.Message)
	if !ok {
		return fmt.Errorf("validate: %T is not a proto message", m)
	}
	return Check(v.validator, msg)
}

func (v validation) unary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if err := v.message(req); err != nil {
		return nil, err
	}
	return next(ctx, req)
}

func (v validation) stream(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	return next(srv, &validStream{ServerStream: ss, validation: v})
}

type validStream struct {
	grpc.ServerStream
	validation validation
}

func (s *validStream) RecvMsg(m any) error {
	if err := s.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	return s.validation.message(m)
}
