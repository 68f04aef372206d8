package textsearch

import "strconv"

// Terms gives what an index knows a text by that also tells where the thing stands: the pairs and
// threes of Grams, and with its span each character and each four of digits. An index of spans
// and grams looks through all that a span has for the few that have a rare character; under
// `文/60` they stand alone.
func Terms(text string, position int64) []string {
	return terms(text, "/"+strconv.FormatInt(position>>SpanBits, 10))
}

// Mark is what of a folded query stands in Terms with a span, where that is all of it: a character
// or four digits. Longer ones are rarer, and found by their grams.
func Mark(folded string) string {
	if runes := []rune(folded); len(runes) == 1 || len(runes) == 4 && digits(runes, 0) == 4 {
		return folded
	}
	return ""
}
