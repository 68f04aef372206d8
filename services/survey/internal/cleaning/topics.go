package cleaning

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/survey/internal/questionnaire"
)

//go:embed topics.json
var topics []byte

// own is the dictionary of questionnaires that have none.
var own = sync.OnceValues(func() (*surveyv1.TopicDictionary, error) {
	out := new(surveyv1.TopicDictionary)
	if err := protojson.Unmarshal(topics, out); err != nil {
		return nil, fmt.Errorf("read the suite's topics: %w", err)
	}
	return out, nil
})

// Topics is the dictionary of a questionnaire that has none of its own.
func Topics() (*surveyv1.TopicDictionary, error) {
	known, err := own()
	return proto.CloneOf(known), err
}

// maxTopicName bounds a name in one language, in characters.
const maxTopicName = 200

// CheckTopics finds what no dictionary may hold.
func CheckTopics(d *surveyv1.TopicDictionary) []questionnaire.Fault {
	var faults []questionnaire.Fault
	first := map[string]int{}
	for i, topic := range d.GetTopics() {
		path := fmt.Sprintf("topics[%d]", i)
		fault := func(field string, text rpcerr.Text) {
			faults = append(faults, questionnaire.Fault{Path: path + "." + field, Text: text})
		}
		if before, twice := first[topic.GetKey()]; twice {
			fault("key", rpcerr.T("the key %[1]q is that of topic %[2]d; give each its own", "键 %[1]q 已用于第 %[2]d 个主题；请使用不同的键", topic.GetKey(), before+1))
		} else {
			first[topic.GetKey()] = i
		}
		for _, name := range []string{topic.GetName().GetZh(), topic.GetName().GetEn()} {
			if n := utf8.RuneCountInString(name); n == 0 || n > maxTopicName {
				fault("name", rpcerr.T("a name has %[1]d characters; give 1 to %[2]d in zh and in en", "名称有 %[1]d 个字符；zh 和 en 均须为 1 到 %[2]d 个", n, maxTopicName))
				break
			}
		}
		if len(topic.GetAny())+len(topic.GetAll()) == 0 {
			fault("any", rpcerr.T("there is no word that speaks of the topic; give some in any or all", "没有任何表示该主题的词；请在 any 或 all 中填写"))
		}
		for field, words := range map[string][]string{"any": topic.GetAny(), "all": topic.GetAll(), "none": topic.GetNone()} {
			for _, word := range words {
				if strings.Trim(Fold(word), "* ") == "" {
					fault(field, rpcerr.T("%[1]q holds no letter, digit or character to look for; give a word", "%[1]q 没有可供查找的文字；请填写词语", word))
				}
			}
		}
	}
	return faults
}

// Coder finds the topics of texts.
type Coder []coded

type coded struct {
	key            string
	any, all, none []string
}

// NewCoder prepares a dictionary.
func NewCoder(d *surveyv1.TopicDictionary) Coder {
	folded := func(words []string) []string {
		out := make([]string, len(words))
		for i, word := range words {
			out[i] = Fold(word)
		}
		return out
	}
	var out Coder
	for _, topic := range d.GetTopics() {
		out = append(out, coded{topic.GetKey(), folded(topic.GetAny()), folded(topic.GetAll()), folded(topic.GetNone())})
	}
	return out
}

// Code gives the keys of a text's topics, in the order of the dictionary.
func (c Coder) Code(text string) []string {
	folded := Fold(text)
	var out []string
	for _, topic := range c {
		if topic.in(folded) {
			out = append(out, topic.key)
		}
	}
	return out
}

func (t coded) in(folded string) bool {
	for _, word := range t.none {
		if has(folded, word) {
			return false
		}
	}
	for _, word := range t.all {
		if !has(folded, word) {
			return false
		}
	}
	for _, word := range t.any {
		if has(folded, word) {
			return true
		}
	}
	return len(t.any) == 0
}

// Fold gives the form in which texts and words are compared: letters of one width and case,
// without accents, white space as one space.
func Fold(s string) string {
	bare := strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return unicode.ToLower(r)
	}, norm.NFKD.String(s))
	return strings.Join(strings.Fields(bare), " ")
}

// has finds a folded word in a folded text. Where the word begins or ends with a letter or
// digit of a script that parts words, so must the text there, unless a * leaves the end open.
func has(text, word string) bool {
	word, open := strings.CutSuffix(word, "*")
	if word == "" {
		return false
	}
	first, _ := utf8.DecodeRuneInString(word)
	last, _ := utf8.DecodeLastRuneInString(word)
	for from := 0; ; {
		at := strings.Index(text[from:], word)
		if at < 0 {
			return false
		}
		at += from
		before, _ := utf8.DecodeLastRuneInString(text[:at])
		after, _ := utf8.DecodeRuneInString(text[at+len(word):])
		if !(parts(first) && parts(before)) && (open || !(parts(last) && parts(after))) {
			return true
		}
		_, size := utf8.DecodeRuneInString(text[at:])
		from = at + size
	}
}

// parts tells whether a character belongs to a word with its neighbours of the same sort.
func parts(r rune) bool {
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r)) &&
		!unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul)
}
