// Command survey keeps questionnaires, asks customers after tickets and complaints, takes
// their answers and computes the results.
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
	"github.com/kefu-suite/kefu/services/internal/customerref"
	"github.com/kefu-suite/kefu/services/internal/directory"
	"github.com/kefu-suite/kefu/services/internal/subject"
	"github.com/kefu-suite/kefu/services/survey/internal/db"
	"github.com/kefu-suite/kefu/services/survey/internal/questionnaire"
	"github.com/kefu-suite/kefu/services/survey/internal/server"
)

// Config is the service's environment.
type Config struct {
	app.Config
	RegistryTarget  string `env:"KEFU_CUSTOMER_REGISTRY_TARGET" envDefault:"etcd:///customer-registry"`
	TicketTarget    string `env:"KEFU_SERVICE_TICKET_TARGET" envDefault:"etcd:///service-ticket"`
	ComplaintTarget string `env:"KEFU_COMPLAINT_TARGET" envDefault:"etcd:///complaint"`
	// FirstUse is how long after a new customer's first delivery they are asked about it, AskAgain
	// how long after a follow-up was resolved the low answer's questions are asked again.
	FirstUse time.Duration `env:"KEFU_SURVEY_FIRST_USE" envDefault:"720h"`
	AskAgain time.Duration `env:"KEFU_SURVEY_ASK_AGAIN" envDefault:"168h"`
	// LowRating (1 to 5) and LowNPS (0 to 10) are the highest scores that count as low.
	LowRating int32 `env:"KEFU_LOW_RATING" envDefault:"2"`
	LowNPS    int32 `env:"KEFU_LOW_NPS" envDefault:"6"`
}

// Check adds the service's own limits to those of every service.
func (c *Config) Check() []error {
	problems := c.Config.Check()
	if c.LowRating < 1 || c.LowRating > 5 {
		problems = append(problems, fmt.Errorf("KEFU_LOW_RATING is %d; it must be from 1 to 5", c.LowRating))
	}
	if c.LowNPS < 0 || c.LowNPS > 10 {
		problems = append(problems, fmt.Errorf("KEFU_LOW_NPS is %d; it must be from 0 to 10", c.LowNPS))
	}
	for _, wait := range []struct {
		name string
		is   time.Duration
	}{{"KEFU_SURVEY_FIRST_USE", c.FirstUse}, {"KEFU_SURVEY_ASK_AGAIN", c.AskAgain}} {
		if wait.is <= 0 {
			problems = append(problems, fmt.Errorf("%s is %v; it must be more than nothing, e.g. 720h", wait.name, wait.is))
		}
	}
	return problems
}

func main() {
	os.Exit(app.Main(app.Spec[Config]{
		Name:       "survey",
		Migrations: []pg.MigrationSet{customerref.Migrations(), directory.Migrations(), subject.Migrations(), db.Migrations()},
		Policy:     access.Policy(),
		Run:        run,
	}))
}

func run(ctx context.Context, p *app.Process, cfg Config) error {
	registry, err := p.Dial(customerref.Source, cfg.RegistryTarget)
	if err != nil {
		return err
	}
	s, err := server.New(server.Config{
		Pool: p.Pool, Write: p.Write, Pages: p.Pages, Validator: p.Validator,
		LinkKey: p.Keyring.Derive(server.LinkKeyLabel), Registry: customerv1.NewCustomerServiceClient(registry),
		Contacts: customerv1.NewConsentServiceClient(registry),
		Low:      questionnaire.Thresholds{Rating: cfg.LowRating, NPS: cfg.LowNPS},
		Audience: customerv1.NewSegmentServiceClient(registry), Sender: server.LogSender{Log: p.Log}, FirstUse: cfg.FirstUse, Again: cfg.AskAgain, Log: p.Log, Now: p.Now,
	})
	if err != nil {
		return err
	}
	s.Register(p.GRPC)
	if _, err := subject.Install(ctx, p, s.Subjects()); err != nil {
		return err
	}
	p.Go("expire invitations", s.Sweep)
	p.Go("fold counts", s.Fold)
	p.Go("flag answers", s.Flag)
	p.Go("run campaigns", s.RunCampaigns)
	p.Go("make due invitations", s.MakeDue)
	p.Go("fetch missing customers", s.FetchMissing)
	return errors.Join(
		p.Follow(customerref.Source, cfg.RegistryTarget, s.OnCustomer),
		p.Follow("service-ticket", cfg.TicketTarget, s.OnTicket),
		p.Follow("complaint", cfg.ComplaintTarget, s.OnComplaint),
	)
}
