package edge

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/grpc-ecosystem/grpc-gateway/v2/utilities"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// keptBody is a body that can be looked at again once transcoding has refused it.
type keptBody struct {
	io.Reader
	raw []byte
}

func (*keptBody) Close() error { return nil }

// explain says what of a request transcoding could not read: every field by its path as the
// caller wrote it, the value, and what would be right. It runs only after transcoding has
// failed, whose own texts are English and end at the first fault. Nil where it finds none.
func (t *routeTable) explain(r *http.Request) *rpcerr.Error {
	to := t.find(r.Method, r.URL.Path)
	if to == nil {
		return nil
	}
	var f faults
	if kept, ok := r.Body.(*keptBody); ok && to.body != nil {
		f.ofBody(to.body, kept.raw)
	}
	f.ofPath(to, r.URL.Path)
	f.ofQuery(to.request, r.URL.Query())
	if len(f) == 0 {
		return nil
	}
	return rpcerr.Fields(reasonBody, f...)
}

// faults are the fields of a request that cannot be read, in the order of the request.
type faults []rpcerr.BadField

func (f *faults) add(path string, text rpcerr.Text) {
	*f = append(*f, rpcerr.BadField{Path: path, Text: text})
}

// wrong adds a value that is not what it has to be.
func (f *faults) wrong(path string, right, is rpcerr.Text) {
	f.add(path, rpcerr.T("%[1]s; %[2]s.", "%[1]s，%[2]s。", right, is))
}

// full: enough was found for one answer.
func (f *faults) full() bool { return len(*f) >= rpcerr.MostFields }

// ofBody finds what a body has that its message has not. Whether a value can be read is
// always asked of protojson itself, so that the two cannot differ.
func (f *faults) ofBody(d protoreflect.MessageDescriptor, raw []byte) {
	if len(bytes.TrimSpace(raw)) == 0 || protojson.Unmarshal(raw, dynamicpb.NewMessage(d)) == nil {
		return
	}
	if !utf8.Valid(raw) {
		f.add("", rpcerr.T("the body is not UTF-8; send it in that encoding.", "请求体不是 UTF-8 编码；请使用 UTF-8。"))
		return
	}
	before := len(*f)
	if special(d) {
		f.wrong("", rightMessage(d), given(raw, false))
	} else {
		f.object(d, raw, "")
	}
	if len(*f) == before {
		f.add("", rpcerr.T("the body is not as /openapi.json describes it.", "请求体与 /openapi.json 的描述不符。"))
	}
}

// object walks the fields of a JSON object that stands for a message.
func (f *faults) object(d protoreflect.MessageDescriptor, raw []byte, path string) {
	seen, chosen := map[protoreflect.FieldNumber]string{}, map[protoreflect.FullName]string{}
	ok := members(raw, func(name string, value []byte) bool {
		at, fd := join(path, clip(name)), find(d, []string{name})
		if fd == nil {
			f.add(at, noSuchField(d, name))
			return !f.full()
		}
		if string(value) == "null" { // as if it were not given
			return true
		}
		if first, twice := seen[fd.Number()]; twice {
			f.add(at, rpcerr.T("it is given twice, first as %q; give it once.", "重复给出，前一处写作 %q；只能给出一次。", first))
		}
		seen[fd.Number()] = name
		if of := fd.ContainingOneof(); of != nil && !of.IsSynthetic() {
			if other, taken := chosen[of.FullName()]; taken && other != name {
				f.add(at, rpcerr.T("%[1]s is given as well; give only one of the two.", "同时给出了 %[1]s；两者只能给出其一。", other))
			}
			chosen[of.FullName()] = name
		}
		f.field(fd, value, at)
		return !f.full()
	})
	if !ok {
		f.wrong(path, rightMessage(d), given(raw, false))
	}
}

// field checks the value of a field, item by item where it has several.
func (f *faults) field(fd protoreflect.FieldDescriptor, raw []byte, path string) {
	switch {
	case fd.IsMap():
		seen := map[string]bool{}
		ok := members(raw, func(key string, value []byte) bool {
			at := path + "[" + strconv.Quote(clip(key)) + "]"
			if seen[key] {
				f.add(at, rpcerr.T("the key is given twice; give it once.", "该键重复给出；只能给出一次。"))
			}
			seen[key] = true
			if name, err := json.Marshal(key); err == nil && fd.MapKey().Kind() != protoreflect.BoolKind && !readable(fd.MapKey(), name) {
				f.wrong(at, right(fd.MapKey()), given(name, false))
			}
			f.item(fd.MapValue(), value, at)
			return !f.full()
		})
		if !ok {
			f.wrong(path, rpcerr.T("it must be an object, {…}", "必须是对象 {…}"), given(raw, false))
		}
	case fd.IsList():
		var items []json.RawMessage
		if json.Unmarshal(raw, &items) != nil || string(raw) == "null" {
			f.wrong(path, rpcerr.T("it must be a list, […]", "必须是列表 […]"), given(raw, fd.Kind() == protoreflect.StringKind))
			return
		}
		for i, item := range items {
			if f.full() {
				return
			}
			f.item(fd, item, fmt.Sprintf("%s[%d]", path, i))
		}
	default:
		f.value(fd, raw, path)
	}
}

// item checks an item of a list or a map, which, unlike a field, is not left out by null.
func (f *faults) item(fd protoreflect.FieldDescriptor, raw []byte, path string) {
	null := fd.Message() != nil && fd.Message().FullName() == "google.protobuf.Value" ||
		fd.Enum() != nil && fd.Enum().FullName() == "google.protobuf.NullValue"
	if string(raw) == "null" && !null {
		f.wrong(path, right(fd), given(raw, false))
		return
	}
	f.value(fd, raw, path)
}

// value checks one value.
func (f *faults) value(fd protoreflect.FieldDescriptor, raw []byte, path string) {
	if readable(fd, raw) {
		return
	}
	before := len(*f)
	if d := fd.Message(); d != nil && !special(d) {
		f.object(d, raw, path)
	}
	if len(*f) == before {
		f.wrong(path, right(fd), given(raw, fd.Kind() == protoreflect.StringKind || fd.Kind() == protoreflect.BytesKind))
	}
}

// readable asks protojson whether the field, or an item of it, takes the value.
func readable(fd protoreflect.FieldDescriptor, raw []byte) bool {
	body := append([]byte{'{'}, strconv.Quote(fd.JSONName())+":"...)
	if fd.IsList() {
		body = append(append(append(body, '['), raw...), ']')
	} else {
		body = append(body, raw...)
	}
	return protojson.Unmarshal(append(body, '}'), dynamicpb.NewMessage(fd.ContainingMessage())) == nil
}

// members walks an object's members until each says that it is enough; false for what is no
// object.
func members(raw []byte, each func(name string, value []byte) bool) bool {
	from := json.NewDecoder(bytes.NewReader(raw))
	if open, err := from.Token(); err != nil || open != json.Delim('{') {
		return false
	}
	for from.More() {
		key, err := from.Token()
		name, ok := key.(string)
		var value json.RawMessage
		if err != nil || !ok || from.Decode(&value) != nil || !each(name, value) {
			break
		}
	}
	return true
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// ofPath finds parameters in the path that cannot be read.
func (f *faults) ofPath(to *route, path string) {
	values := to.path.FindStringSubmatch(path)
	for i, name := range to.params {
		fd := find(to.request, strings.Split(name, "."))
		if fd == nil || f.full() || runtime.PopulateFieldFromPath(empty(to.request), name, values[i+1]) == nil {
			continue
		}
		f.wrong(name, right(fd), quoted(values[i+1]))
	}
}

// ofQuery finds parameters that are none or cannot be read.
func (f *faults) ofQuery(request protoreflect.MessageDescriptor, query url.Values) {
	seen := map[protoreflect.FieldDescriptor]string{}
	for _, key := range slices.Sorted(maps.Keys(query)) {
		if f.full() {
			return
		}
		fd := find(request, strings.Split(key, "."))
		if fd == nil {
			f.add(clip(key), noSuchParameter(request, key))
			continue
		}
		if first, twice := seen[fd]; twice {
			f.add(clip(key), rpcerr.T("it is given twice, first as %q; give it once.", "重复给出，前一处写作 %q；只能给出一次。", first))
		}
		seen[fd] = key
		f.parameter(request, fd, key, query[key])
	}
}

func (f *faults) parameter(request protoreflect.MessageDescriptor, fd protoreflect.FieldDescriptor, key string, values []string) {
	if fd.Message() != nil && !special(fd.Message()) {
		f.add(key, rpcerr.T("it has fields of its own; name one of them: %s.", "它自身包含字段；请指明其中之一：%s。", fieldNames(fd.Message(), key+".")))
		return
	}
	if len(values) > 1 && !fd.IsList() && !fd.IsMap() {
		f.add(key, rpcerr.T("it is given %d times; give it once.", "给出了 %d 次；只能给出一次。", len(values)))
		return
	}
	for _, value := range values {
		if (*runtime.DefaultQueryParser)(nil).Parse(empty(request), url.Values{key: {value}}, utilities.NewDoubleArray(nil)) == nil {
			continue
		}
		f.wrong(key, right(fd), quoted(value))
		return
	}
}

// empty is a message of the linked contracts.
func empty(d protoreflect.MessageDescriptor) proto.Message {
	known, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
	if err != nil {
		return dynamicpb.NewMessage(d)
	}
	return known.New().Interface()
}
