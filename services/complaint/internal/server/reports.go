package server

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	"github.com/kefu-suite/kefu/runtime/page"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
	"github.com/kefu-suite/kefu/services/complaint/internal/db"
	"github.com/kefu-suite/kefu/services/internal/clock"
)

const (
	// longestPeriod bounds what one report reads.
	longestPeriod = 366 * 24 * time.Hour
	// mostGroups is how many groups a report has.
	mostGroups = 100
)

// scoped is what a caller's figures and lists are made of: the keys of whoever may not read
// everything, and themselves where they are staff, whom nothing about them is told.
func (s *Server) scoped(ctx context.Context) (readers []string, self *uuid.UUID, err error) {
	who, err := s.caller(ctx, s.pool)
	if err != nil {
		return nil, nil, err
	}
	if !who.viewer.Everything() {
		readers = who.viewer.Keys()
	}
	return readers, pointer(who.Staff), nil
}

// dueCursor is where a page of deadlines begins.
func dueCursor(cursor string) (time.Time, uuid.UUID, error) {
	at, after, _ := strings.Cut(cursor, " ")
	micros, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return time.Time{}, uuid.Nil, fmt.Errorf("cursor of a page: %w", err)
	}
	last, err := uuid.Parse(after)
	if err != nil {
		return time.Time{}, uuid.Nil, fmt.Errorf("cursor of a page: %w", err)
	}
	return time.UnixMicro(micros).UTC(), last, nil
}

// ListDueComplaints lists running deadlines, soonest first.
func (s *Server) ListDueComplaints(ctx context.Context, req *complaintv1.ListDueComplaintsRequest) (*complaintv1.ListDueComplaintsResponse, error) {
	readers, self, err := s.scoped(ctx)
	if err != nil {
		return nil, err
	}
	size := page.Size(req.GetPageSize())
	f := db.DueFilter{
		OwnerID: optional(req.GetOwnerStaffId()), DepartmentID: optional(req.GetDepartmentId()), Severity: int16(req.GetSeverity()),
		Readers: readers, NotAccused: self, AfterTime: time.Unix(0, 0).UTC(), Size: size + 1,
	}
	if req.GetDueBefore() != nil {
		until, err := instantIn("due_before", req.GetDueBefore())
		if err != nil {
			return nil, err
		}
		f.Until = &until
	}
	cursor, err := s.pages.Open(ctx, req, req.GetPageToken())
	if err != nil {
		return nil, err
	}
	if cursor != "" {
		if f.AfterTime, f.After, err = dueCursor(cursor); err != nil {
			return nil, err
		}
	}
	rows, err := db.ListDue(ctx, s.pool, f)
	if err != nil {
		return nil, err
	}
	out, next := &complaintv1.ListDueComplaintsResponse{}, ""
	if len(rows) > int(size) {
		rows = rows[:size]
		last := rows[size-1]
		next = strconv.FormatInt(last.DueTime.UnixMicro(), 10) + " " + last.ID.String()
	}
	for _, d := range rows {
		out.Due = append(out.Due, &complaintv1.DueComplaint{
			ComplaintId: d.ComplaintID.String(), Number: d.Number, State: complaint.State(d.State), Severity: complaintv1.Severity(d.Severity),
			DepartmentId: text(d.DepartmentID), Kind: d.Kind, Round: d.Round, DueTime: timestamppb.New(d.DueTime),
			Owner: clock.Owner{Role: d.OwnerRole, StaffID: value(d.OwnerStaffID), DepartmentID: value(d.OwnerDepartmentID)}.Proto(),
		})
	}
	out.NextPageToken, err = s.pages.Seal(ctx, req, next)
	return out, err
}

// instantIn reads a time of a request.
func instantIn(field string, given *timestamppb.Timestamp) (time.Time, error) {
	if given.CheckValid() != nil {
		return time.Time{}, rpcerr.Invalid(field, rpcerr.T(
			"it is not a valid time; give one like 2026-11-02T09:00:00Z", "时间无效；请填写如 2026-11-02T09:00:00Z 的时间"))
	}
	return given.AsTime(), nil
}

// groups are the expressions of the ways to tell complaints apart, and how their keys are told.
var groups = map[complaintv1.ReportGroup]struct {
	by    db.Group
	plain func(key string) string
}{
	complaintv1.ReportGroup_REPORT_GROUP_UNSPECIFIED: {by: db.NoGroup},
	complaintv1.ReportGroup_REPORT_GROUP_STAGE:       {db.GroupState, enumName(complaint.StateName)},
	complaintv1.ReportGroup_REPORT_GROUP_HANDLER:     {by: db.GroupHandler},
	complaintv1.ReportGroup_REPORT_GROUP_DEPARTMENT:  {by: db.GroupDepartment},
	complaintv1.ReportGroup_REPORT_GROUP_SEVERITY:    {db.GroupSeverity, enumName(complaint.SeverityName)},
	complaintv1.ReportGroup_REPORT_GROUP_CUSTOMER:    {by: db.GroupCustomer},
	complaintv1.ReportGroup_REPORT_GROUP_PRODUCT:     {by: db.GroupProduct},
	complaintv1.ReportGroup_REPORT_GROUP_CATEGORY:    {db.GroupCategory, enumName(complaint.CategoryName)},
}

// enumName tells the number of an enum by its name.
func enumName[E ~int32](name func(E) string) func(string) string {
	return func(key string) string {
		number, err := strconv.ParseInt(key, 10, 32)
		if err != nil {
			return key
		}
		return name(E(number))
	}
}

// reportFilter reads what a report counts.
func reportFilter(req *complaintv1.GetComplaintReportRequest) (db.ReportFilter, error) {
	f := db.ReportFilter{
		DepartmentID: optional(req.GetDepartmentId()), HandlerID: optional(req.GetHandlerStaffId()), CustomerID: optional(req.GetCustomerId()),
		ProductModel: req.GetProductModel(), Source: req.GetSource(), Severity: int16(req.GetSeverity()),
		Group: groups[req.GetGroupBy()].by, Most: mostGroups,
	}
	var err error
	if f.From, err = instantIn("receive_from", req.GetReceiveFrom()); err != nil {
		return f, err
	}
	if f.To, err = instantIn("receive_to", req.GetReceiveTo()); err != nil {
		return f, err
	}
	if !f.To.After(f.From) || f.To.Sub(f.From) > longestPeriod {
		return f, rpcerr.Invalid("receive_to", rpcerr.T(
			"%[1]s is not within the 366 days after %[2]s; give a later time, or a shorter period",
			"%[1]s 不在 %[2]s 之后的 366 天内；请填写更晚的时间或缩短期间", f.To.Format(time.RFC3339), f.From.Format(time.RFC3339)))
	}
	return f, nil
}

// GetComplaintReport counts the complaints of a period, all its figures as of one moment.
func (s *Server) GetComplaintReport(ctx context.Context, req *complaintv1.GetComplaintReportRequest) (*complaintv1.ComplaintReport, error) {
	f, err := reportFilter(req)
	if err != nil {
		return nil, err
	}
	if f.Readers, f.NotAccused, err = s.scoped(ctx); err != nil {
		return nil, err
	}
	out := &complaintv1.ComplaintReport{}
	err = pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		return figures(ctx, tx, f, out)
	})
	if err != nil {
		return nil, err
	}
	if plain := groups[req.GetGroupBy()].plain; plain != nil {
		for _, g := range out.GetGroups() {
			g.Key = plain(g.GetKey())
		}
	}
	return out, nil
}

// figures reads the groups and what belongs to each.
func figures(ctx context.Context, tx pgx.Tx, f db.ReportFilter, out *complaintv1.ComplaintReport) error {
	counted, err := db.CountComplaints(ctx, tx, f)
	if err != nil {
		return err
	}
	if len(counted) > f.Most {
		counted, out.Truncated = counted[:f.Most], true
	}
	of, keys := map[string]*complaintv1.ComplaintFigures{}, make([]string, 0, len(counted))
	for _, c := range counted {
		of[c.Key] = &complaintv1.ComplaintFigures{
			Key: c.Key, Received: c.Received, Major: c.Major, RepeatedRounds: c.Rounds, Satisfied: c.Satisfied,
			EndedUnsatisfied: c.Unsatisfied, NoAnswer: c.NoAnswer, Open: c.Open,
		}
		out.Groups, keys = append(out.GetGroups(), of[c.Key]), append(keys, c.Key)
	}
	stages, err := db.TimeStages(ctx, tx, f, keys)
	if err != nil {
		return err
	}
	for _, t := range stages {
		of[t.Key].Stages = append(of[t.Key].Stages, &complaintv1.StageTime{
			Stage: complaint.State(t.State), Count: t.Count, Mean: micros(t.Mean), Median: micros(t.Median), Longest: micros(t.Longest),
		})
	}
	kept, err := db.RateDeadlines(ctx, tx, f, keys)
	if err != nil {
		return err
	}
	for _, k := range kept {
		of[k.Key].Deadlines = append(of[k.Key].Deadlines, &complaintv1.DeadlineRate{
			Kind: k.Kind, Met: k.Met, Missed: k.Missed, OnTimeRate: float64(k.Met) / float64(k.Met+k.Missed),
		})
	}
	for _, g := range out.GetGroups() {
		slices.SortFunc(g.GetDeadlines(), func(a, b *complaintv1.DeadlineRate) int { return strings.Compare(a.GetKind(), b.GetKind()) })
	}
	return nil
}

func micros(n int64) *durationpb.Duration { return durationpb.New(time.Duration(n) * time.Microsecond) }
