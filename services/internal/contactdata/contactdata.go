// Package contactdata is the one normaliser of phones and e-mail addresses. What people
// type at any intake comes to the form that is stored, sent to and hashed into blind
// indexes, so that the same phone is found whoever wrote it and however.
//
// The texts of a fault never hold the value: it is personal data.
package contactdata

import (
	"errors"
	"net/mail"
	"strings"

	"github.com/nyaruka/phonenumbers"
	"golang.org/x/net/idna"

	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// Number is a phone as it was read.
type Number struct {
	// E164 is its one form, Extension what is dialled after it.
	E164, Extension string
	// Fault says why it is no phone that can be dialled; then the rest is empty.
	Fault NumberFault
}

// NumberFault is what is wrong with a phone.
type NumberFault int

// The faults of phones.
const (
	NumberFine NumberFault = iota
	// NotANumber: too few digits or other signs.
	NotANumber
	// UnknownCountry: its country code is none.
	UnknownCountry
	// TooShort and TooLong are by the rules of its country.
	TooShort
	TooLong
	// NoSuchNumber: of a right length, but none such is given out.
	NoSuchNumber
)

// ReadPhone reads a phone in national or international form, with or without extension. A
// number without a country code is read as one of the region, e.g. "CN".
func ReadPhone(given, region string) Number {
	number, err := phonenumbers.Parse(given, region)
	switch {
	case errors.Is(err, phonenumbers.ErrInvalidCountryCode):
		return Number{Fault: UnknownCountry}
	case err != nil:
		return Number{Fault: NotANumber}
	case phonenumbers.IsValidNumber(number):
		return Number{E164: phonenumbers.Format(number, phonenumbers.E164), Extension: number.GetExtension()}
	}
	switch phonenumbers.IsPossibleNumberWithReason(number) {
	case phonenumbers.TOO_SHORT:
		return Number{Fault: TooShort}
	case phonenumbers.TOO_LONG:
		return Number{Fault: TooLong}
	case phonenumbers.INVALID_COUNTRY_CODE:
		return Number{Fault: UnknownCountry}
	}
	return Number{Fault: NoSuchNumber}
}

// Digits are the digits of what somebody wrote, by which a phone is found that is none.
func Digits(given string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, given)
}

// Phone brings a phone in national or international form to E.164. A number without a
// country code is read as one of the region, e.g. "CN". An extension is refused, because
// E.164 cannot keep it. Blank is "" without a fault.
func Phone(given, region string) (string, *rpcerr.Text) {
	if strings.TrimSpace(given) == "" {
		return "", nil
	}
	number := ReadPhone(given, region)
	if number.Fault != NumberFine {
		return "", NoPhone(region)
	}
	if number.Extension != "" {
		return "", fault(rpcerr.T(
			"it has an extension, which is not kept; give the number alone",
			"包含分机号，系统不保存分机号；请只填写电话号码"))
	}
	return number.E164, nil
}

// NoPhone says that what was given is none, and what would be one.
func NoPhone(region string) *rpcerr.Text {
	return fault(rpcerr.T(
		"it is no phone number of any country; give it with its country code, e.g. +86 138 0013 8000, or as dialled within %[1]s",
		"不是有效的电话号码；请带国家代码填写（例如 +86 138 0013 8000），或填写 %[1]s 国内拨号形式", region))
}

// Region tells whether phones can be read as national ones of the region.
func Region(code string) bool {
	return phonenumbers.GetSupportedRegions()[code]
}

// Email brings an address to lower case with its domain in ASCII form. Blank is "" without
// a fault.
func Email(given string) (string, *rpcerr.Text) {
	given = strings.TrimSpace(given)
	if given == "" {
		return "", nil
	}
	bad := fault(rpcerr.T(
		"it is no e-mail address; give one like name@example.com, without a display name",
		"不是有效的电子邮箱地址；请填写类似 name@example.com 的地址，不要带显示名称"))
	parsed, err := mail.ParseAddress(given)
	if err != nil || parsed.Name != "" || parsed.Address != given {
		return "", bad
	}
	given = strings.ToLower(given)
	at := strings.LastIndex(given, "@")
	local, domain := given[:at], given[at+1:]
	if local == "" || !strings.Contains(domain, ".") {
		return "", bad
	}
	ascii, err := idna.Lookup.ToASCII(domain)
	if err != nil {
		return "", bad
	}
	return local + "@" + ascii, nil
}

func fault(t rpcerr.Text) *rpcerr.Text { return &t }
