package ticket

import (
	"slices"
	"strings"

	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// Needs is what whoever takes a ticket must be able to; the zero value asks for nothing.
type Needs struct {
	// Language is a BCP 47 tag.
	Language string
	Skills   []string
}

// DeskLanguage is what staff speak who list no language.
const DeskLanguage = "zh-CN"

// String is the form that is kept: equal needs are equal texts.
func (n Needs) String() string {
	if n.Language == "" && len(n.Skills) == 0 {
		return ""
	}
	skills := slices.Clone(n.Skills)
	slices.Sort(skills)
	return strings.Join(append([]string{strings.ToLower(n.Language)}, slices.Compact(skills)...), "\n")
}

// ParseNeeds reads the form that is kept.
func ParseNeeds(text string) Needs {
	if text == "" {
		return Needs{}
	}
	parts := strings.Split(text, "\n")
	return Needs{Language: parts[0], Skills: parts[1:]}
}

// Or is n with what it leaves open taken from others.
func (n Needs) Or(others Needs) Needs {
	if n.Language == "" {
		n.Language = others.Language
	}
	if len(n.Skills) == 0 {
		n.Skills = others.Skills
	}
	return n
}

// Cover tells whether n asks for all that others ask for.
func (n Needs) Cover(others Needs) bool {
	return (others.Language == "" || strings.EqualFold(n.Language, others.Language)) &&
		!slices.ContainsFunc(others.Skills, func(want string) bool { return !slices.Contains(n.Skills, want) })
}

// CheckNeeds refuses a skill that could not be told from two. field is the path of the needs.
func CheckNeeds(field string, n Needs) error {
	for _, skill := range n.Skills {
		if strings.ContainsAny(skill, "\n\r") || strings.TrimSpace(skill) != skill {
			return rpcerr.Invalid(field+".skills", rpcerr.T(
				"the skill %[1]q has a line break, or a space at an end; write it as it stands with the staff",
				"技能 %[1]q 含有换行或首尾空格；请按人员资料中的写法填写", skill))
		}
	}
	return nil
}

// Speaks tells whether one of the languages is the one that is needed: `en` and `en-GB` are,
// `en-US` and `en-GB` are not.
func (n Needs) Speaks(languages []string) bool {
	if n.Language == "" {
		return true
	}
	if len(languages) == 0 {
		languages = []string{DeskLanguage}
	}
	return slices.ContainsFunc(languages, func(has string) bool {
		has, want := strings.ToLower(has)+"-", strings.ToLower(n.Language)+"-"
		return strings.HasPrefix(has, want) || strings.HasPrefix(want, has)
	})
}

// Skilled tells whether the skills are all that are needed.
func (n Needs) Skilled(skills []string) bool {
	return !slices.ContainsFunc(n.Skills, func(want string) bool { return !slices.Contains(skills, want) })
}
