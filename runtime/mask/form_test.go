package mask

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	_ "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	_ "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
)

// Every message of ours that has fields has a form: one without is masked by reflection on
// messages, five times as slow.
func TestGeneratedMessagesHaveForms(t *testing.T) {
	n := 0
	protoregistry.GlobalTypes.RangeMessages(func(mt protoreflect.MessageType) bool {
		d := mt.Descriptor()
		if !strings.HasPrefix(string(d.FullName()), "kefu.") || d.Fields().Len() == 0 {
			return true
		}
		n++
		if formOf(d) == nil {
			t.Errorf("%s has none", d.FullName())
		}
		return true
	})
	if n < 100 {
		t.Errorf("%d messages", n)
	}
}
