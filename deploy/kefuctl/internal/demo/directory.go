package demo

import (
	"context"
	"net/http"
	"net/url"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"

	"github.com/kefu-suite/kefu/deploy/kefuctl/internal/progress"
)

// Roles in which the demo calls.
const (
	administrator = "information-administrator"
	crm           = "crm-specialist"
	manager       = "service-manager"
	supervisor    = "service-supervisor"
	agent         = "service-agent"
	company       = "company-manager"
)

// post is a member of staff to be. The subject is that of `kefuctl token --role ROLE`,
// so that such a token is known to the directory; who shares a role is told apart by
// --staff SUBJECT.
type post struct {
	subject, name string
	post          ticketv1.Post
}

// unit is a standard department with its people, the head first.
type unit struct {
	code, zh, en string
	function     ticketv1.DepartmentFunction
	parent       string
	staff        []post
}

// organisation is the standard one, parents before children.
func organisation() []unit {
	return []unit{
		{"management", "公司管理层", "Company management", ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_COMPANY_MANAGEMENT, "", []post{
			{"dev-company-manager", "周建国", ticketv1.Post_POST_COMPANY_MANAGER}, {"dev-auditor", "钱慎", ticketv1.Post_POST_AUDITOR}}},
		{"customer-service", "客户服务部", "Customer service", ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_CUSTOMER_SERVICE, "", []post{
			{"dev-service-manager", "王芳", ticketv1.Post_POST_SERVICE_MANAGER}, {"dev-service-supervisor", "赵敏", ticketv1.Post_POST_SERVICE_SUPERVISOR},
			{"dev-service-agent", "陈静", ticketv1.Post_POST_SERVICE_AGENT}, {"dev-service-agent-2", "Emily Carter", ticketv1.Post_POST_SERVICE_AGENT}}},
		{"technical-support", "技术支持部", "Technical support", ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_TECHNICAL_SUPPORT, "", []post{
			{"dev-support-engineer", "李强", ticketv1.Post_POST_SUPPORT_ENGINEER}, {"dev-support-engineer-2", "孙浩", ticketv1.Post_POST_SUPPORT_ENGINEER}}},
		{"after-sales", "售后服务部", "After-sales service", ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_AFTER_SALES, "", []post{
			{"dev-after-sales-specialist", "刘洋", ticketv1.Post_POST_AFTER_SALES_SPECIALIST}, {"dev-after-sales-specialist-2", "何磊", ticketv1.Post_POST_AFTER_SALES_SPECIALIST}}},
		{"customer-relations", "客户关系管理部", "Customer relations", ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_CUSTOMER_RELATIONS, "", []post{
			{"dev-crm-specialist", "杨雪", ticketv1.Post_POST_CRM_SPECIALIST}}},
		{"sales-and-supply", "供销部", "Sales and supply", ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_SALES_AND_SUPPLY, "", []post{
			{"dev-sales-manager", "吴军", ticketv1.Post_POST_SALES_MANAGER}, {"dev-salesperson", "郑凯", ticketv1.Post_POST_SALESPERSON},
			{"dev-information-administrator", "冯丽", ticketv1.Post_POST_INFORMATION_ADMINISTRATOR}}},
		{"quality-control", "质检部", "Quality control", ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_QUALITY_CONTROL, "", []post{
			{"dev-qc-inspector", "许明", ticketv1.Post_POST_QC_INSPECTOR}, {"dev-qc-inspector-2", "沈洁", ticketv1.Post_POST_QC_INSPECTOR}}},
		{"complaint-desk", "投诉处理", "Complaint desk", ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_COMPLAINT_DESK, "customer-service", []post{
			{"dev-service-supervisor-2", "韩梅", ticketv1.Post_POST_SERVICE_SUPERVISOR}}},
		{"satisfaction", "满意度管理", "Satisfaction management", ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_SATISFACTION, "customer-relations", []post{
			{"dev-crm-specialist-2", "唐宁", ticketv1.Post_POST_CRM_SPECIALIST}}},
		{"process-improvement", "流程改进小组", "Process improvement team", ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_PROCESS_IMPROVEMENT, "", []post{
			{"dev-service-manager-2", "曹颖", ticketv1.Post_POST_SERVICE_MANAGER}}},
		{"research-and-development", "研发部", "Research and development", ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_RESEARCH_AND_DEVELOPMENT, "", []post{
			{"dev-support-engineer-3", "彭飞", ticketv1.Post_POST_SUPPORT_ENGINEER}}},
	}
}

// directory is the organisation as it stands in the suite.
type directory struct {
	departments map[string]string // code → id
	staff       map[string]string // subject → id
}

// ensureDirectory makes the departments and staff that are missing; what is there stays
// as it is, but a department without a head gets one.
func ensureDirectory(ctx context.Context, c *Client, p *progress.Progress) (*directory, *tally, *tally, error) {
	units := organisation()
	people := 0
	for _, u := range units {
		people += len(u.staff)
	}
	departments, staff := newTally("departments", len(units)), newTally("staff", people)
	part := p.Begin("directory", len(units)+people)
	defer part.End()
	d := &directory{departments: map[string]string{}, staff: map[string]string{}}
	for _, u := range units {
		department, created, err := d.department(ctx, c, u)
		if err != nil {
			return nil, nil, nil, err
		}
		d.departments[u.code] = department.GetId()
		departments.one(created)
		part.Add(1)
		for _, s := range u.staff {
			created, err := d.member(ctx, c, department.GetId(), s)
			if err != nil {
				return nil, nil, nil, err
			}
			staff.one(created)
			part.Add(1)
		}
		if department.GetHeadStaffId() == "" {
			if err := appoint(ctx, c, department, d.staff[u.staff[0].subject]); err != nil {
				return nil, nil, nil, err
			}
		}
	}
	return d, departments, staff, nil
}

func (d *directory) department(ctx context.Context, c *Client, u unit) (*ticketv1.Department, bool, error) {
	list := &ticketv1.ListDepartmentsResponse{}
	if err := c.do(ctx, administrator, http.MethodGet, "/v1/departments?"+url.Values{"code": {u.code}}.Encode(), nil, list); err != nil {
		return nil, false, err
	}
	if len(list.GetDepartments()) > 0 {
		return list.GetDepartments()[0], false, nil
	}
	made := &ticketv1.Department{}
	err := c.do(ctx, administrator, http.MethodPost, "/v1/departments", &ticketv1.Department{
		Code: u.code, Name: text(u.zh, u.en), Function: u.function, ParentId: d.departments[u.parent],
	}, made)
	return made, true, err
}

func (d *directory) member(ctx context.Context, c *Client, department string, s post) (bool, error) {
	list := &ticketv1.ListStaffResponse{}
	if err := c.do(ctx, administrator, http.MethodGet, "/v1/staff?"+url.Values{"subject": {s.subject}}.Encode(), nil, list); err != nil {
		return false, err
	}
	if len(list.GetStaff()) > 0 {
		d.staff[s.subject] = list.GetStaff()[0].GetId()
		return false, nil
	}
	made := &ticketv1.Staff{}
	err := c.do(ctx, administrator, http.MethodPost, "/v1/staff", &ticketv1.Staff{
		Name: s.name, DepartmentId: department, Posts: []ticketv1.Post{s.post}, Languages: []string{"zh-CN", "en"}, Subject: s.subject,
	}, made)
	d.staff[s.subject] = made.GetId()
	return true, err
}

// appoint makes a member of staff the head: a PATCH changes what its body holds.
func appoint(ctx context.Context, c *Client, department *ticketv1.Department, staff string) error {
	return c.do(ctx, administrator, http.MethodPatch, "/v1/departments/"+department.GetId(),
		&ticketv1.Department{HeadStaffId: staff, Etag: department.GetEtag()}, &ticketv1.Department{})
}
