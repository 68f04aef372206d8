// Package accesstest holds the table of who may do what, written a second time from the
// company's rules and not from the code's table, and what tests need to compare the two.
// A right that is given or taken has to be given or taken in both.
package accesstest

import (
	"fmt"
	"strings"
	"testing"
)

// Roles are the columns of the table, in this order.
func Roles() []string {
	return []string{
		"service-manager", "service-supervisor", "service-agent", "support-engineer", "after-sales-specialist",
		"crm-specialist", "information-administrator", "qc-inspector", "salesperson", "sales-manager",
		"company-manager", "auditor", "customer",
	}
}

// Reach is how far somebody's right to call a method goes.
type Reach int

// Each reach includes those before it.
const (
	None Reach = iota
	Own
	Team
	Company
)

// Covers tells whether a row that is the caller's own, of their team or of others is within.
func (r Reach) Covers(row Reach) bool { return r != None && row <= r }

// Line is one method.
type Line struct {
	// Method as grpc writes it: /package.Service/Method.
	Method string
	Public bool
	// Permissions of which a service account needs one.
	Permissions []string
	// Callers are the services that may call with their certificate.
	Callers []string
	reach   map[string]Reach
}

// Role is how far the role reaches.
func (l Line) Role(role string) Reach { return l.reach[role] }

// table has a line for each group of methods: service, methods, a letter for each role
// (* company, t team, o own, . nothing) or "public", permissions, callers.
//
// Columns: service manager, supervisor, agent; support engineer, after-sales, CRM;
// information administrator, QC; salesperson, sales manager; company manager; auditor; customer.
const table = `
ticket.v1.TicketService  CreateTicket                                    *to.o.......o tickets.create
ticket.v1.TicketService  GetTicket,ListTickets,ListComments              *toto.......o tickets.read
ticket.v1.TicketService  UpdateTicket,StartTicket,WaitTicket             *toto........ tickets.work
ticket.v1.TicketService  ResumeTicket,ResolveTicket                      *toto........ tickets.work
ticket.v1.TicketService  TriageTicket,PrioritizeTicket                   *to.......... tickets.triage
ticket.v1.TicketService  AssignTicket,MergeTicket                        *to.......... tickets.assign
ticket.v1.TicketService  ConfirmTicket                                   *to.........o tickets.confirm
ticket.v1.TicketService  ReopenTicket                                    *to.........o tickets.reopen
ticket.v1.TicketService  CancelTicket                                    *to.........o tickets.cancel
ticket.v1.TicketService  CreateComment                                   *toto.......o tickets.comment
ticket.v1.TicketService  ListTransitions,ListTicketClocks                *toto........ tickets.history
ticket.v1.TicketService  ExplainTicketClock                              *toto........ tickets.history
ticket.v1.TicketService  RecordTicketContact                             *toto........ tickets.work
ticket.v1.TicketService  ListTicketContacts                              *toto........ tickets.history
ticket.v1.TicketService  RetargetTicket                                  *............ tickets.retarget
clock.v1.TicketPolicyService GetPolicy,ListPolicies,ValidatePolicy      **........... ticketpolicies.read
clock.v1.TicketPolicyService DiffPolicies                               **........... ticketpolicies.read
clock.v1.TicketPolicyService CreatePolicy,UpdatePolicy,PublishPolicy    *............ ticketpolicies.write
clock.v1.TicketPolicyService DryRunPolicy                               *............ ticketpolicies.write
ticket.v1.TicketService  ImportTickets                                   ......*...... tickets.import
ticket.v1.DirectoryService GetDepartment,ListDepartments,GetStaff,ListStaff ************. directory.read
ticket.v1.DirectoryService CreateDepartment,UpdateDepartment             *.....*...... directory.write
ticket.v1.DirectoryService CloseDepartment,ReopenDepartment             *.....*...... directory.write
ticket.v1.DirectoryService CreateStaff,UpdateStaff                       *.....*...... directory.write
ticket.v1.OrganisationService SetStaffStatus                             *toooo*oooo.. staff.status
ticket.v1.OrganisationService ListRoutes,ResolveRoute,ListSubstitutions  ************. directory.read
ticket.v1.OrganisationService GetStation,ListStations,FindNearestStation ************. directory.read
ticket.v1.OrganisationService SetRoute,DeleteRoute                       *.....*...... directory.write
ticket.v1.OrganisationService CreateSubstitution,DeleteSubstitution      *.....*...... directory.write
ticket.v1.OrganisationService CreateStation,UpdateStation                *.....*...... directory.write
ticket.v1.DutyService    ListDutyRosters,ListDutyShifts                  ************. directory.read
ticket.v1.DutyService    GetDutyGaps,GetOnDuty                           ************. directory.read
ticket.v1.DutyService    CreateDutyRoster,UpdateDutyRoster               *.....*...... directory.write
ticket.v1.DutyService    CreateDutyShift,DeleteDutyShift                 *.....*...... directory.write
ticket.v1.HotlineService ListHotlines,GetHotlineStatus                   ************. directory.read
ticket.v1.HotlineService CreateHotline,UpdateHotline,DeleteHotline       *.....*...... directory.write
ticket.v1.HotlineService PublishHotlines                                 *.....*...... directory.write
ticket.v1.HotlineService GetHotlinePublication                           public
ticket.v1.TriageService  GetTriageRules,ListTriageRules,ValidateTriageRules **........... ticketpolicies.read
ticket.v1.TriageService  ListTriageModels                                **........... ticketpolicies.read
ticket.v1.TriageService  CreateTriageRules,UpdateTriageRules             *............ ticketpolicies.write
ticket.v1.TriageService  PublishTriageRules,TrainTriageModel             *............ ticketpolicies.write
ticket.v1.TriageService  SuggestTriage                                   *to.......... tickets.triage
ticket.v1.TriageService  GetTicketTriage                                 *toto........ tickets.history
ticket.v1.IntakeService  TakeIn,FindOpenCases                            *to.o........ tickets.intake
ticket.v1.IntakeService  CreateConnector,RotateConnectorSecret,SwitchConnector *.....*...... directory.write
ticket.v1.IntakeService  ListConnectors                                  ************. directory.read
ticket.v1.IntakeService  GetContactForm,SubmitContactForm,ReceiveMessage public
ticket.v1.StandardService SetStandardException,EndStandardException       *............ ticketpolicies.write
ticket.v1.StandardService ListStandardExceptions                         **........... ticketpolicies.read
ticket.v1.StandardService RequestEscalation                              *toto.......o tickets.comment
ticket.v1.StandardService DecideEscalation,FindEscalations               *t........... tickets.escalate
ticket.v1.StandardService FindTicketEscalations                          *toto.......o tickets.read
ticket.v1.TaskService    CreateTask,CancelTask,ChangeTask                *toto........ tickets.work
ticket.v1.TaskService    ListTicketTasks                                 *toto........ tickets.history
ticket.v1.TaskService    CompleteTask,ListTasks                          *tooooooooo.. tasks.work
ticket.v1.QueueService   NextTicket,SuggestAssignees                     *to.......... tickets.assign
ticket.v1.QueueService   AutoAssignTicket,TransferTicket                 *to.......... tickets.assign
ticket.v1.HandoverService PreviewHandover,HandOver                       *to.......... tickets.assign
ticket.v1.QueueService   SetTicketNeeds                                  *to.......... tickets.triage
ticket.v1.WorkService    CreateSolutionPlan,CreateWorkEntry              *toto........ tickets.work
ticket.v1.WorkService    VoidWorkEntry,LinkTickets,UnlinkTickets         *toto........ tickets.work
ticket.v1.WorkService    ListSolutionPlans,ListWorkEntries,FindWatchers  *toto........ tickets.history
ticket.v1.WorkService    AddWatcher,RemoveWatcher,FindTicketLinks        *toto........ tickets.history
ticket.v1.WorkService    UnmergeTicket                                   *to.......... tickets.assign
ticket.v1.CannedAnswerService CreateCannedAnswer,UpdateCannedAnswer      *............ cannedanswers.write
ticket.v1.CannedAnswerService DeleteCannedAnswer                         *............ cannedanswers.write
ticket.v1.CannedAnswerService ListCannedAnswers                          *****........ cannedanswers.read
ticket.v1.CannedAnswerService RenderCannedAnswer                         *toto........ tickets.history
ticket.v1.DeskService    ListTimeline                                    *toto.......o tickets.read
ticket.v1.DeskService    CountQueues,WatchTickets                        *toto........ tickets.history
ticket.v1.OutreachService CreateFaultNotice,RepeatFaultNotice            *............ faultnotices.write
ticket.v1.OutreachService GetFaultNotice,ListFaultNotices                *****..*..... faultnotices.read
ticket.v1.OutreachService ListFaultContacts                              *****..*..... faultnotices.read
ticket.v1.BulkService    BulkTickets                                     *toto........ tickets.work
calendar.v1.CalendarService GetCalendar,ListCalendars,ComputeDue         ************. calendars.read
calendar.v1.CalendarService CreateCalendar,UpdateCalendar,SetYear        *.....*...... calendars.write
complaint.v1.ComplaintService CreateComplaint                            *to...*..**.o complaints.register
complaint.v1.ComplaintService GetComplaint,ListComplaints                *toooootot*.o complaints.read
complaint.v1.ComplaintService SubmitComplaint,NextRound                  *to...o..oo.. complaints.submit
complaint.v1.ComplaintService ReviewComplaint                            *to.......... complaints.review
complaint.v1.ComplaintService AssignComplaint                            *t.ttt.t.t*.. complaints.assign
complaint.v1.ComplaintService RecordContact,ProposeSolution              *tooooooooo.. complaints.work
complaint.v1.ComplaintService TellResult,RecordAnswer                    *tooooooooo.. complaints.work
complaint.v1.ComplaintService ApproveSolution                            *t........*.. complaints.approve
complaint.v1.ComplaintService CloseComplaint                             *t........*.. complaints.close
complaint.v1.ComplaintService ListComplaintContacts,ListComplaintTransitions *toooootot*.. complaints.history
complaint.v1.ComplaintService ListComplaintClocks,ExplainComplaintClock  *toooootot*.. complaints.history
complaint.v1.ComplaintService ReopenComplaint                            *to...o..oo.o complaints.reopen
complaint.v1.ComplaintStatusService GetComplaintStatus                   public
complaint.v1.ComplaintReceiverService RenewReceipt                       *to...o..oo.. complaints.submit
complaint.v1.ComplaintReceiverService GetComplaintReceivers              ************. directory.read
complaint.v1.ComplaintReceiverService SetComplaintReceivers              *............ complaints.designate
complaint.v1.ComplaintService RetargetComplaint                          *............ complaints.retarget
clock.v1.ComplaintPolicyService GetPolicy,ListPolicies,ValidatePolicy    **........... complaintpolicies.read
clock.v1.ComplaintPolicyService DiffPolicies                             **........... complaintpolicies.read
clock.v1.ComplaintPolicyService CreatePolicy,UpdatePolicy,PublishPolicy  *............ complaintpolicies.write
clock.v1.ComplaintPolicyService DryRunPolicy                             *............ complaintpolicies.write
complaint.v1.SeverityService GetSeverityPolicy,ListSeverityPolicies      **........... complaintpolicies.read
complaint.v1.SeverityService PublishSeverityPolicy                       *............ complaintpolicies.write
complaint.v1.SeverityService GetComplaintRepeats                        *toooootot*.. complaints.history
complaint.v1.InvestigationService RecordInvestigation                    *tooooooooo.. complaints.work
complaint.v1.InvestigationService ConfirmQuality                         .......t..... complaints.inspect
complaint.v1.InvestigationService CreateCause,UpdateCause                *............ causes.write
complaint.v1.InvestigationService GetCauseTree                             ***********.. causes.read
complaint.v1.RemedyService RecordExecution                               *tooooooooo.. complaints.work
complaint.v1.ResponsibilityService ProposeResponsibility                 *toooootooo.. complaints.work,complaints.inspect
complaint.v1.ResponsibilityService ObjectResponsibility                  *toooootot*.. complaints.history
complaint.v1.ResponsibilityService AppealResponsibility                  *toooootot*.. complaints.history
complaint.v1.ResponsibilityService DetermineResponsibility               .........**.. complaints.determine
complaint.v1.ResponsibilityService DecideResponsibility                  ..........*.. complaints.decide
complaint.v1.ResponsibilityService GetResponsibility                     *toooooto**.. complaints.history,complaints.determine
complaint.v1.AssessmentService CreateAssessment,ApproveAssessment        *........**.. complaints.assess
complaint.v1.AssessmentService AppealAssessment                          *toooootot*.. complaints.history
complaint.v1.AssessmentService DecideAssessment                          ..........*.. complaints.decide
complaint.v1.AssessmentService ListAssessments                           *toooooto**.. complaints.history,complaints.assess
complaint.v1.ComplaintReportService ListDueComplaints,GetComplaintReport  *toooootot*.. complaints.history
complaint.v1.ComplaintService ImportComplaints                           ......*...... complaints.import
survey.v1.QuestionnaireService GetQuestionnaire,ListQuestionnaires       *....*....... questionnaires.read
survey.v1.QuestionnaireService CreateQuestionnaire,UpdateQuestionnaire   .....*....... questionnaires.write
survey.v1.QuestionnaireService PublishQuestionnaire                      .....*....... questionnaires.write
survey.v1.QuestionnaireService GetResults                                **...*...**.. results.read
survey.v1.QuestionnaireService ListAnswers                               .....*....... answers.read
survey.v1.QuestionnaireService ImportAnswers                             ......*...... answers.import
survey.v1.DesignService CheckQuestionnaire,ExportQuestionnaire,FindAspects *....*....... questionnaires.read
survey.v1.DesignService CopyQuestionnaire,ImportQuestionnaire            .....*....... questionnaires.write
survey.v1.InvitationService GetInvitation,ListInvitations                *....*....... invitations.read
survey.v1.InvitationService CreateInvitation,IssueLink,RevokeInvitation  .....*....... invitations.write
survey.v1.AnswerService  GetAnswerForm,SaveAnswerProgress,SubmitAnswer   public
survey.v1.AnswerService  WithdrawAnswer                                  public
survey.v1.EntryService GetEntryForm,EnterAnswer,WithdrawEnteredAnswer    .....*....... answers.enter
survey.v1.AnalysisService AnalyzeAnswers,ExportAnalysis                  **...*...**.. results.read
survey.v1.CampaignService GetCampaign,ListCampaigns,GetCampaignProgress  *....*....... invitations.read
survey.v1.CampaignService ListCampaignMembers,ListUncovered              *....*....... invitations.read
survey.v1.CampaignService CreateCampaign,UpdateCampaign,ScheduleCampaign .....*....... invitations.write
survey.v1.CampaignService PauseCampaign,ResumeCampaign,StopCampaign      .....*....... invitations.write
survey.v1.FollowUpService GetAnswerTrace                                 .....*....... answers.read
survey.v1.CleaningService GetCleaningRules,GetCleaning                   **...*...**.. results.read
survey.v1.CleaningService SetCleaningRules,JudgeAnswer                   .....*....... questionnaires.write
survey.v1.CleaningService ListFlaggedAnswers                             .....*....... answers.read
survey.v1.TopicService   GetTopicDictionary,GetTopics                    **...*...**.. results.read
survey.v1.TopicService   SetTopicDictionary,SetTextTopics                .....*....... questionnaires.write
survey.v1.TopicService   ListCodedTexts                                  .....*....... answers.read
customer.v1.CustomerService CreateCustomer,UpdateCustomer                .....**...... customers.write
customer.v1.CustomerService GetCustomer                                  ***oo**oooo.o customers.read,customers.readmasked,grants.use,visits.read
customer.v1.CustomerService UnmaskCustomer                               ***.......... customers.unmask
customer.v1.CustomerService SetTier                                      ......*...... customers.tier
customer.v1.CustomerService SetConsent                                   .....*......o consents.write
customer.v1.CustomerService ImportCustomers                              ......*...... customers.import
customer.v1.CustomerService ListCustomerSummaries                        ***..**.o*... summaries.read
customer.v1.CustomerService GetProfile                                   ***oo**oooo.o profiles.read,profiles.readmasked,grants.use
customer.v1.CustomerService ResolveCustomer                              ............. - service-ticket,complaint,survey
customer.v1.ContactService GetContact,ListContacts                       ***oo**oooo.o contacts.read,contacts.readmasked,grants.use,visits.read
customer.v1.ContactService CreateContact,UpdateContact,DeleteContact,VerifyContact .....**...... contacts.write
customer.v1.OrderService ListOrders,ListInstalledProducts                ***oo**oooo.o orders.read,grants.use
customer.v1.OrderService UpsertOrder,UpsertInstalledProduct              ......*...... orders.write
customer.v1.ConsentService ListConsents                                  ***..**.....o consents.read
customer.v1.ConsentService ReserveContact                                ............. - survey
customer.v1.AccessRequestService CreateAccessRequest,ExtractAccessRequest ooooooooooo.. accessrequests.create
customer.v1.AccessRequestService GetAccessRequest,ListAccessRequests     ooooooooo***. accessrequests.read
customer.v1.AccessRequestService ApproveAccessRequest,RefuseAccessRequest .........**.. accessrequests.decide
customer.v1.AccessRequestService RevokeAccessRequest                     ooooooooo**.. accessrequests.decide,accessrequests.create
customer.v1.BreakGlassService CreateBreakGlass                           ooo..o...oo.. breakglass.use
customer.v1.BreakGlassService GetBreakGlass,ListBreakGlasses             ooo..o...***. breakglass.read
customer.v1.BreakGlassService ReviewBreakGlass                           .........**.. breakglass.review
customer.v1.AccessReviewService GetAccessReview,ListAccessReviews        ...........*. accessreviews.read
customer.v1.AccessReviewService ListAccessReviewReaders,ListAccessReviewGrants,ListDueAccessReviews ...........*. accessreviews.read
customer.v1.AccessReviewService SignAccessReview                         ...........*. accessreviews.sign
customer.v1.SubjectRequestService CreateSubjectRequest,GetSubjectRequest,ListSubjectRequests .....**.....o subjectrequests.create
customer.v1.SubjectRequestService ApproveSubjectRequest,RefuseSubjectRequest,ListLegalHolds .....**...... subjectrequests.decide
customer.v1.SubjectRequestService ReadSubjectDocument                    ......*.....o subjectdocuments.read
customer.v1.SubjectRequestService CreateLegalHold,LiftLegalHold          ......*...... legalholds.write
subject.v1.SubjectService ExportSubject,EraseSubject,CorrectSubject      ............. - customer-registry
customer.v1.FileService GetFieldStates                                   ***oo**oooo.o customers.read,customers.readmasked,grants.use
customer.v1.FileService VerifyCustomer,ConfirmCustomer                   .....**...... customers.write
customer.v1.FileService RetireCustomer,RestoreCustomer                   .....**...... customers.write
customer.v1.FileService ListOverdueFiles,ListMaintenancePlans            ***..**.o*... summaries.read
customer.v1.FileService ListCustomerChanges                              .....**...... customerchanges.read
customer.v1.FileService SetMaintenancePlan                               ......*...... maintenanceplans.write
customer.v1.AttributeService GetAttributeDefinition                      ***..**.o*... summaries.read
customer.v1.AttributeService ListAttributeDefinitions                    ***..**.o*... summaries.read
customer.v1.AttributeService CreateAttributeDefinition                   ......*...... attributes.write
customer.v1.AttributeService UpdateAttributeDefinition                   ......*...... attributes.write
customer.v1.PurchaseService ImportPurchases,StreamPurchases              ......*...... orders.write
customer.v1.PurchaseCheckService CheckPurchase                           ............. - complaint
customer.v1.WarrantyService GetWarrantyState                             ***oo**oooo.o orders.read,grants.use service-ticket
customer.v1.WarrantyService GetWarrantyPolicy,ListWarrantyPolicies       ************. warranties.read
customer.v1.WarrantyService CreateWarrantyPolicy                         *.....*...... warranties.prepare
customer.v1.WarrantyService PublishWarrantyPolicy                        .........**.. warranties.publish
customer.v1.TierService  GetTierModel,ListTierModels,GetTierRun          *....**..**.. tiers.read
customer.v1.TierService  ListTierRuns,ListTierMoves,GetStanding          *....**..**.. tiers.read
customer.v1.TierService  CreateTierModel,CreateTierRun                   .....*...*... tiers.prepare
customer.v1.TierService  PublishTierModel,ApplyTierRun                   .........**.. tiers.decide
customer.v1.TierService  MarkCustomer                                    .........**.. tiers.mark
customer.v1.CustomerImportService CreateCustomerImport,UploadCustomerImport,GetCustomerImport,ListCustomerImports ......*...... customers.import
customer.v1.CustomerImportService ListCustomerImportErrors,ListCustomerImportReviews,DecideCustomerImportReview ......*...... customers.import
customer.v1.CustomerImportService RunCustomerImport,CancelCustomerImport ......*...... customers.import
customer.v1.CustomerExportService ExportCustomers                        **....*...... customers.export
audit.v1.AuditService    ListAuditRecords                                ...........*. auditrecords.read
customer.v1.SegmentService GetSegment,ListSegments,ComputeSegment        .....**..*... segments.read
customer.v1.SegmentService CountSegment,ListSegmentMembers               .....**..*... segments.read
customer.v1.SegmentService CreateSegment,UpdateSegment,DeleteSegment     .....**...... segments.write
customer.v1.SegmentService StreamSegmentMembers                          ............. - survey
customer.v1.ChangeReportService CreateChangeReport                       ooooooooooo.o changereports.create
customer.v1.ChangeReportService GetChangeReport,ListChangeReports        oooooo*oooo.o changereports.read
customer.v1.ChangeReportService ApplyChangeReport,RefuseChangeReport     ......*...... changereports.decide
customer.v1.CallerService LookupCaller                                   ............. callers.lookup
customer.v1.QualityService GetCustomerQuality,ListCustomerQualities      .....**..*... quality.read
customer.v1.QualityService ListQualitySnapshots                          .....**..*... quality.read
event.v1.EventService    StreamEvents                                    ............. events.read customer-registry,service-ticket,complaint,survey,gateway
`

// Table returns the lines by method. A line that cannot be read fails the test.
func Table(t testing.TB) map[string]Line {
	t.Helper()
	out := map[string]Line{}
	for text := range strings.SplitSeq(strings.TrimSpace(table), "\n") {
		parts := strings.Fields(text)
		if len(parts) < 3 {
			t.Fatalf("line %q has %d parts", text, len(parts))
		}
		line, err := read(parts[2:])
		if err != nil {
			t.Fatalf("line %q: %v", text, err)
		}
		for name := range strings.SplitSeq(parts[1], ",") {
			line.Method = "/kefu." + parts[0] + "/" + name
			if _, twice := out[line.Method]; twice {
				t.Fatalf("%s stands in the table twice", line.Method)
			}
			out[line.Method] = line
		}
	}
	return out
}

func read(parts []string) (Line, error) {
	if parts[0] == "public" {
		return Line{Public: true}, nil
	}
	line := Line{reach: map[string]Reach{}}
	if len(parts[0]) != len(Roles()) {
		return line, fmt.Errorf("%d letters for %d roles", len(parts[0]), len(Roles()))
	}
	for i, role := range Roles() {
		reach, ok := map[byte]Reach{'.': None, 'o': Own, 't': Team, '*': Company}[parts[0][i]]
		if !ok {
			return line, fmt.Errorf("letter %q", parts[0][i])
		}
		line.reach[role] = reach
	}
	if len(parts) > 1 && parts[1] != "-" {
		line.Permissions = strings.Split(parts[1], ",")
	}
	if len(parts) > 2 {
		line.Callers = strings.Split(parts[2], ",")
	}
	return line, nil
}
