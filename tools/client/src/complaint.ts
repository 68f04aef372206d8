// A complaint through every stage.
import { answer, openDesk, register } from "./journey.js";
import { good, refused, type Schemas, type Sessions } from "./session.js";
import { eventually, expect } from "./values.js";

type Complaint = Schemas["kefu.complaint.v1.Complaint"];

function reached(complaint: Complaint, state: Schemas["kefu.complaint.v1.ComplaintState"]): void {
  expect(complaint.state === state, `a complaint that is ${state} and not ${complaint.state}`);
}

const proposal: Schemas["kefu.complaint.v1.ProposalInput"] = {
  findings: "fuse undersized",
  cause: "wrong part",
  validity: "VALIDITY_ESTABLISHED",
  remedy: "REMEDY_REPLACEMENT",
  solution: "new machine within two days",
  amount: { currencyCode: "CNY", units: "400" },
};

export async function throughEveryStage(sessions: Sessions): Promise<void> {
  const desk = await openDesk(sessions);
  const customer = await register(sessions);
  const agent = await sessions.as("service-agent", desk.agent);
  const handler = await sessions.as("support-engineer", desk.engineer);
  const supervisor = await sessions.as("service-supervisor");
  const manager = await sessions.as("service-manager");
  const opened = await good(
    agent.POST("/v1/complaints", {
      body: { customerId: customer.id, channel: "CHANNEL_PHONE", title: "维修三次仍有故障", category: "CATEGORY_AFTER_SALES_SERVICE" },
    }),
  );
  reached(opened, "COMPLAINT_STATE_RECEIVED");
  const params = { path: { id: opened.id } };
  reached(await good(agent.POST("/v1/complaints/{id}:submit", { params, body: {} })), "COMPLAINT_STATE_SUBMITTED");
  reached(
    await good(
      supervisor.POST("/v1/complaints/{id}:review", {
        params,
        body: {
          category: "CATEGORY_AFTER_SALES_SERVICE",
          quality: "QUALITY_NON_QUALITY",
          severity: "SEVERITY_GENERAL",
          validAtFirstSight: true,
          departmentId: desk.department,
        },
      }),
    ),
    "COMPLAINT_STATE_REVIEWED",
  );
  // The complaint desk learns of new staff by event.
  await eventually("a handler", 30_000, async () => {
    const { data } = await manager.POST("/v1/complaints/{id}:assign", { params, body: { handlerStaffId: desk.engineer } });
    return data;
  });
  const contacted = await good(
    handler.POST("/v1/complaints/{id}:recordContact", { params, body: { channel: "CHANNEL_PHONE", twoWay: true, note: "heard her out" } }),
  );
  reached(contacted, "COMPLAINT_STATE_CONTACTED");
  reached(await good(handler.POST("/v1/complaints/{id}:propose", { params, body: { proposal } })), "COMPLAINT_STATE_PROPOSED");
  const own = await refused(403, handler.POST("/v1/complaints/{id}:approve", { params, body: { decision: "DECISION_APPROVED" } }));
  expect(own === "PERMISSION_DENIED", "a second person to agree");
  reached(
    await good(manager.POST("/v1/complaints/{id}:approve", { params, body: { decision: "DECISION_APPROVED" } })),
    "COMPLAINT_STATE_APPROVED",
  );
  reached(
    await good(handler.POST("/v1/complaints/{id}:tell", { params, body: { channel: "CHANNEL_PHONE", told: "explained and apologised" } })),
    "COMPLAINT_STATE_TOLD",
  );
  await answer(sessions, { complaintId: opened.id }, 5);
  await eventually("the survey's answer on the complaint", 30_000, async () => {
    const { answer } = await good(manager.GET("/v1/complaints/{id}", { params }));
    return answer?.satisfaction === "SATISFACTION_SATISFIED" ? answer : undefined;
  });
  const ended = await good(manager.POST("/v1/complaints/{id}:close", { params, body: {} }));
  reached(ended, "COMPLAINT_STATE_CLOSED");
  expect(ended.outcome === "OUTCOME_SATISFIED" && ended.rounds.length === 1, "a satisfied customer after one round");
  expect(ended.proposal?.amount?.units === "400", "the amount that was proposed");
  const path = { complaintId: opened.id };
  const { contacts } = await good(manager.GET("/v1/complaints/{complaintId}/contacts", { params: { path } }));
  const { transitions } = await good(manager.GET("/v1/complaints/{complaintId}/transitions", { params: { path } }));
  expect(contacts.length >= 1 && transitions.length >= 8, "every contact and every move");
}
