package organisation_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/organisation"
)

const (
	anyWay     = ticketv1.HandoverWay_HANDOVER_WAY_UNSPECIFIED
	substitute = ticketv1.HandoverWay_HANDOVER_WAY_SUBSTITUTE
	byRules    = ticketv1.HandoverWay_HANDOVER_WAY_RULES
	toQueue    = ticketv1.HandoverWay_HANDOVER_WAY_QUEUE
	toPerson   = ticketv1.HandoverWay_HANDOVER_WAY_PERSON
)

func TestHandoverWays(t *testing.T) {
	for _, c := range []struct {
		asked   organisation.Way
		standIn bool
		want    []organisation.Way
	}{
		{anyWay, true, []organisation.Way{substitute, byRules, toQueue}},
		{anyWay, false, []organisation.Way{byRules, toQueue}},
		{substitute, false, []organisation.Way{substitute}},
		{byRules, true, []organisation.Way{byRules}},
		{toQueue, true, []organisation.Way{toQueue}},
		{toPerson, true, []organisation.Way{toPerson}},
	} {
		if got := organisation.HandoverWays(c.asked, c.standIn); !slices.Equal(got, c.want) {
			t.Errorf("%v, stand-in %v: %v, want %v", c.asked, c.standIn, got, c.want)
		}
	}
}

func TestCheckHandover(t *testing.T) {
	from, to := uuid.UUID{1}, uuid.UUID{2}
	for _, c := range []struct {
		way  organisation.Way
		to   uuid.UUID
		text string
	}{
		{anyWay, uuid.Nil, ""}, {substitute, uuid.Nil, ""}, {toPerson, to, ""},
		{toPerson, uuid.Nil, "missing"}, {toQueue, to, "HANDOVER_WAY_QUEUE"}, {anyWay, to, "HANDOVER_WAY_UNSPECIFIED"},
		{toPerson, from, "leads back"},
	} {
		err := organisation.CheckHandover(from, c.way, c.to)
		if c.text == "" {
			if err != nil {
				t.Errorf("%v to %v: %v", c.way, c.to, err)
			}
			continue
		}
		var public *rpcerr.Error
		if !errors.As(err, &public) || public.Reason() != rpcerr.ReasonValidation || !strings.Contains(err.Error(), c.text) ||
			!strings.Contains(err.Error(), "to_staff_id") {
			t.Errorf("%v to %v: %v, want %q", c.way, c.to, err, c.text)
		}
	}
}

// Load and shift keep nobody from taking over by name; being away, skill and language do, the
// last two not the account manager.
func TestCheckTakeOver(t *testing.T) {
	for name, c := range map[string]struct {
		change func(p *organisation.Person)
		en, zh string
	}{
		"ready": {func(*organisation.Person) {}, "", ""},
		"busy, off shift, full": {func(p *organisation.Person) {
			p.Status, p.OnShift, p.Load = ticketv1.StaffStatus_STAFF_STATUS_BUSY, false, 99
		}, "", ""},
		"away":       {func(p *organisation.Person) { p.Status = ticketv1.StaffStatus_STAFF_STATUS_AWAY }, "they are away", "不在岗"},
		"left":       {func(p *organisation.Person) { p.Status = ticketv1.StaffStatus_STAFF_STATUS_LEFT }, "they are away", "不在岗"},
		"absent":     {func(p *organisation.Person) { p.Absent = true }, "they are away", "不在岗"},
		"unskilled":  {func(p *organisation.Person) { p.Skilled = false }, "skill", "技能"},
		"speechless": {func(p *organisation.Person) { p.Speaks = false }, "language", "语言"},
		"both":       {func(p *organisation.Person) { p.Skilled, p.Speaks = false, false }, "for, they do not", "技能、不掌握"},
		"dedicated":  {func(p *organisation.Person) { p.Skilled, p.Speaks, p.Dedicated = false, false, true }, "", ""},
	} {
		p := ready(1, 0)
		c.change(&p)
		err := organisation.CheckTakeOver(&p)
		if c.en == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		var public *rpcerr.Error
		if !errors.As(err, &public) || public.Reason() != "HANDOVER_UNFIT" || !strings.Contains(public.Text().EN, c.en) || !strings.Contains(public.Text().ZH, c.zh) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
