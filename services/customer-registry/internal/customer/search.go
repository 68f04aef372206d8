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

// SearchText is what a customer is found by any part of: its name, number, region and tags
// and the names of its contacts, folded, each on a line of its own, so that no part of a
// query spans two.
func SearchText(words ...string) string {
	lines := make([]string, 0, len(words))
	for _, word := range words {
		if line := Fold(word); line != "" && !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// Grams gives the distinct characters and pairs of neighbouring characters of a search text,
// sorted, and of digits the threes too: pairs of digits are in every number. Two characters
// are a usual query in Chinese, so words are not split and three-letter grams would find
// nothing.
func Grams(text string) []string {
	var out []string
	for line := range strings.SplitSeq(text, "\n") {
		runes := []rune(line)
		for i, r := range runes {
			if r != ' ' {
				out = append(out, string(r))
			}
			if i+1 < len(runes) {
				out = append(out, string(runes[i:i+2]))
			}
			if digits(runes, i) >= 3 {
				out = append(out, string(runes[i:i+3]))
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// digits is how many digits stand from i on.
func digits(runes []rune, i int) (n int) {
	for n = 0; i+n < len(runes) && runes[i+n] >= '0' && runes[i+n] <= '9'; n++ {
	}
	return n
}

// Query is what a search text asks for. Exactly one of its fields is set, with
// two exceptions: a text of digits may be a part of a name or number too, and the empty text sets
// none.
type Query struct {
	// Folded is a part of a search text, Grams what an index can find of it.
	Folded string
	Grams  []string
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
	q := Query{Folded: folded, Grams: queryGrams(folded)}
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

// queryGrams gives the pairs of a text, which imply its characters, and in place of pairs of
// digits the threes; or the character when there is but one.
func queryGrams(folded string) []string {
	runes := []rune(folded)
	if len(runes) == 1 {
		return []string{folded}
	}
	out := make([]string, 0, len(runes))
	for i := range len(runes) - 1 {
		switch n := digits(runes, i); {
		case n >= 3:
			out = append(out, string(runes[i:i+3]))
		case n == 2 && i > 0 && digits(runes, i-1) >= 3: // within the three before
		default:
			out = append(out, string(runes[i:i+2]))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
