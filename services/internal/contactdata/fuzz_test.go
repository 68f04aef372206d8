package contactdata_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/kefu-suite/kefu/services/internal/contactdata"
)

var e164 = regexp.MustCompile(`^\+[1-9][0-9]{3,16}$`)

// FuzzPhone: what comes out is E.164 and is its own normal form, so that a phone is found in
// whichever form it was given; a fault never quotes the value.
func FuzzPhone(f *testing.F) {
	for _, s := range []string{"138 0013 8000", "+86-138-0013-8000", "(021) 6888 1234", "0086 13800138000", "＋８６１３８００１３８０００", "110", "+1 650 253 0000 ext. 3", "tel:+4930123456;phone-context=+49", "+", "\x00", "1e9"} {
		f.Add(s, "CN")
		f.Add(s, "DE")
	}
	f.Fuzz(func(t *testing.T, given, region string) {
		phone, bad := contactdata.Phone(given, region)
		if bad != nil {
			_, known := contactdata.Phone("nonsense", region) // which holds an example
			if len(given) > 8 && strings.Contains(bad.EN+bad.ZH, given) && !strings.Contains(known.EN+known.ZH, given) {
				t.Fatalf("the fault quotes %q", given)
			}
			return
		}
		if phone == "" {
			if strings.TrimSpace(given) != "" {
				t.Fatalf("%q is nothing", given)
			}
			return
		}
		if !e164.MatchString(phone) {
			t.Fatalf("%q in %q is %q", given, region, phone)
		}
		if again, bad := contactdata.Phone(phone, "CN"); bad != nil || again != phone {
			t.Fatalf("%q is %q, and that %q (%v)", given, phone, again, bad)
		}
	})
}

// FuzzEmail: what comes out is lower case with an ASCII domain and is its own normal form.
func FuzzEmail(f *testing.F) {
	for _, s := range []string{"Zhang@JingGong.Example", "z@公司.cn", "\"a b\"@x.cn", "a@b", "a@b.c@d.e", "名字 <a@b.cn>", "a@[127.0.0.1]", "a@xn--55qx5d.cn", "a\x00@b.cn", "İ@b.cn", "a@b.cn."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, given string) {
		email, bad := contactdata.Email(given)
		if bad != nil || email == "" {
			return
		}
		at := strings.LastIndex(email, "@")
		domain := email[at+1:]
		if strings.ToLower(email) != email || at <= 0 || strings.IndexFunc(domain, func(r rune) bool { return r > 0x7e || r <= ' ' }) >= 0 {
			t.Fatalf("%q is %q", given, email)
		}
		if again, bad := contactdata.Email(email); bad != nil || again != email {
			t.Fatalf("%q is %q, and that %q (%v)", given, email, again, bad)
		}
	})
}
