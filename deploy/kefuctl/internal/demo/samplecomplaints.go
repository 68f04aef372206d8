package demo

import (
	"context"
	"net/http"
	"net/url"

	"google.golang.org/genproto/googleapis/type/money"
	"google.golang.org/protobuf/proto"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
)

const (
	quality    = "qc-inspector"
	afterSales = "after-sales-specialist"
)

// stage is one step of a complaint: a verb, and where the complaint stands after it.
type stage struct {
	role, verb string
	body       proto.Message
	state      complaintv1.ComplaintState
	round      int32
	// answered tells the two stages apart that leave the state at told.
	answered bool
}

// course is a complaint and how far it goes.
type course struct {
	subject
	category complaintv1.Category
	// responsible department and its handler's role
	department, handler string
	stages              int // of the chain below that are taken
	validity            complaintv1.Validity
	unsatisfied         bool
	second              int // stages of the second round, after an unsatisfied answer
}

// The stages of a round: submit, review, assign, contact, propose, approve, tell, answer,
// close; of a second: nextRound and from assign on.
func courses() []course {
	const established = complaintv1.Validity_VALIDITY_ESTABLISHED
	product, service := complaintv1.Category_CATEGORY_PRODUCT_QUALITY, complaintv1.Category_CATEGORY_AFTER_SALES_SERVICE
	return []course{
		{subject{"新泵外壳有裂纹", "Crack in the housing of a new pump"}, product, "quality-control", quality, 0, established, false, 0},
		{subject{"维修三次仍漏水", "Still leaks after three repairs"}, service, "after-sales", afterSales, 1, established, false, 0},
		{subject{"铭牌参数不符", "Rating plate does not match"}, product, "quality-control", quality, 2, established, false, 0},
		{subject{"上门工程师迟到", "Engineer came late"}, service, "after-sales", afterSales, 3, established, false, 0},
		{subject{"电机轴承过早磨损", "Motor bearing worn early"}, product, "quality-control", quality, 4, established, false, 0},
		{subject{"返修周期过长", "Repair takes too long"}, service, "after-sales", afterSales, 5, established, false, 0},
		{subject{"涂层脱落", "Coating comes off"}, product, "quality-control", quality, 6, established, false, 0},
		{subject{"收费与报价不一致", "Charged more than quoted"}, service, "after-sales", afterSales, 7, established, false, 0},
		{subject{"流量计精度不达标", "Flow meter out of tolerance"}, product, "quality-control", quality, 9, established, false, 0},
		{subject{"阀门手柄断裂", "Valve handle broke"}, product, "quality-control", quality, 9, complaintv1.Validity_VALIDITY_NOT_ESTABLISHED, false, 0},
		{subject{"安装后振动大", "Vibrates after installation"}, service, "after-sales", afterSales, 8, established, true, 3},
		{subject{"控制柜进水", "Water in the control cabinet"}, service, "after-sales", afterSales, 8, established, true, 8},
	}
}

func (c course) plan(d *directory) []stage {
	round := func(n int32) []stage {
		return []stage{
			{manager, "assign", &complaintv1.AssignComplaintRequest{HandlerStaffId: d.staff["dev-"+c.handler]}, complaintv1.ComplaintState_COMPLAINT_STATE_ASSIGNED, n, false},
			{c.handler, "recordContact", &complaintv1.RecordContactRequest{Channel: typev1.Channel_CHANNEL_PHONE, TwoWay: true,
				Note: "已与客户通话了解情况。Spoke with the customer and took the facts."}, complaintv1.ComplaintState_COMPLAINT_STATE_CONTACTED, n, false},
			{c.handler, "propose", &complaintv1.ProposeSolutionRequest{Proposal: c.proposal()}, complaintv1.ComplaintState_COMPLAINT_STATE_PROPOSED, n, false},
			{manager, "approve", &complaintv1.ApproveSolutionRequest{Decision: complaintv1.Decision_DECISION_APPROVED}, complaintv1.ComplaintState_COMPLAINT_STATE_APPROVED, n, false},
			{c.handler, "tell", &complaintv1.TellResultRequest{Channel: typev1.Channel_CHANNEL_PHONE, Told: "已告知处理结果并致歉。Told the result and apologised."},
				complaintv1.ComplaintState_COMPLAINT_STATE_TOLD, n, false},
			{c.handler, "recordAnswer", c.answer(), complaintv1.ComplaintState_COMPLAINT_STATE_TOLD, n, true},
		}
	}
	chain := append([]stage{
		{agent, "submit", &complaintv1.SubmitComplaintRequest{}, complaintv1.ComplaintState_COMPLAINT_STATE_SUBMITTED, 1, false},
		{supervisor, "review", &complaintv1.ReviewComplaintRequest{Category: c.category, Quality: c.quality(), Severity: complaintv1.Severity_SEVERITY_GENERAL,
			ValidAtFirstSight: true, DepartmentId: d.departments[c.department]}, complaintv1.ComplaintState_COMPLAINT_STATE_REVIEWED, 1, false},
	}, round(1)...)
	end := stage{manager, "close", &complaintv1.CloseComplaintRequest{}, complaintv1.ComplaintState_COMPLAINT_STATE_CLOSED, 1, true}
	chain = append(chain, end)[:c.stages]
	if c.second == 0 {
		return chain
	}
	again := append([]stage{{manager, "nextRound", &complaintv1.NextRoundRequest{Reason: "客户不满意 / not satisfied"},
		complaintv1.ComplaintState_COMPLAINT_STATE_REVIEWED, 2, false}}, round(2)...)
	again = append(again, stage{company, "close", &complaintv1.CloseComplaintRequest{Reason: "两轮后协商终止 / ended after two rounds"},
		complaintv1.ComplaintState_COMPLAINT_STATE_CLOSED, 2, true})
	return append(chain, again[:c.second]...)
}

func (c course) quality() complaintv1.Quality {
	if c.category == complaintv1.Category_CATEGORY_PRODUCT_QUALITY {
		return complaintv1.Quality_QUALITY_QUALITY
	}
	return complaintv1.Quality_QUALITY_NON_QUALITY
}

func (c course) proposal() *complaintv1.Proposal {
	p := &complaintv1.Proposal{
		Findings: "现场检查并核对记录。Inspected on site and checked the records.", Cause: "装配扭矩不足 / assembly torque too low",
		Validity: c.validity, Remedy: complaintv1.Remedy_REMEDY_COMPENSATION, Amount: &money.Money{CurrencyCode: chineseMoney, Units: 300},
		Solution: "更换部件并补偿。Replace the part and compensate.",
	}
	if c.validity != complaintv1.Validity_VALIDITY_ESTABLISHED {
		p.Cause, p.Remedy, p.Amount = "使用不当 / improper use", complaintv1.Remedy_REMEDY_NONE, nil
		p.Solution = "向客户说明并指导使用。Explain and show the proper use."
	}
	return p
}

func (c course) answer() *complaintv1.RecordAnswerRequest {
	a := &complaintv1.RecordAnswerRequest{Satisfaction: complaintv1.Satisfaction_SATISFACTION_SATISFIED, SaidBy: "客户本人 / the customer", Channel: typev1.Channel_CHANNEL_PHONE}
	if c.unsatisfied {
		a.Satisfaction, a.Note = complaintv1.Satisfaction_SATISFACTION_UNSATISFIED, "仍未解决 / still not solved"
	}
	return a
}

// complaints leads each sample complaint to where it shall stand, like tickets does.
func (m *sampler) complaints(ctx context.Context) error {
	all := courses()
	t := newTally("complaints", len(all))
	m.s.add(t)
	part := m.p.Begin(t.Name, len(all))
	defer part.End()
	for i, c := range all {
		// From the end, so that not the same customers have everything.
		owner := m.people[len(m.people)-1-i]
		complaint, created, err := m.complaint(ctx, m.customers.id(owner.ID), c, owner)
		if err != nil {
			return err
		}
		t.one(created)
		if err := m.walk(ctx, complaint, c.plan(m.directory)); err != nil {
			return err
		}
		part.Add(1)
	}
	return nil
}

// complaint finds the customer's complaint of that title or registers it.
func (m *sampler) complaint(ctx context.Context, customer string, c course, owner person) (*complaintv1.Complaint, bool, error) {
	title := c.in(owner.chinese)
	var found *complaintv1.Complaint
	list := &complaintv1.ListComplaintsResponse{}
	err := m.c.pages(ctx, manager, "/v1/complaints", url.Values{"customerId": {customer}}, list, func() string {
		for _, x := range list.GetComplaints() {
			if x.GetTitle() == title {
				found = x
			}
		}
		return list.GetNextPageToken()
	})
	if err != nil || found != nil {
		return found, false, err
	}
	made := &complaintv1.Complaint{}
	complaint := &complaintv1.Complaint{CustomerId: customer, Channel: typev1.Channel_CHANNEL_PHONE, Title: title, Category: c.category,
		Description: "演示数据 / sample", DemandedRemedy: "尽快解决 / a quick solution"}
	if len(owner.orders) > 0 {
		complaint.OrderNumber, complaint.ProductModel = owner.orders[0].GetOrderNumber(), owner.products[0].GetProductModel()
	}
	return made, true, m.patiently(ctx, func() error { return m.c.do(ctx, agent, http.MethodPost, "/v1/complaints", complaint, made) })
}

// walk takes the stages that are left after where the complaint stands.
func (m *sampler) walk(ctx context.Context, c *complaintv1.Complaint, stages []stage) error {
	next := -1
	if c.GetState() == complaintv1.ComplaintState_COMPLAINT_STATE_RECEIVED {
		next = 0
	}
	for i, s := range stages {
		if s.state == c.GetState() && s.round == c.GetRound() && s.answered == (c.GetAnswer() != nil) {
			next = i + 1
		}
	}
	if next < 0 {
		return nil // somebody took it elsewhere
	}
	for _, s := range stages[next:] {
		err := m.patiently(ctx, func() error {
			return m.c.do(ctx, s.role, http.MethodPost, "/v1/complaints/"+c.GetId()+":"+s.verb, s.body, &complaintv1.Complaint{})
		})
		if err != nil {
			return err
		}
	}
	return nil
}
