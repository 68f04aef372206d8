package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
)

// grpcurl is as much of the tool of that name as the tours use, so that they run where it is
// not installed: -cacert FILE -H HEADER -d MESSAGES ADDRESS SERVICE/METHOD.
func grpcurl(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("grpcurl", flag.ContinueOnError)
	ca := flags.String("cacert", "", "file of the authority that the server's certificate is of")
	header := flags.String("H", "", "name: value")
	messages := flags.String("d", "", "messages in JSON, one after another")
	if err := flags.Parse(args); err != nil {
		return err
	}
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(strings.ReplaceAll(flags.Arg(1), "/", ".")))
	if err != nil {
		return err
	}
	method, ok := found.(protoreflect.MethodDescriptor)
	if !ok {
		return fmt.Errorf("%s is no method", flags.Arg(1))
	}
	transport, err := credentials.NewClientTLSFromFile(*ca, "")
	if err != nil {
		return err
	}
	conn, err := grpc.NewClient(flags.Arg(0), grpc.WithTransportCredentials(transport))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	name, value, _ := strings.Cut(*header, ": ")
	stream, err := conn.NewStream(metadata.AppendToOutgoingContext(ctx, name, value),
		&grpc.StreamDesc{ClientStreams: method.IsStreamingClient(), ServerStreams: method.IsStreamingServer()}, "/"+flags.Arg(1))
	if err != nil {
		return err
	}
	if err := sendAll(stream, method.Input(), *messages); err != nil {
		return err
	}
	for {
		answer := dynamicpb.NewMessage(method.Output())
		if err := stream.RecvMsg(answer); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if _, err := fmt.Fprintln(out, protojson.Format(answer)); err != nil {
			return err
		}
	}
}

func sendAll(stream grpc.ClientStream, of protoreflect.MessageDescriptor, messages string) error {
	for from := json.NewDecoder(strings.NewReader(messages)); from.More(); {
		var one json.RawMessage
		if err := from.Decode(&one); err != nil {
			return err
		}
		message := dynamicpb.NewMessage(of)
		if err := protojson.Unmarshal(one, message); err != nil {
			return err
		}
		if err := stream.SendMsg(message); errors.Is(err, io.EOF) {
			break // the answer says why
		} else if err != nil {
			return err
		}
	}
	return stream.CloseSend()
}
