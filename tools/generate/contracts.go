package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

const accessOption = "kefu.access.v1.access"

// contracts are what the document says beyond the plugin's fragments.
type contracts struct {
	// public has the operation ids of the methods whose access rule says public.
	public map[string]bool
	// emitted has, by message, the JSON names of the fields that an answer always
	// carries, because their zero value is written too.
	emitted map[string][]string
}

// readContracts reads the contracts themselves and not the Go code made of them,
// which may not be generated yet.
func readContracts(ctx context.Context) (*contracts, error) {
	var image bytes.Buffer
	build := exec.CommandContext(ctx, "buf", "build", "-o", "-", "--as-file-descriptor-set", "--exclude-source-info")
	build.Stdout, build.Stderr = &image, os.Stderr
	if err := build.Run(); err != nil {
		return nil, fmt.Errorf("buf build: %w", err)
	}
	var plain, typed descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(image.Bytes(), &plain); err != nil {
		return nil, fmt.Errorf("read descriptors: %w", err)
	}
	files, err := protodesc.NewFiles(&plain)
	if err != nil {
		return nil, fmt.Errorf("link descriptors: %w", err)
	}
	if _, err := files.FindDescriptorByName(accessOption); err != nil {
		return nil, fmt.Errorf("find method option %s: %w", accessOption, err)
	}
	// Read again, now that the descriptors themselves say what the options are.
	types := proto.UnmarshalOptions{Resolver: dynamicpb.NewTypes(files)}
	if err := types.Unmarshal(image.Bytes(), &typed); err != nil {
		return nil, fmt.Errorf("read options: %w", err)
	}
	return &contracts{public: publicMethods(&typed), emitted: emittedFields(files)}, nil
}

func publicMethods(set *descriptorpb.FileDescriptorSet) map[string]bool {
	public := map[string]bool{}
	for _, file := range set.GetFile() {
		for _, service := range file.GetService() {
			for _, method := range service.GetMethod() {
				if isPublic(method.GetOptions()) {
					public[service.GetName()+"_"+method.GetName()] = true
				}
			}
		}
	}
	return public
}

func isPublic(options *descriptorpb.MethodOptions) bool {
	public := false
	options.ProtoReflect().Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		if field.FullName() == accessOption {
			rule := value.Message()
			flag := rule.Descriptor().Fields().ByName("public")
			public = flag != nil && rule.Get(flag).Bool()
		}
		return true
	})
	return public
}

// emittedFields: the gateway writes zero values, which only fields without presence
// have; messages, members of a oneof and optional fields are left out where unset.
func emittedFields(files *protoregistry.Files) map[string][]string {
	emitted := map[string][]string{}
	files.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		messages := file.Messages()
		for i := range messages.Len() {
			message := messages.Get(i)
			name := string(message.FullName())
			if strings.HasPrefix(name, "google.protobuf.") {
				continue // JSON forms of their own
			}
			fields := message.Fields()
			for j := range fields.Len() {
				if field := fields.Get(j); !field.HasPresence() {
					emitted[name] = append(emitted[name], field.JSONName())
				}
			}
		}
		return true
	})
	return emitted
}
