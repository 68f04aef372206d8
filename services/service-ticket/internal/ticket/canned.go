package ticket

import (
	"regexp"
	"slices"
	"strings"

	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// CannedVariables are what an answer made ready may name.
func CannedVariables() []string {
	return []string{"ticket.number", "ticket.title", "ticket.due", "reporter.name", "staff.name", "department.name", "date"}
}

// variable is a variable, a doubled brace, or a brace that opens nothing.
var variable = regexp.MustCompile(`\{\{|\{[a-z.]*\}|\{`)

// CheckCanned refuses an answer with a variable that there is not. field is the path of the
// text.
func CheckCanned(field, body string) error {
	for _, found := range variable.FindAllString(body, -1) {
		if found == "{{" || slices.Contains(CannedVariables(), strings.Trim(found, "{}")) {
			continue
		}
		return rpcerr.Invalid(field, rpcerr.T(
			"%[1]q is no variable; use one of {%[2]s}, or {{ for a brace", "%[1]q 不是变量；可用变量为 {%[2]s}，花括号请写作 {{",
			found, strings.Join(CannedVariables(), "}, {")))
	}
	return nil
}

// FillCanned puts values in the place of variables, and gives the variables without one.
func FillCanned(body string, values map[string]string) (text string, missing []string) {
	text = variable.ReplaceAllStringFunc(body, func(found string) string {
		if found == "{{" {
			return "{"
		}
		name := strings.Trim(found, "{}")
		if values[name] == "" && !slices.Contains(missing, name) {
			missing = append(missing, name)
		}
		return values[name]
	})
	return text, missing
}

// PickLanguage gives the place of the text in the first of the wanted languages that there
// is, by the whole tag before its first part; the first text where there is none.
func PickLanguage(has []string, wanted ...string) int {
	for _, want := range wanted {
		for _, same := range []func(string) bool{
			func(tag string) bool { return strings.EqualFold(tag, want) },
			func(tag string) bool { return want != "" && strings.EqualFold(base(tag), base(want)) },
		} {
			if i := slices.IndexFunc(has, same); i >= 0 {
				return i
			}
		}
	}
	return 0
}

func base(tag string) string {
	first, _, _ := strings.Cut(tag, "-")
	return first
}
