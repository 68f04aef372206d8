// Customer-registry keeps customer files, contacts, orders, tiers and consent,
// and the profile of each customer from the events of all services.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
	_ "time/tzdata" // the container has no zones

	subjectv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/subject/v1"
	"github.com/kefu-suite/kefu/runtime/app"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/server"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/tier"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/internal/calendar"
	"github.com/kefu-suite/kefu/services/internal/directory"
	"github.com/kefu-suite/kefu/services/internal/subject"
)

// Config is what the registry reads from its environment.
type Config struct {
	app.Config
	// DefaultRegion is where a phone given without country code is.
	DefaultRegion string `env:"KEFU_DEFAULT_REGION" envDefault:"CN"`
	// TimeZone is that of the company's days and quarters.
	TimeZone string `env:"KEFU_TIME_ZONE" envDefault:"Asia/Shanghai"`

	// GrantDays (1 to 30) is how long an approved access request lasts that says nothing.
	GrantDays int32 `env:"KEFU_GRANT_DAYS" envDefault:"7"`
	// BreakGlassTime (at most 24 h) is how long an emergency opens a file.
	BreakGlassTime time.Duration `env:"KEFU_BREAK_GLASS_TIME" envDefault:"1h"`
	// UnmaskBudget (0 to 10,000) is how many values one person may unmask a day.
	UnmaskBudget int32 `env:"KEFU_UNMASK_BUDGET" envDefault:"20"`
	// ContactBudget (1 h to a year) is the time in which one message of a kind is sent.
	ContactBudget time.Duration `env:"KEFU_CONTACT_BUDGET" envDefault:"720h"`
	// AccessReviewDays (1 to 366) is how many days after its end a quarter's access review is due.
	AccessReviewDays int32 `env:"KEFU_ACCESS_REVIEW_DAYS" envDefault:"30"`
	// TierSchedule is how often customers are scored by themselves: off, monthly or quarterly.
	TierSchedule tier.Schedule `env:"KEFU_TIER_SCHEDULE" envDefault:"monthly"`

	ServiceTicketTarget string `env:"KEFU_SERVICE_TICKET_TARGET" envDefault:"etcd:///service-ticket"`
	ComplaintTarget     string `env:"KEFU_COMPLAINT_TARGET" envDefault:"etcd:///complaint"`
	SurveyTarget        string `env:"KEFU_SURVEY_TARGET" envDefault:"etcd:///survey"`
}

// mostUnmasked is the largest daily budget that production takes.
const mostUnmasked = 500

// Check adds the registry's own limits to those of every service.
func (c *Config) Check() []error {
	problems := c.Config.Check()
	if _, err := time.LoadLocation(c.TimeZone); err != nil || c.TimeZone == "" || c.TimeZone == "Local" {
		problems = append(problems, fmt.Errorf("KEFU_TIME_ZONE is %q; it must be a zone such as Asia/Shanghai", c.TimeZone))
	}
	if c.GrantDays < 1 || c.GrantDays > 30 {
		problems = append(problems, fmt.Errorf("KEFU_GRANT_DAYS is %d; it must be from 1 to 30", c.GrantDays))
	}
	if c.BreakGlassTime <= 0 || c.BreakGlassTime > 24*time.Hour {
		problems = append(problems, fmt.Errorf("KEFU_BREAK_GLASS_TIME is %s; it must be more than 0 and at most 24h", c.BreakGlassTime))
	}
	if c.UnmaskBudget < 0 || c.UnmaskBudget > 10_000 {
		problems = append(problems, fmt.Errorf("KEFU_UNMASK_BUDGET is %d; it must be from 0 to 10000", c.UnmaskBudget))
	}
	if c.Env == app.Production && c.UnmaskBudget > mostUnmasked {
		problems = append(problems, fmt.Errorf("KEFU_UNMASK_BUDGET is %d; production allows at most %d: more is reading in bulk", c.UnmaskBudget, mostUnmasked))
	}
	if c.ContactBudget < time.Hour || c.ContactBudget > 366*24*time.Hour {
		problems = append(problems, fmt.Errorf("KEFU_CONTACT_BUDGET is %s; it must be from 1h to 8784h", c.ContactBudget))
	}
	if c.AccessReviewDays < 1 || c.AccessReviewDays > 366 {
		problems = append(problems, fmt.Errorf("KEFU_ACCESS_REVIEW_DAYS is %d; it must be from 1 to 366", c.AccessReviewDays))
	}
	if !c.TierSchedule.Valid() {
		problems = append(problems, fmt.Errorf("KEFU_TIER_SCHEDULE is %q; it must be off, monthly or quarterly", c.TierSchedule))
	}
	return problems
}

func main() {
	os.Exit(app.Main(app.Spec[Config]{
		Name:       server.Name,
		Migrations: server.Migrations(),
		Policy:     access.Policy(),
		Run:        run,
	}))
}

func run(ctx context.Context, p *app.Process, cfg Config) error {
	zone, err := time.LoadLocation(cfg.TimeZone)
	if err != nil {
		return fmt.Errorf("KEFU_TIME_ZONE: %w", err)
	}
	s, err := server.New(server.Config{
		Pool: p.Pool, Keyring: p.Keyring, Write: p.Write, Pages: p.Pages, Validator: p.Validator,
		Log: p.Log, Now: p.Now, Region: cfg.DefaultRegion,
		Disclosure: server.Disclosure{
			GrantDays: cfg.GrantDays, BreakGlass: cfg.BreakGlassTime, UnmaskBudget: cfg.UnmaskBudget,
			ContactBudget: cfg.ContactBudget, ReviewDays: cfg.AccessReviewDays, Zone: zone,
		},
		Schedule: cfg.TierSchedule,
	})
	if err != nil {
		return err
	}
	if err := s.SeedCalendars(ctx); err != nil {
		return err
	}
	s.Register(p.GRPC)
	p.Go("tier sweep", s.SweepTiers)
	if err := addSubjects(ctx, p, s, map[string]string{
		"service-ticket": cfg.ServiceTicketTarget, "complaint": cfg.ComplaintTarget, "survey": cfg.SurveyTarget,
	}); err != nil {
		return err
	}
	p.Go("tier runs", s.RunTiers)
	p.Go("imports", s.RunSheets)
	p.Go("sweep of clocks", s.Sweep)
	p.Go("quality sweep", s.SweepQuality)
	p.Go("sweep of access reviews", s.SweepAccessReviews)
	p.Go("records of reads", s.HoldReads)
	return errors.Join(
		// Under a name of its own: calendars that were told of before are read too.
		p.FollowAs(server.Name+"/calendars", directory.Source, cfg.ServiceTicketTarget, calendar.Handle),
		p.FollowAll("service-ticket", cfg.ServiceTicketTarget, s.HandleTicket),
		p.FollowAll("complaint", cfg.ComplaintTarget, s.HandleComplaint),
		p.FollowAll("survey", cfg.SurveyTarget, s.HandleSurvey),
	)
}

// addSubjects serves the rights of persons, here and with the help of the services at the
// targets.
func addSubjects(ctx context.Context, p *app.Process, s *server.Server, targets map[string]string) error {
	own, err := subject.Install(ctx, p, s.Subjects())
	if err != nil {
		return err
	}
	jobs := &server.SubjectJobs{Server: s, Own: own, Peers: map[string]subjectv1.SubjectServiceClient{}}
	for name, target := range targets {
		conn, err := p.Dial(name, target)
		if err != nil {
			return err
		}
		jobs.Peers[name] = subjectv1.NewSubjectServiceClient(conn)
	}
	p.Go("subject requests", jobs.Run)
	return nil
}
