package mask

import (
	"strings"
	"testing"
	"unicode/utf8"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
)

// FuzzText: a mask leaves of a value no more than it says, whatever the value is, and what
// is masked stays as it is.
func FuzzText(f *testing.F) {
	for _, s := range []string{"+8613800135678", "13800135678", "+1", "+", "****", "+852 5123 4567 ext 9", "张三", "z", "zhang@jinggong.example", "@", "a@b@c.d", "\xff\xfe", "+861380013567812345678", "李四家里电话", "李四家里的电话号码"} {
		for how := range int32(5) {
			f.Add(s, how)
		}
	}
	f.Fuzz(func(t *testing.T, plain string, how int32) {
		kind := accessv1.Mask(how)
		out := Text(kind, plain)
		if again := Text(kind, out); kind != accessv1.Mask_MASK_NAME && again != out {
			t.Fatalf("%v: %q is masked as %q, and that as %q", kind, plain, out, again)
		}
		if utf8.ValidString(plain) && !utf8.ValidString(out) {
			t.Fatalf("%v: %q is masked as %q, which no message can hold", kind, plain, out)
		}
		shown := 0
		switch kind {
		case accessv1.Mask_MASK_PHONE:
			if strings.Contains(plain, "****") {
				return // masked already
			}
			for _, r := range strings.ReplaceAll(out, "*", "") {
				_ = r
				shown++
			}
			if plain != "" && (shown > 7 || !strings.Contains(out, "****")) {
				t.Fatalf("the phone %q is masked as %q", plain, out)
			}
		case accessv1.Mask_MASK_EMAIL:
			at := strings.LastIndex(plain, "@")
			if out == "" {
				return
			}
			_, first := utf8.DecodeRuneInString(plain)
			if out != plain[:first]+"***"+plain[at:] {
				t.Fatalf("the address %q is masked as %q", plain, out)
			}
		case accessv1.Mask_MASK_NAME:
			if plain != "" && utf8.RuneCountInString(out) != 3 {
				t.Fatalf("the name %q is masked as %q", plain, out)
			}
		default:
			if out != "" {
				t.Fatalf("%v shows %q of %q", kind, out, plain)
			}
		}
	})
}
