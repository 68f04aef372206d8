package server

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/organisation"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/triage"
)

// triager keeps in memory what new tickets are looked at by. Versions of rules never change
// once they apply, and of the routes the database tells a version that grows with each
// change, so that a new ticket needs no round trip for them. It is safe for concurrent use.
type triager struct {
	q *db.Queries

	mu      sync.Mutex
	rules   map[int64]*triage.Rules
	routing routing
	model   model
}

// maxRules bounds the versions of rules in memory.
const maxRules = 16

// routing is where tickets go, as of a version.
type routing struct {
	version   int64
	routes    []organisation.Route
	functions map[ticketv1.DepartmentFunction]uuid.UUID
	// closed departments and their successors, zero for none.
	closed map[uuid.UUID]uuid.UUID
}

// open is the department that does by now what one did, zero for none.
func (r *routing) open(id uuid.UUID) uuid.UUID {
	for range r.closed {
		next, closed := r.closed[id]
		if !closed {
			break
		}
		id = next
	}
	return id
}

// published gives a version of the rules that applies or did; nil for version 0.
func (t *triager) published(ctx context.Context, on db.DBTX, version int64) (*triage.Rules, error) {
	if version == 0 {
		return nil, nil
	}
	t.mu.Lock()
	kept := t.rules[version]
	t.mu.Unlock()
	if kept != nil {
		return kept, nil
	}
	row, err := t.q.GetTriageRules(ctx, on, version)
	if err != nil {
		return nil, fmt.Errorf("read rules of triage: %w", err)
	}
	in, err := triageRulesProto(&row)
	if err != nil {
		return nil, err
	}
	made := triage.New(version, in)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.rules == nil || len(t.rules) >= maxRules {
		t.rules = map[int64]*triage.Rules{}
	}
	t.rules[version] = made
	return made, nil
}

// routes gives where tickets go as of a version or later.
func (t *triager) routes(ctx context.Context, on db.DBTX, version int64) (routing, error) {
	t.mu.Lock()
	kept := t.routing
	t.mu.Unlock()
	if kept.version >= version {
		return kept, nil
	}
	routes, err := t.q.ListAllRoutes(ctx, on)
	if err != nil {
		return routing{}, fmt.Errorf("read routes: %w", err)
	}
	functions, err := t.q.ListDepartmentsOfFunctions(ctx, on)
	if err != nil {
		return routing{}, fmt.Errorf("read departments: %w", err)
	}
	closed, err := t.q.ListClosedDepartments(ctx, on)
	if err != nil {
		return routing{}, fmt.Errorf("read closed departments: %w", err)
	}
	// Read after the version was, so it may be newer than the version says, which the next
	// ticket finds out.
	fresh := routing{version: version, functions: make(map[ticketv1.DepartmentFunction]uuid.UUID, len(functions)), closed: make(map[uuid.UUID]uuid.UUID, len(closed))}
	for _, c := range closed {
		fresh.closed[c.ID] = idValue(c.SuccessorID)
	}
	for _, r := range routes {
		fresh.routes = append(fresh.routes, organisation.Route{ID: r.ID, Department: r.DepartmentID, Type: ticketv1.TicketType(r.Type), Product: r.ProductModel})
	}
	for _, f := range functions {
		fresh.functions[ticketv1.DepartmentFunction(f.Function)] = f.ID
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.routing.version < version {
		t.routing = fresh
	}
	return fresh, nil
}

// triageGiven is what a registrant gave of what triage settles; zero for what they left open.
type triageGiven struct {
	kind   ticketv1.TicketType
	weight ticket.Weight
}

// triaged looks at a new ticket: it fills what was left open in the row, and gives what is to
// be kept of it, nil where nothing fitted. The row must have its text and product.
func (s *Server) triaged(ctx context.Context, on db.DBTX, row *db.Ticket, given triageGiven, rulesVersion, routingVersion int64) (*ticketv1.TicketTriage, error) {
	rules, err := s.triager.published(ctx, on, rulesVersion)
	if err != nil {
		return nil, err
	}
	where, err := s.triager.routes(ctx, on, routingVersion)
	if err != nil {
		return nil, err
	}
	out, weight := suggest(rules, where, given, triage.Facts{
		Type: given.kind, Product: row.ProductModel, Text: row.Title + "\n" + row.Description,
	})
	setWeight(row, weight)
	for _, made := range out.GetSuggestions() {
		if made.GetField() == ticketv1.TriageField_TRIAGE_FIELD_NEEDS {
			all := ticket.ParseNeeds(row.Needs).Or(needsOf(made.GetNeeds()))
			row.Needs, made.Applied = all.String(), all.Cover(needsOf(made.GetNeeds()))
			continue
		}
		if !made.GetApplied() {
			continue
		}
		switch made.GetField() {
		case ticketv1.TriageField_TRIAGE_FIELD_TYPE:
			row.Type = int16(made.GetType())
		case ticketv1.TriageField_TRIAGE_FIELD_DEPARTMENT:
			if row.DepartmentID != nil {
				made.Applied = false // whoever opens it has settled it
				continue
			}
			id, err := uuid.Parse(made.GetDepartmentId())
			if err != nil {
				return nil, fmt.Errorf("department of a suggestion: %w", err)
			}
			if id = where.open(id); id == uuid.Nil {
				made.Applied = false
				continue
			}
			row.DepartmentID, made.DepartmentId = &id, id.String()
		}
	}
	if len(out.GetSuggestions()) == 0 {
		return nil, nil
	}
	return out, nil
}

// triagedNow is triaged where nothing else has asked for the versions.
func (s *Server) triagedNow(ctx context.Context, on db.DBTX, row *db.Ticket, given triageGiven) (*ticketv1.TicketTriage, error) {
	rules, err := s.q.TriageRulesInEffect(ctx, on, row.CreateTime)
	if err != nil {
		return nil, fmt.Errorf("find the rules of triage in effect: %w", err)
	}
	routes, err := s.q.GetRoutingVersion(ctx, on)
	if err != nil {
		return nil, fmt.Errorf("read the version of the routes: %w", err)
	}
	return s.triaged(ctx, on, row, given, rules, routes)
}

// keepTriage stores what a new ticket was taken for.
func (s *Server) keepTriage(ctx context.Context, on db.DBTX, id uuid.UUID, taken *ticketv1.TicketTriage) error {
	if taken == nil {
		return nil
	}
	content, err := proto.Marshal(taken)
	if err != nil {
		return fmt.Errorf("encode what a ticket was taken for: %w", err)
	}
	return s.q.InsertTicketTriage(ctx, on, id, taken.GetRulesVersion(), content)
}

// suggest is what rules, matrix and routes say of a ticket, and what it then weighs.
func suggest(rules *triage.Rules, where routing, given triageGiven, facts triage.Facts) (*ticketv1.TicketTriage, ticket.Weight) {
	out := &ticketv1.TicketTriage{}
	var d triage.Decision
	matrix := ticket.NewMatrix(nil)
	if rules != nil {
		out.RulesVersion, matrix = rules.Version, rules.Matrix
		d = rules.Decide(facts)
	}
	kind := given.kind
	if o := d.Type; o != nil {
		made := byRule(o, ticketv1.TriageField_TRIAGE_FIELD_TYPE, given.kind == 0)
		made.Type = o.Rule.GetType()
		out.Suggestions = append(out.Suggestions, made)
		if kind == 0 {
			kind = made.Type
		}
	}
	out.Suggestions = append(out.Suggestions, weighing(matrix, given.weight, d)...)
	if o := d.Department; o != nil {
		made := byRule(o, ticketv1.TriageField_TRIAGE_FIELD_DEPARTMENT, true)
		made.DepartmentId = o.Rule.GetDepartmentId()
		out.Suggestions = append(out.Suggestions, made)
	} else if made := where.of(kind, facts.Product, d.Function); made != nil {
		out.Suggestions = append(out.Suggestions, made)
	}
	if o := d.Needs; o != nil {
		made := byRule(o, ticketv1.TriageField_TRIAGE_FIELD_NEEDS, true)
		made.Needs = &ticketv1.TicketNeeds{Language: o.Rule.GetLanguage(), Skills: o.Rule.GetSkills()}
		out.Suggestions = append(out.Suggestions, made)
	}
	return out, triage.Weigh(matrix, given.weight, d)
}

func byRule(o *triage.Outcome, field ticketv1.TriageField, applied bool) *ticketv1.TriageSuggestion {
	id := o.Rule.GetRuleId()
	reason := &typev1.Text{Zh: fmt.Sprintf("规则 %s", id), En: fmt.Sprintf("rule %s", id)}
	if len(o.Words) > 0 {
		reason.Zh += fmt.Sprintf("：文本中有“%s”", strings.Join(o.Words, "”“"))
		reason.En += fmt.Sprintf(": the text holds “%s”", strings.Join(o.Words, "”, “"))
	}
	return &ticketv1.TriageSuggestion{
		Field: field, Source: ticketv1.TriageSource_TRIAGE_SOURCE_RULE, Confidence: o.Rule.GetConfidence(), RuleId: id,
		Words: o.Words, Reason: reason, Applied: applied,
	}
}

// of is where tickets of a type and product go: by a route, else to the department that does
// what a rule says, else by the type; nil where no department does such work.
func (r *routing) of(kind ticketv1.TicketType, product string, by *triage.Outcome) *ticketv1.TriageSuggestion {
	if kind == 0 {
		kind = ticketv1.TicketType_TICKET_TYPE_OTHER
	}
	made := &ticketv1.TriageSuggestion{
		Field: ticketv1.TriageField_TRIAGE_FIELD_DEPARTMENT, Source: ticketv1.TriageSource_TRIAGE_SOURCE_ROUTE, Confidence: 1, Applied: true,
	}
	if best, ok := organisation.PickRoute(r.routes, kind, organisation.Product(product)); ok {
		made.DepartmentId = best.Department.String()
		made.Reason = &typev1.Text{Zh: fmt.Sprintf("路由 %s", best.ID), En: fmt.Sprintf("route %s", best.ID)}
		return made
	}
	if by != nil {
		if department, ok := r.functions[by.Rule.GetDepartmentFunction()]; ok {
			made := byRule(by, ticketv1.TriageField_TRIAGE_FIELD_DEPARTMENT, true)
			made.DepartmentId = department.String()
			return made
		}
	}
	department, ok := r.functions[organisation.FunctionFor(kind)]
	if !ok {
		return nil
	}
	made.DepartmentId = department.String()
	made.Reason = &typev1.Text{Zh: "该类型的默认部门", En: "the default department of the type"}
	return made
}

// SuggestTriage tells what a ticket would be taken for.
func (s *Server) SuggestTriage(ctx context.Context, req *ticketv1.SuggestTriageRequest) (*ticketv1.TicketTriage, error) {
	rules, err := s.triageRulesFor(ctx, req.GetRulesVersion())
	if err != nil {
		return nil, err
	}
	version, err := s.q.GetRoutingVersion(ctx, s.pool)
	if err != nil {
		return nil, fmt.Errorf("read the version of the routes: %w", err)
	}
	where, err := s.triager.routes(ctx, s.pool, version)
	if err != nil {
		return nil, err
	}
	text := req.GetTitle() + "\n" + req.GetDescription()
	out, _ := suggest(rules, where, triageGiven{req.GetType(), saidWeight(req)}, triage.Facts{
		Type: req.GetType(), Product: req.GetProductModel(), Text: text,
	})
	return out, s.learned(ctx, out, text)
}

// triageRulesFor gives a version, also a draft; those in effect for 0.
func (s *Server) triageRulesFor(ctx context.Context, version int64) (*triage.Rules, error) {
	if version != 0 {
		in, err := s.triageRules(ctx, s.pool, version)
		if err != nil {
			return nil, err
		}
		return triage.New(version, in), nil
	}
	version, err := s.q.TriageRulesInEffect(ctx, s.pool, s.now())
	if err != nil {
		return nil, fmt.Errorf("find the rules of triage in effect: %w", err)
	}
	return s.triager.published(ctx, s.pool, version)
}

// GetTicketTriage tells what a ticket was taken for.
func (s *Server) GetTicketTriage(ctx context.Context, req *ticketv1.GetTicketTriageRequest) (*ticketv1.TicketTriage, error) {
	row, err := s.find(ctx, "ticket_id", req.GetTicketId())
	if err != nil {
		return nil, err
	}
	out, err := s.keptTriage(ctx, s.pool, row.ID)
	if err != nil {
		return nil, err
	}
	for _, made := range out.GetSuggestions() {
		made.Overridden = made.GetApplied() && !stands(made, &row)
	}
	return out, s.learned(ctx, out, row.Title+"\n"+row.Description)
}

// keptTriage is what a ticket was taken for; empty where nothing fitted, and for imported ones.
func (s *Server) keptTriage(ctx context.Context, on db.DBTX, id uuid.UUID) (*ticketv1.TicketTriage, error) {
	out := new(ticketv1.TicketTriage)
	kept, err := s.q.GetTicketTriage(ctx, on, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return out, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read what the ticket was taken for: %w", err)
	}
	if err := proto.Unmarshal(kept.Content, out); err != nil {
		return nil, fmt.Errorf("decode what ticket %s was taken for: %w", id, err)
	}
	return out, nil
}

// stands tells whether a ticket has the suggested value.
func stands(made *ticketv1.TriageSuggestion, row *db.Ticket) bool {
	switch made.GetField() {
	case ticketv1.TriageField_TRIAGE_FIELD_TYPE:
		return row.Type == int16(made.GetType())
	case ticketv1.TriageField_TRIAGE_FIELD_PRIORITY:
		return row.Priority == int16(made.GetPriority())
	case ticketv1.TriageField_TRIAGE_FIELD_URGENCY:
		return row.Urgency == int16(made.GetUrgency())
	case ticketv1.TriageField_TRIAGE_FIELD_IMPACT:
		return row.Impact == int16(made.GetImpact())
	case ticketv1.TriageField_TRIAGE_FIELD_NEEDS:
		return ticket.ParseNeeds(row.Needs).Cover(needsOf(made.GetNeeds()))
	default:
		return idString(row.DepartmentID) == made.GetDepartmentId()
	}
}

// explained refuses a triage that departs, without a reason, from what the rules decided and
// the ticket was registered with.
func (s *Server) explained(ctx context.Context, on db.DBTX, row *db.Ticket, m *ticket.Move) error {
	kept, err := s.keptTriage(ctx, on, row.ID)
	if err != nil {
		return err
	}
	settled := &db.Ticket{Type: int16(m.Type), DepartmentID: &m.Department}
	setWeight(settled, m.Weight)
	for _, made := range kept.GetSuggestions() {
		if !made.GetApplied() || made.GetSource() != ticketv1.TriageSource_TRIAGE_SOURCE_RULE ||
			made.GetField() == ticketv1.TriageField_TRIAGE_FIELD_NEEDS || stands(made, settled) {
			continue
		}
		return rpcerr.Invalid("reason", rpcerr.T(
			"rule %[1]s of triage decided another %[2]s; say why this one is right", "分类规则 %[1]s 给出了不同的%[2]s；请说明更改理由",
			made.GetRuleId(), fieldLabel(made.GetField())))
	}
	return nil
}
