package ticket_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

// rules is the way of a ticket in the words of the company's rule book, with the move
// that registers a ticket and the one that silence makes spelled out. Where an unmerge leads
// the history says, and not the table.
const rules = `create: unspecified → new · triage: new → triaged · prioritize: before resolved → the same · ` +
	`retarget: before resolved → the same · recordContact: before resolved, resolved, closed, cancelled → the same · ` +
	`assign: new, triaged, assigned, in progress, waiting → assigned · start: assigned → in progress · ` +
	`rehome: before resolved → the same · handOver: assigned, in progress, waiting → the same · release: assigned, in progress → triaged · ` +
	`wait: in progress → waiting · resume: waiting → in progress · ` +
	`resolve: in progress, waiting → resolved · confirm: resolved → closed · close: resolved → closed · ` +
	`reopen: resolved, closed → assigned · cancel: before resolved → cancelled · merge: before resolved → merged · unmerge: merged → the same`

type pair struct {
	verb ticket.Verb
	from string
}

// ruleBook reads the rules into the moves they allow.
func ruleBook(t *testing.T) (map[pair]string, []ticket.Verb) {
	t.Helper()
	allowed := map[pair]string{}
	var verbs []ticket.Verb
	for rule := range strings.SplitSeq(rules, " · ") {
		verb, way, ok := strings.Cut(rule, ": ")
		from, to, ok2 := strings.Cut(way, " → ")
		if !ok || !ok2 {
			t.Fatalf("cannot read the rule %q", rule)
		}
		verbs = append(verbs, ticket.Verb(verb))
		from = strings.ReplaceAll(from, "before resolved", "new, triaged, assigned, in progress, waiting")
		for state := range strings.SplitSeq(from, ", ") {
			allowed[pair{ticket.Verb(verb), state}] = to
		}
	}
	return allowed, append(verbs, "escalate", ticket.Import)
}

// foreign is what a Chinese text of states has in it that is none, or lacks.
var foreign = regexp.MustCompile(`[A-Za-z]|“”`)

func TestTheTableIsTheRuleBook(t *testing.T) {
	allowed, verbs := ruleBook(t)
	moves := 0
	for _, verb := range verbs {
		for number := range ticketv1.TicketState_name {
			from := ticketv1.TicketState(number)
			got, err := ticket.Next(from, verb)
			want, ok := allowed[pair{verb, ticket.Name(from)}]
			if want == "the same" {
				want = ticket.Name(from)
			}
			if ok {
				moves++
				if err != nil || ticket.Name(got) != want {
					t.Errorf("%s from %s: %s, %v, want %s", verb, ticket.Name(from), ticket.Name(got), err, want)
				}
				if !strings.HasPrefix(ticket.EventType(verb), "ticket.") {
					t.Errorf("%s has no event", verb)
				}
				continue
			}
			var public *rpcerr.Error
			if !errors.As(err, &public) || public.Reason() != "TICKET_WRONG_STATE" || public.Code() != codes.FailedPrecondition {
				t.Errorf("%s from %s: %s, %v, want TICKET_WRONG_STATE", verb, ticket.Name(from), ticket.Name(got), err)
				continue
			}
			if got != ticket.None || !strings.Contains(public.Text().EN, ticket.Name(from)) {
				t.Errorf("%s from %s: state %s, text %q, want none and the state named", verb, ticket.Name(from), got, public.Text().EN)
			}
			if zh := public.Text().ZH; ticket.EventType(verb) != "" && foreign.MatchString(zh) {
				t.Errorf("%s from %s: %q is not all Chinese", verb, ticket.Name(from), zh)
			}
		}
	}
	if moves != len(allowed) {
		t.Errorf("%d of the %d moves of the rule book were tried", moves, len(allowed))
	}
}

func TestARefusalNamesWhatWouldBeRight(t *testing.T) {
	_, err := ticket.Next(ticket.New, ticket.Resolve)
	var public *rpcerr.Error
	if !errors.As(err, &public) {
		t.Fatal(err)
	}
	for text, parts := range map[string][]string{
		public.Text().EN: {"new", "resolve", "in progress, waiting"}, public.Text().ZH: {"新建", "解决", "处理中、等待中"},
	} {
		for _, part := range parts {
			if !strings.Contains(text, part) {
				t.Errorf("%q does not name %q", text, part)
			}
		}
	}
}
