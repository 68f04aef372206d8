// Package customer holds the rules of the customer registry: how phones and
// e-mails are normalised, names folded for search, orders and tiers judged. It
// reads no clock and no database.
package customer

import (
	"net/mail"
	"strings"

	"github.com/nyaruka/phonenumbers"
	"golang.org/x/net/idna"

	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// Fault is one field that breaks a rule. Its text never holds the value of a
// phone or an e-mail.
type Fault struct {
	Field string
	Text  rpcerr.Text
}

// Phone brings a phone in national or international form to E.164. A number
// without a country code is read as one of the region, e.g. "CN". An extension
// is refused, because E.164 cannot keep it.
func Phone(given, region string) (string, *Fault) {
	if strings.TrimSpace(given) == "" {
		return "", nil
	}
	number, err := phonenumbers.Parse(given, region)
	if err != nil || !phonenumbers.IsValidNumber(number) {
		return "", &Fault{Field: "phone", Text: rpcerr.T(
			"it is no phone number of any country; give it with its country code, e.g. +86 138 0013 8000, or as dialled within %[1]s",
			"不是有效的电话号码；请带国家代码填写（例如 +86 138 0013 8000），或填写 %[1]s 国内拨号形式", region)}
	}
	if number.GetExtension() != "" {
		return "", &Fault{Field: "phone", Text: rpcerr.T(
			"it has an extension, which is not kept; give the number alone",
			"包含分机号，系统不保存分机号；请只填写电话号码")}
	}
	return phonenumbers.Format(number, phonenumbers.E164), nil
}

// Region tells whether phones can be read as national ones of the region.
func Region(code string) bool {
	return phonenumbers.GetSupportedRegions()[code]
}

// Last4 gives the last four digits of an E.164 phone.
func Last4(phone string) string {
	return phone[max(0, len(phone)-4):]
}

// Email brings an address to lower case with its domain in ASCII form.
func Email(given string) (string, *Fault) {
	given = strings.TrimSpace(given)
	if given == "" {
		return "", nil
	}
	fault := &Fault{Field: "email", Text: rpcerr.T(
		"it is no e-mail address; give one like name@example.com, without a display name",
		"不是有效的电子邮箱地址；请填写类似 name@example.com 的地址，不要带显示名称")}
	parsed, err := mail.ParseAddress(given)
	if err != nil || parsed.Name != "" || parsed.Address != given {
		return "", fault
	}
	local, domain, ok := cutLast(strings.ToLower(given), "@")
	if !ok || !strings.Contains(domain, ".") {
		return "", fault
	}
	ascii, err := idna.Lookup.ToASCII(domain)
	if err != nil {
		return "", fault
	}
	return local + "@" + ascii, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i <= 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// MaskPhone keeps the first three of a phone's national digits, or as many of
// its head as leave four hidden, and its last four: 138****5678.
func MaskPhone(phone string) string {
	if phone == "" {
		return ""
	}
	national := phone
	if number, err := phonenumbers.Parse(phone, ""); err == nil {
		national = phonenumbers.GetNationalSignificantNumber(number)
	}
	if len(national) < 8 {
		return "****" + Last4(national)[min(2, len(Last4(national))):]
	}
	return national[:min(3, len(national)-8)] + "****" + Last4(national)
}

// MaskEmail keeps the first letter and the domain: z***@example.com.
func MaskEmail(email string) string {
	local, domain, ok := cutLast(email, "@")
	if !ok {
		return ""
	}
	for _, first := range local {
		return string(first) + "***@" + domain
	}
	return ""
}
