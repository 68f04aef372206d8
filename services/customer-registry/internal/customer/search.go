package customer

import (
	"regexp"
	"strings"

	"github.com/kefu-suite/kefu/services/internal/textsearch"
)

// Fold gives the form in which names and queries are compared.
func Fold(s string) string { return textsearch.Fold(s) }

// SearchText is what a customer is found by any part of: its name, number, region and tags
// and the names of its contacts, folded.
func SearchText(words ...string) string { return textsearch.Lines(words...) }

// Terms gives what an index knows the search text of the customer at a position by.
func Terms(text string, position int64) []string { return textsearch.Terms(text, position) }

// Query is what a search text asks for. Exactly one of its fields is set, with
// two exceptions: a text of digits may be a part of a name or number too, and the empty text sets
// none.
type Query struct {
	// Folded is a part of a search text, Terms what an index finds it by.
	Folded string
	Terms  []string
	// Number is a customer number, Phone a whole phone in E.164, Last4 the last
	// four digits of one, Email a whole e-mail, all normalised.
	Number, Phone, Last4, Email string
	// Digits is what a phone is found by that is none, where the text may be one.
	Digits string
}

// Empty tells whether a query asks for nothing.
func (q Query) Empty() bool { return q.Folded == "" && q.Number == "" && q.Email == "" }

var (
	numberForm = regexp.MustCompile(`^C-[0-9]{6}-[0-9]{6,}$`)
	phoneForm  = regexp.MustCompile(`^[+]?[(]?[0-9][0-9 ().-]{4,}$`)
	last4Form  = regexp.MustCompile(`^[0-9]{4}$`)
)

// ParseQuery reads a search text.
func ParseQuery(text, region string) Query {
	folded := Fold(text)
	if folded == "" {
		return Query{}
	}
	if number := strings.ToUpper(folded); numberForm.MatchString(number) {
		return Query{Number: number}
	}
	if strings.Contains(folded, "@") {
		if email, fault := Email(folded); fault == nil {
			return Query{Email: email}
		}
	}
	q := Query{Folded: folded, Terms: textsearch.QueryTerms(folded)}
	switch {
	case last4Form.MatchString(folded):
		q.Last4 = folded
	case phoneForm.MatchString(folded):
		q.Digits = DigitsTerm(folded)
		if phone, fault := Phone(folded, region); fault == nil {
			q.Phone = phone
		}
	}
	return q
}
