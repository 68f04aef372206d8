package server_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/internal/clocktest"
	"github.com/kefu-suite/kefu/services/internal/policy"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

// draft makes a copy of the version in effect and changes one of its clauses.
func (w *world) draft(clauseID string, change func(*clockv1.PolicyClause)) *clockv1.Policy {
	w.t.Helper()
	p, err := w.policies.CreatePolicy(w.manager(), &clockv1.CreatePolicyRequest{})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, c := range p.GetClauses() {
		if c.GetClauseId() == clauseID {
			change(c)
		}
	}
	p, err = w.policies.UpdatePolicy(w.manager(), &clockv1.UpdatePolicyRequest{
		Policy: p, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"clauses"}},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func hoursOf(n int) *clockv1.ClockTarget {
	return &clockv1.ClockTarget{Amount: &clockv1.ClockTarget_WorkingTime{WorkingTime: durationpb.New(time.Duration(n) * time.Hour)}}
}

func (w *world) publish(p *clockv1.Policy, from time.Time) *clockv1.Policy {
	w.t.Helper()
	req := &clockv1.PublishPolicyRequest{Id: p.GetId()}
	if !from.IsZero() {
		req.EffectiveTime = timestamppb.New(from)
	}
	out, err := w.policies.PublishPolicy(w.manager(), req)
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

func TestACaseKeepsTheVersionItBeganUnder(t *testing.T) {
	w := newWorld(t)
	before := w.create(&ticketv1.Ticket{})
	w.due(before.GetId(), "resolution", "2026-11-06 18:00:00") // C, P3: 5 wd
	p := w.draft("resolution-c-p3", func(c *clockv1.PolicyClause) { c.Target = hoursOf(8) })
	if before.GetPolicyVersion() != 1 || p.GetVersion() != 2 || p.GetState() != clockv1.PolicyState_POLICY_STATE_DRAFT {
		t.Fatalf("versions %d and %d %v", before.GetPolicyVersion(), p.GetVersion(), p.GetState())
	}
	w.publish(p, w.Clock.Now().Add(time.Hour))
	early := w.create(&ticketv1.Ticket{})
	w.Clock.Advance(time.Hour)
	late := w.create(&ticketv1.Ticket{})
	if early.GetPolicyVersion() != 1 || late.GetPolicyVersion() != 2 {
		t.Errorf("before and after the effective date: %d and %d", early.GetPolicyVersion(), late.GetPolicyVersion())
	}
	receipt := w.due(late.GetId(), "resolution", "2026-11-03 10:00:00")
	if c := receipt.GetClock(); c.GetPolicyVersion() != 2 || c.GetClauseId() != "resolution-c-p3" || c.GetPolicyId() != p.GetId() {
		t.Errorf("the receipt names version %d, clause %s", c.GetPolicyVersion(), c.GetClauseId())
	}
	// Whatever else moves a case, it stays under its version; so does its next round.
	w.prioritize(before.GetId(), ticketv1.Priority_PRIORITY_P3)
	w.due(before.GetId(), "resolution", "2026-11-06 18:00:00")
	for _, verb := range []string{"assign", "start", "resolve", "reopen"} {
		w.must(w.do(w.manager(), verb, before.GetId(), ""))
	}
	if c := w.state(before.GetId(), "resolution", clock.Running); c.GetPolicyVersion() != 1 || c.GetRound() != 2 {
		t.Errorf("round two: %v", c)
	}
	w.rebuilt()
}

func TestRetargetComputesAnewFromTheOriginalStart(t *testing.T) {
	w := newWorld(t)
	id := w.at(ticket.InProgress, "").GetId()
	w.publish(w.draft("resolution-c-p3", func(c *clockv1.PolicyClause) { c.Target = hoursOf(4) }), time.Time{})
	w.publish(w.draft("resolution-c-p3", func(c *clockv1.PolicyClause) { c.Target, c.CalendarId = nil, "" }), w.Clock.Now().Add(time.Second))
	w.Clock.Advance(time.Hour)
	w.must(w.do(w.manager(), "wait", id, ""))
	w.Clock.Advance(time.Hour)
	retarget := func(version int64) error {
		return second(w.tickets.RetargetTicket(w.manager(), &ticketv1.RetargetTicketRequest{Id: id, PolicyVersion: version, Reason: "contract"}))
	}
	// On hold, and the hold counts under the new version too.
	if err := retarget(2); err != nil {
		t.Fatal(err)
	}
	w.due(id, "resolution", "")
	w.must(w.do(w.manager(), "resume", id, ""))
	receipt := w.due(id, "resolution", "2026-11-02 15:00:00") // 4 h and the hour on hold, over lunch
	var seen *clockv1.ClockLogEntry
	for _, e := range receipt.GetLog() {
		if e.GetType() == clock.EntryRetargeted {
			seen = e
		}
	}
	if seen.GetReason() != "policy-retargeted" || seen.GetPolicyVersion() != 2 || seen.GetClauseId() != "resolution-c-p3" {
		t.Errorf("the log says %v", seen)
	}
	if got := w.get(id); got.GetPolicyVersion() != 2 || got.GetState() != ticket.InProgress {
		t.Errorf("the ticket goes by %d and is %v", got.GetPolicyVersion(), got.GetState())
	}
	// A version without a deadline of the kind gives it up.
	if err := retarget(3); err != nil {
		t.Fatal(err)
	}
	if c := w.state(id, "resolution", clock.Cancelled); c.GetStopReason() != "no-deadline" {
		t.Errorf("given up for %q", c.GetStopReason())
	}
	told := 0
	for _, e := range w.eventsOf(id) {
		if e.GetType() == "ticket.retargeted.v1" {
			payload, err := event.Unpack[*ticketv1.TicketChanged](e)
			if told++; err != nil || payload.GetPolicyVersion() == 1 {
				t.Errorf("%v, %v", payload, err)
			}
		}
	}
	if n := w.count("SELECT count(*) FROM ticket_transitions WHERE ticket_id = $1 AND verb = 'retarget' AND reason = 'contract'", id); told != 2 || n != 2 {
		t.Errorf("%d events and %d moves, want 2 each", told, n)
	}
	w.replay(id)
	w.rebuilt()
}

func TestRefusedRetargets(t *testing.T) {
	w := newWorld(t)
	id := w.create(&ticketv1.Ticket{}).GetId()
	draft := w.draft("resolution-c-p3", func(c *clockv1.PolicyClause) { c.Target = hoursOf(4) })
	later := w.publish(w.draft("resolution-c-p3", func(c *clockv1.PolicyClause) { c.Target = hoursOf(5) }), w.Clock.Now().Add(time.Hour))
	for what, version := range map[string]int64{"its own": 1, "a draft": draft.GetVersion(), "none": 99, "a later one": later.GetVersion(), "nothing": 0} {
		_, err := w.tickets.RetargetTicket(w.manager(), &ticketv1.RetargetTicketRequest{Id: id, PolicyVersion: version, Reason: "x"})
		refused(t, what, err, codes.InvalidArgument, "VALIDATION_FAILED", "policy_version")
	}
	now := w.publish(draft, time.Time{}).GetVersion()
	call := func(id string) *ticketv1.RetargetTicketRequest {
		return &ticketv1.RetargetTicketRequest{Id: id, PolicyVersion: now, Reason: "x"}
	}
	_, err := w.tickets.RetargetTicket(w.manager(), &ticketv1.RetargetTicketRequest{Id: id, PolicyVersion: now})
	refused(t, "without a reason", err, codes.InvalidArgument, "VALIDATION_FAILED", "reason")
	_, err = w.tickets.RetargetTicket(w.As(access.ServiceSupervisor), call(id))
	refused(t, "by a supervisor", err, codes.PermissionDenied, "PERMISSION_DENIED", "")
	_, err = w.tickets.RetargetTicket(w.manager(), call(nowhere))
	refused(t, "of no ticket", err, codes.NotFound, "TICKET_NOT_FOUND", "")
	stale := call(id)
	stale.Etag = "99"
	_, err = w.tickets.RetargetTicket(w.manager(), stale)
	refused(t, "with a stale etag", err, codes.Aborted, "ETAG_MISMATCH", "")
	_, err = w.tickets.RetargetTicket(w.manager(), call(w.at(ticket.Resolved, "").GetId()))
	refused(t, "of a resolved one", err, codes.FailedPrecondition, "TICKET_WRONG_STATE", "")
	_, err = w.tickets.RetargetTicket(w.manager(), call(w.imported("1", ticket.New, w.Clock.Now(), time.Time{})))
	refused(t, "of an imported one", err, codes.FailedPrecondition, "TICKET_WITHOUT_CLOCKS", "")
	if got := w.get(id); got.GetPolicyVersion() != 1 || got.GetEtag() != "1" {
		t.Errorf("a refused call changed the ticket to %v", got)
	}
}

// imported takes in a ticket of a source.
func (w *world) imported(id string, state ticket.State, created, resolved time.Time) string {
	w.t.Helper()
	record := &ticketv1.TicketRecord{
		ExternalId: id, State: state, CreateTime: timestamppb.New(created),
		Ticket: &ticketv1.Ticket{Title: "old", Channel: typev1.Channel_CHANNEL_UNKNOWN},
	}
	if !resolved.IsZero() {
		record.ResolveTime, record.Resolution = timestamppb.New(resolved), "done"
	}
	got, err := w.tickets.ImportTickets(w.As(access.InformationAdministrator), &ticketv1.ImportTicketsRequest{
		Source: "legacy", Records: []*ticketv1.TicketRecord{record},
	})
	if err != nil || got.GetResults()[0].GetId() == "" {
		w.t.Fatalf("%v, %v", got, err)
	}
	return got.GetResults()[0].GetId()
}

func TestPoliciesAreDraftedValidatedAndPublished(t *testing.T) {
	w := newWorld(t)
	p := w.draft("resolution-c-p3", func(c *clockv1.PolicyClause) { c.CalendarId, c.OwnerRole = "nowhere", "king" })
	got, err := w.policies.ValidatePolicy(w.As(access.ServiceSupervisor), &clockv1.ValidatePolicyRequest{Id: p.GetId()})
	var fields []string
	for _, f := range got.GetFaults() {
		fields = append(fields, f.GetField()[strings.Index(f.GetField(), ".")+1:])
		if f.GetClauseId() != "resolution-c-p3" || f.GetText().GetZh() == "" || f.GetText().GetEn() == "" {
			t.Errorf("fault %v", f)
		}
	}
	if want := "owner_role calendar_id"; err != nil || strings.Join(fields, " ") != want {
		t.Errorf("faults %v, %v, want %s", got, err, want)
	}
	publish := &clockv1.PublishPolicyRequest{Id: p.GetId()}
	_, err = w.policies.PublishPolicy(w.manager(), publish)
	refused(t, "with faults", err, codes.FailedPrecondition, "POLICY_INVALID", "")
	for _, c := range p.GetClauses() {
		if c.GetClauseId() == "resolution-c-p3" {
			c.CalendarId, c.OwnerRole, c.Target = "china-standard", access.ServiceAgent, hoursOf(8)
		}
	}
	p.Note = "faster for C"
	mend := &clockv1.UpdatePolicyRequest{Policy: p, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"clauses", "note"}}}
	if p, err = w.policies.UpdatePolicy(w.manager(), mend); err != nil || p.GetNote() != "faster for C" {
		t.Fatalf("%v, %v", p, err)
	}
	_, err = w.policies.UpdatePolicy(w.manager(), mend)
	refused(t, "a stale draft", err, codes.Aborted, "ETAG_MISMATCH", "")
	diff, err := w.policies.DiffPolicies(w.As(access.ServiceSupervisor), &clockv1.DiffPoliciesRequest{Id: "2"})
	if err != nil || len(diff.GetChanges()) != 1 || strings.Join(diff.GetChanges()[0].GetFields(), " ") != "target" ||
		diff.GetBefore().GetVersion() != 1 || len(diff.GetAfter().GetClauses()) != 0 {
		t.Errorf("diff %v, %v", diff, err)
	}
	publish.EffectiveTime = timestamppb.New(w.Clock.Now().Add(-time.Second))
	_, err = w.policies.PublishPolicy(w.manager(), publish)
	refused(t, "in the past", err, codes.InvalidArgument, "VALIDATION_FAILED", "effective_time")
	p = w.publish(p, time.Time{})
	if p.GetState() != clockv1.PolicyState_POLICY_STATE_PUBLISHED || !p.GetEffectiveTime().AsTime().Equal(w.Clock.Now()) {
		t.Errorf("published %v", policy.Bare(p))
	}
	_, err = w.policies.PublishPolicy(w.manager(), &clockv1.PublishPolicyRequest{Id: p.GetId()})
	refused(t, "twice", err, codes.FailedPrecondition, "POLICY_NOT_DRAFT", "")
	mend.Policy.Etag = ""
	_, err = w.policies.UpdatePolicy(w.manager(), mend)
	refused(t, "a change of what is published", err, codes.FailedPrecondition, "POLICY_NOT_DRAFT", "")
	told := w.eventsOf(p.GetId())
	if payload, err := event.Unpack[*clockv1.PolicyPublished](told[len(told)-1]); len(told) != 1 || err != nil || payload.GetVersion() != 2 || payload.GetSubjectType() != "ticket" {
		t.Errorf("told %v, %v", told, err)
	}
	if n := w.count("SELECT count(*) FROM audit_records WHERE object_id = $1", p.GetId()); n != 4 {
		t.Errorf("%d audit records, want those of the draft, two changes and the publication", n)
	}
	list, err := w.policies.ListPolicies(w.As(access.ServiceSupervisor), &clockv1.ListPoliciesRequest{PageSize: 1})
	if err != nil || len(list.GetPolicies()) != 1 || list.GetPolicies()[0].GetVersion() != 2 || len(list.GetPolicies()[0].GetClauses()) != 0 {
		t.Fatalf("%v, %v", list, err)
	}
	list, err = w.policies.ListPolicies(w.As(access.ServiceSupervisor), &clockv1.ListPoliciesRequest{PageSize: 1, PageToken: list.GetNextPageToken()})
	if err != nil || list.GetPolicies()[0].GetState() != clockv1.PolicyState_POLICY_STATE_RETIRED || list.GetNextPageToken() != "" {
		t.Fatalf("%v, %v", list, err)
	}
	first, err := w.policies.GetPolicy(w.As(access.ServiceSupervisor), &clockv1.GetPolicyRequest{Id: "1"})
	if err != nil || len(first.GetClauses()) != len(ticket.Standard().GetClauses()) {
		t.Errorf("version 1 has %d clauses, %v", len(first.GetClauses()), err)
	}
}

func TestRefusedCallsAboutPolicies(t *testing.T) {
	w := newWorld(t)
	ctx := w.manager()
	p := w.draft("progress-p1", func(*clockv1.PolicyClause) {})
	update := func(p *clockv1.Policy, paths ...string) error {
		return second(w.policies.UpdatePolicy(ctx, &clockv1.UpdatePolicyRequest{Policy: p, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths}}))
	}
	refused(t, "a malformed id", update(&clockv1.Policy{Id: "x"}, "note"), codes.InvalidArgument, "VALIDATION_FAILED", "policy.id")
	refused(t, "no draft", update(&clockv1.Policy{Id: nowhere}, "note"), codes.NotFound, "POLICY_NOT_FOUND", "")
	refused(t, "an output", update(p, "version"), codes.InvalidArgument, "UPDATE_MASK_INVALID", "")
	refused(t, "a long name", update(&clockv1.Policy{Id: p.GetId(), Name: strings.Repeat("x", 201)}, "name"), codes.InvalidArgument, "VALIDATION_FAILED", "policy.name")
	for what, err := range map[string]error{
		"get":      second(w.policies.GetPolicy(ctx, &clockv1.GetPolicyRequest{Id: nowhere})),
		"validate": second(w.policies.ValidatePolicy(ctx, &clockv1.ValidatePolicyRequest{Id: nowhere})),
		"publish":  second(w.policies.PublishPolicy(ctx, &clockv1.PublishPolicyRequest{Id: nowhere})),
		"diff":     second(w.policies.DiffPolicies(ctx, &clockv1.DiffPoliciesRequest{Id: nowhere})),
		"against":  second(w.policies.DiffPolicies(ctx, &clockv1.DiffPoliciesRequest{Id: p.GetId(), Against: "99"})),
		"dry run":  last(w.dryRun(&clockv1.DryRunPolicyRequest{Id: nowhere})),
	} {
		refused(t, what, err, codes.NotFound, "POLICY_NOT_FOUND", "")
	}
	_, err := w.policies.PublishPolicy(ctx, &clockv1.PublishPolicyRequest{Id: p.GetId(), Etag: "99"})
	refused(t, "a stale etag", err, codes.Aborted, "ETAG_MISMATCH", "")
	_, err = w.policies.PublishPolicy(ctx, &clockv1.PublishPolicyRequest{Id: p.GetId(), EffectiveTime: &timestamppb.Timestamp{Nanos: -1}})
	refused(t, "no time", err, codes.InvalidArgument, "VALIDATION_FAILED", "effective_time")
	_, err = w.policies.GetPolicy(ctx, &clockv1.GetPolicyRequest{Id: "0"})
	refused(t, "no name", err, codes.InvalidArgument, "VALIDATION_FAILED", "id")
	for what, err := range map[string]error{
		"a supervisor drafts":    second(w.policies.CreatePolicy(w.As(access.ServiceSupervisor), &clockv1.CreatePolicyRequest{})),
		"a supervisor publishes": second(w.policies.PublishPolicy(w.As(access.ServiceSupervisor), &clockv1.PublishPolicyRequest{Id: p.GetId()})),
		"an agent reads":         second(w.policies.GetPolicy(w.As(access.ServiceAgent), &clockv1.GetPolicyRequest{Id: "1"})),
	} {
		refused(t, what, err, codes.PermissionDenied, "PERMISSION_DENIED", "")
	}
}

func TestOfRacingPublicationsOneWins(t *testing.T) {
	w := newWorld(t)
	p := w.draft("progress-p1", func(c *clockv1.PolicyClause) { c.Target = hoursOf(2) })
	won, lost := wins(4, func(int) error {
		return second(w.policies.PublishPolicy(w.manager(), &clockv1.PublishPolicyRequest{Id: p.GetId()}))
	})
	if won != 1 {
		t.Errorf("%d of 4 won", won)
	}
	for _, err := range lost {
		refused(t, "a lost publication", err, codes.FailedPrecondition, "POLICY_NOT_DRAFT", "")
	}
	// Replicas that begin at once seed one version.
	won, lost = wins(4, func(int) error { return w.server.SeedPolicies(t.Context()) })
	if n := w.count("SELECT count(*) FROM clock_policies"); won != 4 || n != 2 {
		t.Errorf("%d seeded, %v; %d versions, want 2", won, lost, n)
	}
}

// dryRun gives everything that a dry run tells.
func (w *world) dryRun(req *clockv1.DryRunPolicyRequest) (cases []*clockv1.DryRunCase, totals *clockv1.DryRunTotals, err error) {
	stream, err := w.policies.DryRunPolicy(w.manager(), req)
	for err == nil {
		var got *clockv1.DryRunPolicyResponse
		if got, err = stream.Recv(); err != nil {
			break
		}
		if c := got.GetCase(); c != nil {
			cases = append(cases, c)
		}
		totals = got.GetTotals()
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return cases, totals, err
}

func last[A, B any](_ A, _ B, err error) error { return err }

func TestADryRunTellsWhatWouldHaveBeenMissed(t *testing.T) {
	w := newWorld(t)
	// Imported: resolved after 3 working days, and open since Thursday.
	w.imported("1", ticket.Resolved, clocktest.WallClock(t, "2026-10-19 09:00:00"), clocktest.WallClock(t, "2026-10-21 18:00:00"))
	w.imported("2", ticket.New, clocktest.WallClock(t, "2026-10-29 09:00:00"), time.Time{})
	live := w.create(&ticketv1.Ticket{}).GetId() // Monday 9:00; 1 wd and 5 wd
	w.assign(live, w.agent)
	w.must(w.do(w.manager(), "start", live, ""))
	w.Clock.Advance(time.Hour)
	w.reply(live, true)
	w.mustContact(live, true, time.Time{})
	w.must(w.do(w.manager(), "wait", live, ""))
	w.set("2026-11-04 10:00:00")
	w.must(w.do(w.manager(), "resume", live, ""))
	w.Clock.Advance(time.Hour)
	w.must(w.do(w.manager(), "resolve", live, "")) // 1 h and 1 h counted
	w.reply(live, true)                            // after the solution: nothing

	p := w.draft("resolution-c-p3", func(c *clockv1.PolicyClause) { c.Target = hoursOf(16) })
	cases, totals, err := w.dryRun(&clockv1.DryRunPolicyRequest{Id: p.GetId()})
	if err != nil || len(cases) != 3 {
		t.Fatalf("%v, %v", cases, err)
	}
	told := map[string]string{}
	for _, c := range cases {
		var line []string
		for _, d := range c.GetClocks() {
			line = append(line, d.GetKind()+" "+outcome(d.GetTried())+"|"+outcome(d.GetInEffect()))
		}
		told[c.GetSource()+c.GetCreateTime().AsTime().Format("0102")] = strings.Join(line, ", ")
	}
	for of, want := range map[string]string{
		"legacy1019": "resolution MISSED 24h0m0s|MET",
		"legacy1029": "resolution MISSED 113h0m0s|RUNNING",
		"1102":       "first-response MET|MET, contact MET|MET, resolution MET|MET, progress MET|MET",
	} {
		if told[of] != want {
			t.Errorf("%s: %s, want %s", of, told[of], want)
		}
	}
	if totals.GetCases() != 3 || totals.GetNewlyMissed() != 2 || totals.GetTried().GetMissed() != 2 || totals.GetInEffect().GetMissed() != 0 ||
		totals.GetTried().GetPolicyVersion() != 2 || totals.GetInEffect().GetPolicyVersion() != 1 {
		t.Errorf("totals %v", totals)
	}
	// The live case ends as its own clocks say.
	w.state(live, "resolution", clock.Met)
	w.state(live, "progress", clock.Met)
	again, same, err := w.dryRun(&clockv1.DryRunPolicyRequest{Id: p.GetId(), AsOf: totals.GetAsOf()})
	if err != nil || len(again) != len(cases) || !proto.Equal(same, totals) {
		t.Errorf("a second run tells %v, %v", same, err)
	}
	for i := range again {
		if !proto.Equal(again[i], cases[i]) {
			t.Errorf("a second run tells %v of case %d", again[i], i)
		}
	}
	w.filters(p)
}

func outcome(o *clockv1.DryRunOutcome) string {
	s := strings.TrimPrefix(o.GetState().String(), "CLOCK_STATE_")
	if late := o.GetMissedBy().AsDuration(); late > 0 {
		s += " " + late.String()
	}
	return s
}

// filters tries which of the cases of the dry run each filter lets through.
func (w *world) filters(p *clockv1.Policy) {
	w.t.Helper()
	for what, c := range map[string]struct {
		set  func(*clockv1.DryRunPolicyRequest)
		want int64
	}{
		"imported": {func(r *clockv1.DryRunPolicyRequest) { r.Origin = clockv1.DryRunOrigin_DRY_RUN_ORIGIN_IMPORTED }, 2},
		"live":     {func(r *clockv1.DryRunPolicyRequest) { r.Origin = clockv1.DryRunOrigin_DRY_RUN_ORIGIN_LIVE }, 1},
		"source":   {func(r *clockv1.DryRunPolicyRequest) { r.Source = "legacy" }, 2},
		"other":    {func(r *clockv1.DryRunPolicyRequest) { r.Source = "other" }, 0},
		"tier":     {func(r *clockv1.DryRunPolicyRequest) { r.Tier = typev1.Tier_TIER_KEY }, 0},
		"C":        {func(r *clockv1.DryRunPolicyRequest) { r.Tier = typev1.Tier_TIER_C }, 3},
		"priority": {func(r *clockv1.DryRunPolicyRequest) { r.Priority = "p1" }, 0},
		"from": {func(r *clockv1.DryRunPolicyRequest) {
			r.CreateTimeFrom = timestamppb.New(clocktest.WallClock(w.t, "2026-10-29 09:00:00"))
		}, 2},
		"to": {func(r *clockv1.DryRunPolicyRequest) {
			r.CreateTimeTo = timestamppb.New(clocktest.WallClock(w.t, "2026-10-29 09:00:00"))
		}, 1},
	} {
		req := &clockv1.DryRunPolicyRequest{Id: p.GetId()}
		c.set(req)
		cases, totals, err := w.dryRun(req)
		if err != nil || totals.GetCases() != c.want || int64(len(cases)) != c.want {
			w.t.Errorf("%s: %d cases, %v, want %d", what, totals.GetCases(), err, c.want)
		}
	}
	cases, totals, err := w.dryRun(&clockv1.DryRunPolicyRequest{Id: p.GetId(), ChangedOnly: true})
	if err != nil || len(cases) != 2 || totals.GetCases() != 3 {
		w.t.Errorf("changed: %d of %d, %v", len(cases), totals.GetCases(), err)
	}
}

func TestRefusedDryRuns(t *testing.T) {
	w := newWorld(t)
	now := w.Clock.Now()
	for field, req := range map[string]*clockv1.DryRunPolicyRequest{
		"as_of":            {AsOf: timestamppb.New(now.Add(time.Second))},
		"create_time_from": {CreateTimeFrom: &timestamppb.Timestamp{Nanos: -1}},
		"create_time_to":   {CreateTimeFrom: timestamppb.New(now), CreateTimeTo: timestamppb.New(now)},
		"priority":         {Priority: "p9"},
		"severity":         {Severity: "major"},
		"source":           {Source: "x", Origin: clockv1.DryRunOrigin_DRY_RUN_ORIGIN_LIVE},
	} {
		req.Id = "1"
		refused(t, field, last(w.dryRun(req)), codes.InvalidArgument, "VALIDATION_FAILED", field)
	}
	p := w.draft("progress-p1", func(c *clockv1.PolicyClause) { c.CalendarId = "nowhere" })
	refused(t, "with faults", last(w.dryRun(&clockv1.DryRunPolicyRequest{Id: p.GetId()})), codes.FailedPrecondition, "POLICY_INVALID", "")
	stream, err := w.policies.DryRunPolicy(w.As(access.ServiceSupervisor), &clockv1.DryRunPolicyRequest{Id: "1"})
	if err == nil {
		_, err = stream.Recv()
	}
	refused(t, "by a supervisor", err, codes.PermissionDenied, "PERMISSION_DENIED", "")
}

// A dry run of cases in many batches holds none of them twice and loses none.
func TestADryRunGoesOnFromBatchToBatch(t *testing.T) {
	w := newWorld(t)
	const n = 450
	var records []*ticketv1.TicketRecord
	for range n {
		records = append(records, &ticketv1.TicketRecord{
			ExternalId: newID(t), State: ticket.New, CreateTime: timestamppb.New(w.Clock.Now()),
			Ticket: &ticketv1.Ticket{Title: "old", Channel: typev1.Channel_CHANNEL_UNKNOWN},
		})
	}
	if _, err := w.tickets.ImportTickets(w.As(access.InformationAdministrator), &ticketv1.ImportTicketsRequest{Source: "legacy", Records: records}); err != nil {
		t.Fatal(err)
	}
	cases, totals, err := w.dryRun(&clockv1.DryRunPolicyRequest{Id: "1"})
	seen := map[string]bool{}
	for _, c := range cases {
		seen[c.GetSubjectId()] = true
	}
	if err != nil || len(seen) != n || totals.GetCases() != n {
		t.Errorf("%d cases, %v, %v", len(seen), totals, err)
	}
}
