// Package customer holds the rules of the customer registry: how phones and
// e-mails are normalised, names folded for search, orders and tiers judged. It
// reads no clock and no database.
package customer

import (
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

// Last4 gives the last four digits of an E.164 phone.
func Last4(phone string) string {
	return phone[max(0, len(phone)-4):]
}
