package customer

import (
	"regexp"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// Fold gives the form in which names and queries are compared: NFKC, lower
// case, runs of white space as one space.
func Fold(s string) string {
	return strings.Join(strings.Fields(strings.ToLower(norm.NFKC.String(s))), " ")
}

// Grams gives the distinct characters and pairs of neighbouring characters of a
// folded name, sorted. Two characters are a usual query in Chinese, so words
// are not split and three-letter grams would find nothing.
func Grams(folded string) []string {
	runes := []rune(folded)
	out := make([]string, 0, 2*len(runes))
	for i, r := range runes {
		if r != ' ' {
			out = append(out, string(r))
		}
		if i+1 < len(runes) {
			out = append(out, string(runes[i:i+2]))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Query is what a search text asks for. Exactly one of its fields is set, with
// two exceptions: a text of digits may be a name too, and the empty text sets
// none.
type Query struct {
	// Folded is a part of a name, Grams what an index can find of it.
	Folded string
	Grams  []string
	// Number is a customer number, Phone a whole phone in E.164, Last4 the last
	// four digits of one, Email a whole e-mail, all normalised.
	Number, Phone, Last4, Email string
}

var (
	numberForm = regexp.MustCompile(`^C-[0-9]{6}-[0-9]{6,}$`)
	phoneForm  = regexp.MustCompile(`^[+]?[0-9][0-9 ().-]{5,}$`)
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
	q := Query{Folded: folded, Grams: queryGrams(folded)}
	switch {
	case last4Form.MatchString(folded):
		q.Last4 = folded
	case phoneForm.MatchString(folded):
		if phone, fault := Phone(folded, region); fault == nil {
			q.Phone = phone
		}
	}
	return q
}

// queryGrams gives the pairs of a text, which imply its characters, or the
// character when there is but one.
func queryGrams(folded string) []string {
	runes := []rune(folded)
	if len(runes) == 1 {
		return []string{folded}
	}
	out := make([]string, 0, len(runes))
	for i := range len(runes) - 1 {
		out = append(out, string(runes[i:i+2]))
	}
	slices.Sort(out)
	return slices.Compact(out)
}
