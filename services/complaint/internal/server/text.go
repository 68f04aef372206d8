package server

import (
	"errors"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protopath"
	"google.golang.org/protobuf/reflect/protorange"

	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// storable refuses text with a NUL character, which the database cannot hold.
func storable(m proto.Message) error {
	var refusal error
	err := protorange.Range(m.ProtoReflect(), func(v protopath.Values) error {
		last := v.Index(-1)
		if s, ok := last.Value.Interface().(string); ok && strings.ContainsRune(s, 0) {
			refusal = rpcerr.Invalid(strings.TrimPrefix(v.Path[1:].String(), "."), rpcerr.T(
				"it contains the character U+0000; leave it out", "含有字符 U+0000；请删除"))
			return protorange.Terminate
		}
		return nil
	})
	return errors.Join(refusal, err)
}
