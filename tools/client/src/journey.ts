// From a new customer to the follow-up of a bad experience.
import { good, refused, type API, type Schemas, type Sessions } from "./session.js";
import { eventually, expect } from "./values.js";

const within = 30_000;

export interface Desk {
  department: string;
  agent: string;
  engineer: string;
  supervisor: string;
}

type Post = Schemas["kefu.ticket.v1.Post"];

/** Makes a department with two members of staff. */
export async function openDesk(sessions: Sessions): Promise<Desk> {
  const admin = await sessions.as("information-administrator");
  const department = await good(
    admin.POST("/v1/departments", {
      body: { code: `desk-${Date.now()}`, name: { zh: "售后服务部", en: "After-sales" }, function: "DEPARTMENT_FUNCTION_AFTER_SALES" },
    }),
  );
  const hire = async (name: string, post: Post) =>
    (await good(admin.POST("/v1/staff", { body: { name, departmentId: department.id, posts: [post] } }))).id;
  const agent = await hire("李雷", "POST_SERVICE_AGENT");
  const engineer = await hire("Han Mei", "POST_SUPPORT_ENGINEER");
  const supervisor = await hire("赵敏", "POST_SERVICE_SUPERVISOR");
  // One field of a department, though a new one needs more.
  const headed = await good(
    admin.PATCH("/v1/departments/{id}", {
      params: { path: { id: department.id }, header: { "If-Match": `"${department.etag}"` } },
      body: { headStaffId: agent },
    }),
  );
  expect(headed.headStaffId === agent && headed.code === department.code, "a head and nothing else changed");
  const staff = await good(admin.GET("/v1/staff/{id}", { params: { path: { id: agent } } }));
  expect(staff.posts.includes("POST_SERVICE_AGENT"), "the post that was given");
  return { department: department.id, agent, engineer, supervisor };
}

/** Registers a customer with a contact and an order. */
export async function register(sessions: Sessions): Promise<Schemas["kefu.customer.v1.Customer"]> {
  const crm = await sessions.as("crm-specialist");
  const customer = await good(
    crm.POST("/v1/customers", {
      params: { header: { "Idempotency-Key": `client-${Date.now()}` } },
      body: { name: "上海晨光机械有限公司", kind: "CUSTOMER_KIND_DIRECT_USER", party: "PARTY_ORGANISATION", phone: "021 6888 1234" },
    }),
  );
  const path = { customerId: customer.id };
  const contact = await good(crm.POST("/v1/customers/{customerId}/contacts", { params: { path }, body: { name: "王经理", phone: "13800138000" } }));
  const { contacts, nextPageToken } = await good(crm.GET("/v1/customers/{customerId}/contacts", { params: { path, query: { pageSize: 10 } } }));
  expect(contacts.length === 1 && contacts[0]?.id === contact.id && nextPageToken === "", "the one contact on one page");
  const found = await good(crm.GET("/v1/customerSummaries", { params: { query: { query: "晨光", pageSize: 5 } } }));
  expect(found.customerSummaries.some((s) => s.customerId === customer.id && s.openTickets === 0), "the customer by part of the name");
  const read = await crm.GET("/v1/customers/{id}", { params: { path: { id: customer.id }, header: { "If-None-Match": `"${customer.etag}"` } } });
  expect(read.response.status === 304, "nothing new about the customer");
  return customer;
}

/** Takes a ticket from new to resolved. */
export async function resolveTicket(sessions: Sessions, desk: Desk, customer: string): Promise<Schemas["kefu.ticket.v1.Ticket"]> {
  const supervisor = await sessions.as("service-supervisor", desk.supervisor);
  const agent = await sessions.as("service-agent", desk.agent);
  const ticket = await good(agent.POST("/v1/tickets", { body: { customerId: customer, channel: "CHANNEL_PHONE", title: "机器不启动" } }));
  const params = { path: { id: ticket.id } };
  const early = await refused(400, agent.POST("/v1/tickets/{id}:resolve", { params, body: { resolution: "too early" } }));
  expect(early === "TICKET_WRONG_STATE", "a ticket that is not resolved before its time");
  await good(
    supervisor.POST("/v1/tickets/{id}:triage", {
      params,
      body: { type: "TICKET_TYPE_REPAIR", priority: "PRIORITY_P2", departmentId: desk.department },
    }),
  );
  const assigned = await good(supervisor.POST("/v1/tickets/{id}:assign", { params, body: { staffId: desk.agent } }));
  const stale = await refused(
    412,
    agent.POST("/v1/tickets/{id}:start", { params: { ...params, header: { "If-Match": `"${ticket.etag}"` } }, body: {} }),
  );
  expect(stale === "ETAG_MISMATCH" && stale !== assigned.etag, "an old etag to be refused");
  await good(agent.POST("/v1/tickets/{id}:start", { params, body: {} }));
  await good(agent.POST("/v1/tickets/{id}:wait", { params, body: { waitFor: "WAIT_FOR_CUSTOMER", reason: "serial number" } }));
  await good(agent.POST("/v1/tickets/{id}:resume", { params, body: {} }));
  await good(agent.POST("/v1/tickets/{ticketId}/comments", { params: { path: { ticketId: ticket.id } }, body: { body: "请重启一次", public: true } }));
  const resolved = await good(agent.POST("/v1/tickets/{id}:resolve", { params, body: { resolution: "更换了电源" } }));
  expect(resolved.state === "TICKET_STATE_RESOLVED" && resolved.round === 1, "a resolved ticket");
  const { transitions } = await good(agent.GET("/v1/tickets/{ticketId}/transitions", { params: { path: { ticketId: ticket.id } } }));
  expect(transitions.some((t) => t.verb === "resolve" && t.from === "TICKET_STATE_IN_PROGRESS"), "the move in the history");
  return resolved;
}

/** Waits for the invitation of a case and answers it as its customer. */
export async function answer(
  sessions: Sessions,
  about: { ticketId: string } | { complaintId: string },
  score: number,
): Promise<Schemas["kefu.survey.v1.AnswerReceipt"]> {
  const manager = await sessions.as("service-manager");
  const invitation = await eventually("an invitation", within, async () => {
    const { invitations } = await good(manager.GET("/v1/invitations", { params: { query: about } }));
    return invitations[0];
  });
  const crm = await sessions.as("crm-specialist");
  const { token } = await good(crm.POST("/v1/invitations/{id}:issueLink", { params: { path: { id: invitation.id } }, body: {} }));
  const params = { path: { token } };
  const customer = sessions.unknown();
  const form = await good(customer.GET("/v1/answers/{token}", { params }));
  const receipt = await good(customer.POST("/v1/answers/{token}", { params, body: { responses: fill(form, score) } }));
  const again = await refused(400, customer.POST("/v1/answers/{token}", { params, body: { responses: [] } }));
  expect(again === "INVITATION_ANSWERED", "one answer an invitation");
  return receipt;
}

type Asked = Pick<Schemas["kefu.survey.v1.Question"], "key" | "type" | "required">;

function fill(form: { questionnaire?: { questions: Asked[] } }, score: number): Schemas["kefu.survey.v1.ResponseInput"][] {
  const asked = form.questionnaire?.questions.filter((q) => q.required) ?? [];
  return asked.map(({ key, type }) => {
    switch (type) {
      case "QUESTION_TYPE_RATING":
        return { questionKey: key, score };
      case "QUESTION_TYPE_NPS":
        return { questionKey: key, score: score * 2 };
      default:
        return { questionKey: key, text: "-" };
    }
  });
}

export async function fromTicketToFollowUp(sessions: Sessions): Promise<void> {
  const desk = await openDesk(sessions);
  const customer = await register(sessions);
  const ticket = await resolveTicket(sessions, desk, customer.id);
  const receipt = await answer(sessions, { ticketId: ticket.id }, 1);
  const manager = await sessions.as("service-manager");
  const followUp = await eventually("a follow-up ticket", within, () => findFollowUp(manager, receipt.answerId));
  expect(followUp.evidence?.score === 1 && followUp.evidence.ticketId === ticket.id, "the answer as evidence");
  const crm = await sessions.as("crm-specialist");
  await eventually("a profile with everything", within, async () => {
    const profile = await good(crm.GET("/v1/customers/{customerId}/profile", { params: { path: { customerId: customer.id }, query: { pageSize: 100 } } }));
    const types = new Set(profile.timeline.map((entry) => entry.type));
    const complete = ["ticket.created.v1", "ticket.resolved.v1", "answer.received.v1"].every((type) => types.has(type));
    return complete && profile.meanScore === 1 && profile.summary?.openTickets === 2 ? profile : undefined;
  });
  const results = await good(
    crm.GET("/v1/questionnaires/{questionnaireId}/results", { params: { path: { questionnaireId: await asked(manager, ticket.id) } } }),
  );
  expect(BigInt(results.answers) >= 1n && results.questions.length > 0, "the answer in the figures");
}

async function findFollowUp(manager: API, answerId: string): Promise<Schemas["kefu.ticket.v1.Ticket"] | undefined> {
  const { tickets } = await good(manager.GET("/v1/tickets", { params: { query: { answerId, states: ["TICKET_STATE_NEW", "TICKET_STATE_TRIAGED"] } } }));
  return tickets.find((t) => t.type === "TICKET_TYPE_FOLLOW_UP");
}

async function asked(manager: API, ticketId: string): Promise<string> {
  const { invitations } = await good(manager.GET("/v1/invitations", { params: { query: { ticketId } } }));
  const [first] = invitations;
  expect(first !== undefined, "the invitation that was answered");
  return first.questionnaireId;
}
