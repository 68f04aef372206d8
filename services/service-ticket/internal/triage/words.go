package triage

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// folded is a text in the form in which words are compared: full width and case do not
// matter.
func folded(text string) string { return strings.ToLower(norm.NFKC.String(text)) }

// han tells whether a character is written without spaces around its words.
func han(r rune) bool { return unicode.Is(unicode.Han, r) }

// joins tells whether a character goes on with a word of an alphabet.
func joins(r rune) bool { return !han(r) && (unicode.IsLetter(r) || unicode.IsDigit(r)) }

// holds tells whether a folded text holds a folded word: Chinese anywhere, other words whole,
// and their beginning where a star ends the word.
func holds(text, word string) bool {
	word, open := strings.CutSuffix(word, "*")
	if word == "" {
		return false
	}
	first, _ := utf8.DecodeRuneInString(word)
	last, _ := utf8.DecodeLastRuneInString(word)
	for from := 0; ; {
		i := strings.Index(text[from:], word)
		if i < 0 {
			return false
		}
		start, end := from+i, from+i+len(word)
		before, _ := utf8.DecodeLastRuneInString(text[:start])
		after, _ := utf8.DecodeRuneInString(text[end:])
		whole := !(joins(first) && start > 0 && joins(before))
		if whole && (open || !(joins(last) && end < len(text) && joins(after))) {
			return true
		}
		from = start + utf8.RuneLen(first)
	}
}

// Features are what the model counts in a text, each once: words of alphabets, and pairs of
// neighbouring Chinese characters. What holds a digit is a number, a date or a code, which
// tells one ticket from the others and no kind of ticket from another.
func Features(text string) []string {
	var out []string
	seen := map[string]bool{}
	add := func(f string) {
		if !seen[f] {
			seen[f] = true
			out = append(out, f)
		}
	}
	word, digits := []rune{}, false
	var before rune
	end := func() {
		if len(word) > 1 && !digits {
			add(string(word))
		}
		word, digits = word[:0], false
	}
	for _, r := range folded(text) {
		if han(r) && han(before) {
			add(string([]rune{before, r}))
		}
		if joins(r) {
			word, digits = append(word, r), digits || unicode.IsDigit(r)
		} else {
			end()
		}
		before = r
	}
	end()
	return out
}
