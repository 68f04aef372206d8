package contactdata_test

import (
	"strings"
	"testing"

	"github.com/kefu-suite/kefu/services/internal/contactdata"
)

func TestPhone(t *testing.T) {
	for _, c := range []struct{ given, region, want string }{
		{"", "CN", ""},
		{"  ", "CN", ""},
		{"138 0013 8000", "CN", "+8613800138000"},
		{"138-0013-8000", "CN", "+8613800138000"},
		{"+86 138 0013 8000", "US", "+8613800138000"},
		{"0086 13800138000", "CN", "+8613800138000"},
		{"(010) 6552 9988", "CN", "+861065529988"},
		{"１３８００１３８０００", "CN", "+8613800138000"},
		{"(212) 736-5000", "US", "+12127365000"},
		{"tel:+1-212-736-5000", "CN", "+12127365000"},
	} {
		got, bad := contactdata.Phone(c.given, c.region)
		if bad != nil || got != c.want {
			t.Errorf("Phone(%q, %q) = %q, %v, want %q", c.given, c.region, got, bad, c.want)
		}
	}
	for _, given := range []string{"12", "call me", "+86 12", "+1 212 736 5000 ext. 12", "138001380001234567"} {
		got, bad := contactdata.Phone(given, "CN")
		if bad == nil {
			t.Errorf("Phone(%q) = %q, want a fault", given, got)
			continue
		}
		if strings.Contains(bad.EN, given) || strings.Contains(bad.ZH, given) || bad.ZH == "" {
			t.Errorf("the fault of %q repeats the value or lacks a language: %+v", given, *bad)
		}
	}
}

func TestEmail(t *testing.T) {
	for given, want := range map[string]string{
		"": "", " ": "",
		"Wang.Fang@Example.COM":   "wang.fang@example.com",
		" a+b@example.co.uk ":     "a+b@example.co.uk",
		"info@Bücher.example":     "info@xn--bcher-kva.example",
		"王芳@例子.中国":                "王芳@xn--fsqu00a.xn--fiqs8s",
		"o'brien@mail.example":    "o'brien@mail.example",
		"UPPER@sub.EXAMPLE.org":   "upper@sub.example.org",
		"x@xn--bcher-kva.EXAMPLE": "x@xn--bcher-kva.example",
	} {
		if got, bad := contactdata.Email(given); bad != nil || got != want {
			t.Errorf("Email(%q) = %q, %v, want %q", given, got, bad, want)
		}
	}
	for _, given := range []string{"x", "a@b", "a@@example.com", "Wang <a@example.com>", "a b@example.com", "a@exa mple.com", "@kefu.example", "a@-.com"} {
		got, bad := contactdata.Email(given)
		if bad == nil {
			t.Errorf("Email(%q) = %q, want a fault", given, got)
			continue
		}
		if strings.Contains(bad.EN, given) && given != "x" {
			t.Errorf("the fault of %q repeats the value: %+v", given, *bad)
		}
	}
}

func TestRegion(t *testing.T) {
	for code, want := range map[string]bool{"CN": true, "US": true, "XX": false, "cn": false, "": false} {
		if got := contactdata.Region(code); got != want {
			t.Errorf("Region(%q) = %v, want %v", code, got, want)
		}
	}
}
