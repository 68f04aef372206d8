// Package cell writes texts into the cells of tables that people open in a spreadsheet, and
// reads them back.
package cell

import "strings"

// Guard makes a cell safe to open: what a spreadsheet would take for a formula gets an
// apostrophe before it, and Bare takes it off again.
func Guard(cell string) string {
	if risky(cell) || strings.HasPrefix(cell, "'") && risky(cell[1:]) {
		return "'" + cell
	}
	return cell
}

// Bare is the cell that Guard was given.
func Bare(cell string) string {
	if rest, ok := strings.CutPrefix(cell, "'"); ok && (risky(rest) || strings.HasPrefix(rest, "'") && risky(rest[1:])) {
		return rest
	}
	return cell
}

func risky(cell string) bool { return cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) }
