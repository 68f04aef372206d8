// Package customer holds the rules of the customer registry: how phones and
// e-mails are normalised, names folded for search, orders and tiers judged. It
// reads no clock and no database.
package customer

import (
	"strings"

	"golang.org/x/text/unicode/norm"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/internal/contactdata"
)

// Fault is one field that breaks a rule. Its text never holds the value of a
// phone or an e-mail.
type Fault struct {
	Field string
	Text  rpcerr.Text
}

// Phone normalises a phone as every intake does; a fault blames the field phone.
func Phone(given, region string) (string, *Fault) {
	phone, bad := contactdata.Phone(given, region)
	return phone, blame("phone", bad)
}

// Email normalises an address as every intake does; a fault blames the field
// email.
func Email(given string) (string, *Fault) {
	email, bad := contactdata.Email(given)
	return email, blame("email", bad)
}

func blame(field string, bad *rpcerr.Text) *Fault {
	if bad == nil {
		return nil
	}
	return &Fault{Field: field, Text: *bad}
}

// Points are the phone and the e-mail of a file or contact, with what is told of them.
type Points struct {
	Phone, Extension           *string
	Email                      *string
	PhoneQuality, EmailQuality *customerv1.PointQuality
}

// PointsOf gives the points of a file.
func PointsOf(c *customerv1.Customer) Points {
	return Points{&c.Phone, &c.PhoneExtension, &c.Email, &c.PhoneQuality, &c.EmailQuality}
}

// PointsOfContact gives the points of a contact.
func PointsOfContact(c *customerv1.Contact) Points {
	return Points{&c.Phone, &c.PhoneExtension, &c.Email, &c.PhoneQuality, &c.EmailQuality}
}

var numberFaults = map[contactdata.NumberFault]customerv1.PointQuality{
	contactdata.NotANumber:     customerv1.PointQuality_POINT_QUALITY_NOT_A_NUMBER,
	contactdata.UnknownCountry: customerv1.PointQuality_POINT_QUALITY_UNKNOWN_COUNTRY,
	contactdata.TooShort:       customerv1.PointQuality_POINT_QUALITY_TOO_SHORT,
	contactdata.TooLong:        customerv1.PointQuality_POINT_QUALITY_TOO_LONG,
	contactdata.NoSuchNumber:   customerv1.PointQuality_POINT_QUALITY_NO_SUCH_NUMBER,
}

// NormalizePhone brings the phone to the form it is kept in. One that is none is a fault, or,
// where it is to be kept, marked and left as it was given.
func (p Points) NormalizePhone(region string, keep bool) []Fault {
	given := strings.TrimSpace(*p.Phone)
	*p.Phone, *p.Extension, *p.PhoneQuality = given, "", customerv1.PointQuality_POINT_QUALITY_UNSPECIFIED
	if given == "" {
		return nil
	}
	number := contactdata.ReadPhone(given, region)
	if number.Fault == contactdata.NumberFine {
		*p.Phone, *p.Extension, *p.PhoneQuality = number.E164, number.Extension, customerv1.PointQuality_POINT_QUALITY_VALID
		return nil
	}
	*p.PhoneQuality = numberFaults[number.Fault]
	if keep {
		return nil
	}
	return []Fault{{"phone", *contactdata.NoPhone(region)}}
}

// NormalizeEmail is NormalizePhone for the e-mail.
func (p Points) NormalizeEmail(keep bool) []Fault {
	email, fault := Email(*p.Email)
	switch {
	case fault == nil:
		*p.Email, *p.EmailQuality = email, customerv1.PointQuality_POINT_QUALITY_UNSPECIFIED
		if email != "" {
			*p.EmailQuality = customerv1.PointQuality_POINT_QUALITY_VALID
		}
	case keep:
		*p.Email, *p.EmailQuality = strings.ToLower(strings.TrimSpace(*p.Email)), customerv1.PointQuality_POINT_QUALITY_NOT_AN_ADDRESS
	default:
		return []Fault{*fault}
	}
	return nil
}

// Normalize brings phone and e-mail to the form they are kept in.
func (p Points) Normalize(region string, keep bool) []Fault {
	return append(p.NormalizePhone(region, keep), p.NormalizeEmail(keep)...)
}

// Renormalize normalises what changed: what is stored was normal when it came.
func (p Points) Renormalize(before Points, region string, keep bool) []Fault {
	var faults []Fault
	if *p.Phone != *before.Phone {
		faults = p.NormalizePhone(region, keep)
	}
	if *p.Email != *before.Email {
		faults = append(faults, p.NormalizeEmail(keep)...)
	}
	return faults
}

// Mark takes over what is told of points that were normalised, where they are these.
func (p Points) Mark(normal Points) {
	if *p.Phone == *normal.Phone {
		*p.Extension, *p.PhoneQuality = *normal.Extension, *normal.PhoneQuality
	}
	if *p.Email == *normal.Email {
		*p.EmailQuality = *normal.EmailQuality
	}
}

// Faulty tells whether a quality is that of a point that is none.
func Faulty(q customerv1.PointQuality) bool { return q > customerv1.PointQuality_POINT_QUALITY_VALID }

// PhoneTerm is what a phone is found by: E.164, or the digits of one that is none.
func PhoneTerm(phone string, quality customerv1.PointQuality) string {
	if Faulty(quality) {
		return DigitsTerm(phone)
	}
	return phone
}

// DigitsTerm is what a phone that is none is found by.
func DigitsTerm(given string) string { return "digits:" + contactdata.Digits(norm.NFKC.String(given)) }

// CallerTerms is what a caller's number is found by: E.164, if it is one, and its digits,
// empty where they are fewer than five.
func CallerTerms(given, region string) (e164, digits string) {
	if len(contactdata.Digits(given)) < 5 {
		return "", ""
	}
	return contactdata.ReadPhone(given, region).E164, DigitsTerm(given)
}

// Last4 gives the last four digits of a phone.
func Last4(phone string) string {
	digits := contactdata.Digits(norm.NFKC.String(phone))
	return digits[max(0, len(digits)-4):]
}
