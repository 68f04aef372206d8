// Command service-ticket keeps tickets with their deadlines and the policy of those, the
// directory of departments and staff, and the business calendars.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/app"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/internal/calendar"
	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/internal/customerref"
	"github.com/kefu-suite/kefu/services/internal/policy"
	"github.com/kefu-suite/kefu/services/internal/subject"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/server"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

const day = 24 * time.Hour

type config struct {
	app.Config
	RegistryTarget string `env:"KEFU_CUSTOMER_REGISTRY_TARGET" envDefault:"etcd:///customer-registry"`
	SurveyTarget   string `env:"KEFU_SURVEY_TARGET" envDefault:"etcd:///survey"`
	// DefaultRegion is where a phone without country code is.
	DefaultRegion string `env:"KEFU_DEFAULT_REGION" envDefault:"CN"`
	// ConfirmHours of silence close a resolved ticket.
	ConfirmHours int `env:"KEFU_TICKET_CONFIRM_HOURS" envDefault:"72"`
	// ReopenDays after resolve a ticket can be reopened.
	ReopenDays int `env:"KEFU_TICKET_REOPEN_DAYS" envDefault:"14"`
	// EscalationHours are the business hours that a supervisor has to decide on an escalation.
	EscalationHours int `env:"KEFU_TICKET_ESCALATION_HOURS" envDefault:"2"`
	// UnmergeDays after it a merge can be undone.
	UnmergeDays int `env:"KEFU_TICKET_UNMERGE_DAYS" envDefault:"14"`
	// CallBackHours are what staff have to call a key customer who was silent.
	CallBackHours int `env:"KEFU_TICKET_CALL_BACK_HOURS" envDefault:"24"`
	// DedicatedMinutes are how long a new ticket of a key customer waits for the account manager.
	DedicatedMinutes int `env:"KEFU_TICKET_DEDICATED_MINUTES" envDefault:"10"`
	// DutyFlagDays are how long before it begins a gap in the duty roster is flagged.
	DutyFlagDays int `env:"KEFU_DUTY_FLAG_DAYS" envDefault:"7"`
	// HotlineDays are how old a publication of hotlines may become.
	HotlineDays int `env:"KEFU_HOTLINE_PUBLISH_DAYS" envDefault:"90"`
	// MaxLoad is how many open tickets somebody has at most who pulls one.
	MaxLoad int `env:"KEFU_TICKET_MAX_LOAD" envDefault:"20"`
}

// Check adds to the problems of every service those of this one.
func (c *config) Check() []error {
	problems := c.Config.Check()
	for _, number := range []struct {
		name string
		is   int
	}{
		{"KEFU_TICKET_CONFIRM_HOURS", c.ConfirmHours}, {"KEFU_TICKET_REOPEN_DAYS", c.ReopenDays},
		{"KEFU_TICKET_ESCALATION_HOURS", c.EscalationHours}, {"KEFU_TICKET_UNMERGE_DAYS", c.UnmergeDays},
		{"KEFU_TICKET_CALL_BACK_HOURS", c.CallBackHours}, {"KEFU_TICKET_DEDICATED_MINUTES", c.DedicatedMinutes},
		{"KEFU_DUTY_FLAG_DAYS", c.DutyFlagDays}, {"KEFU_HOTLINE_PUBLISH_DAYS", c.HotlineDays}, {"KEFU_TICKET_MAX_LOAD", c.MaxLoad},
	} {
		if number.is < 1 {
			problems = append(problems, fmt.Errorf("%s is %d; give at least 1", number.name, number.is))
		}
	}
	return problems
}

func main() {
	os.Exit(app.Main(app.Spec[config]{
		Name:       server.Name,
		Migrations: []pg.MigrationSet{customerref.Migrations(), clock.Migrations(), policy.Migrations(), subject.Migrations(), db.Migrations()},
		Policy:     access.Policy(),
		Run:        run,
	}))
}

func run(ctx context.Context, p *app.Process, cfg config) error {
	registry, err := p.Dial(customerref.Source, cfg.RegistryTarget)
	if err != nil {
		return err
	}
	calendars := calendar.NewCache()
	clocks := clock.New(calendars, p.Now)
	s, err := server.New(server.Config{
		Pool: p.Pool, Lists: p.Lists, Keyring: p.Keyring, Write: p.Write, Pages: p.Pages, Validator: p.Validator, Log: p.Log,
		Now: p.Now, Registry: customerv1.NewCustomerServiceClient(registry), Issuer: cfg.Tokens.Issuers[0],
		Region: cfg.DefaultRegion, Policy: ticket.Policy{
			ConfirmAfter:   time.Duration(cfg.ConfirmHours) * time.Hour,
			ReopenWithin:   time.Duration(cfg.ReopenDays) * day,
			DecideWithin:   time.Duration(cfg.EscalationHours) * time.Hour,
			UnmergeWithin:  time.Duration(cfg.UnmergeDays) * day,
			CallBackWithin: time.Duration(cfg.CallBackHours) * time.Hour,
			DedicatedFor:   time.Duration(cfg.DedicatedMinutes) * time.Minute,
			FlagAhead:      time.Duration(cfg.DutyFlagDays) * day,
			PublishEvery:   time.Duration(cfg.HotlineDays) * day,
			MaxLoad:        cfg.MaxLoad,
		},
		Clocks: clocks, Calendars: calendars,
	})
	if err != nil {
		return err
	}
	if err := s.SeedCalendars(ctx); err != nil {
		return err
	}
	if err := s.SeedPolicies(ctx); err != nil {
		return err
	}
	if err := s.SeedTriage(ctx); err != nil {
		return err
	}
	s.Register(p.GRPC)
	if _, err := subject.Install(ctx, p, s.Subjects()); err != nil {
		return err
	}
	p.Go("closing of silent tickets", s.CloseSilent)
	p.Go("watch on due tasks", s.WatchTasks)
	p.Go("take-over by substitutes", s.WatchTakeOvers)
	p.Go("watch on duty and hotlines", s.WatchOrganisation)
	p.Go("training of the triage model", s.LearnDaily)
	p.Go("watch on exceptions to standards", s.WatchStandards)
	p.Go("sweep of clocks", clock.NewSweeper(clocks, p.Pool, p.Write, p.Log).Run)
	p.Go("tickets of fault notices", s.ReachOut)
	return errors.Join(
		p.Follow(customerref.Source, cfg.RegistryTarget, s.HandleCustomer),
		p.FollowAs(server.ProductsConsumer, customerref.Source, cfg.RegistryTarget, s.HandleProducts),
		p.Follow(server.SurveySource, cfg.SurveyTarget, s.HandleSurvey),
	)
}
