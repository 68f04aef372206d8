// Command protodeps prints the third-party protos that our contracts import
// into one folder a module, read from the Go packages that link them. It needs
// neither a schema registry nor copies in the repository, and what it prints is
// the version that the generated code is linked with.
package main

import (
	"bytes"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/jhump/protoreflect/v2/protoprint"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	_ "buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	_ "github.com/grpc-ecosystem/grpc-gateway/v2/protoc-gen-openapiv3/options"
	_ "google.golang.org/genproto/googleapis/api/annotations"
	_ "google.golang.org/genproto/googleapis/api/httpbody"
	_ "google.golang.org/genproto/googleapis/api/visibility"
	_ "google.golang.org/genproto/googleapis/rpc/code"
	_ "google.golang.org/genproto/googleapis/rpc/errdetails"
	_ "google.golang.org/genproto/googleapis/rpc/status"
	_ "google.golang.org/genproto/googleapis/type/date"
	_ "google.golang.org/genproto/googleapis/type/dayofweek"
	_ "google.golang.org/genproto/googleapis/type/decimal"
	_ "google.golang.org/genproto/googleapis/type/interval"
	_ "google.golang.org/genproto/googleapis/type/latlng"
	_ "google.golang.org/genproto/googleapis/type/money"
	_ "google.golang.org/genproto/googleapis/type/phone_number"
	_ "google.golang.org/genproto/googleapis/type/postaladdress"
	_ "google.golang.org/genproto/googleapis/type/timeofday"
)

// modules maps the start of a proto's path to the folder of its module. The
// protobuf well-known types are absent on purpose: buf brings them itself.
var modules = []struct{ prefix, folder string }{
	{"google/api/", "googleapis"},
	{"google/rpc/", "googleapis"},
	{"google/type/", "googleapis"},
	{"protoc-gen-openapiv3/", "grpc-gateway"},
	{"buf/validate/", "protovalidate"},
}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: protodeps FOLDER, for instance: protodeps third_party")
	}
	if err := run(os.Args[1]); err != nil {
		log.Fatalf("protodeps: %v", err)
	}
}

func run(root string) error {
	for _, m := range modules {
		if err := os.RemoveAll(filepath.Join(root, m.folder)); err != nil {
			return fmt.Errorf("clear %s: %w", m.folder, err)
		}
	}
	var err error
	protoregistry.GlobalFiles.RangeFiles(func(fd protoreflect.FileDescriptor) bool {
		for _, m := range modules {
			if strings.HasPrefix(fd.Path(), m.prefix) {
				err = write(filepath.Join(root, m.folder, filepath.FromSlash(fd.Path())), fd)
			}
		}
		return err == nil
	})
	return err
}

func write(path string, fd protoreflect.FileDescriptor) error {
	var source bytes.Buffer
	printer := protoprint.Printer{SortElements: true}
	if err := printer.PrintProtoFile(fd, &source); err != nil {
		return fmt.Errorf("print %s: %w", fd.Path(), err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("make folder of %s: %w", path, err)
	}
	if err := os.WriteFile(path, source.Bytes(), 0o644); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
