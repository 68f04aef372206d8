// Command complaint takes complaints through every stage: the complaint service.
package main

import (
	"context"
	"errors"
	"os"

	"github.com/kefu-suite/kefu/runtime/app"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
	"github.com/kefu-suite/kefu/services/complaint/internal/server"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/internal/subject"
)

// config is what the service reads from its environment.
type config struct {
	app.Config

	CustomerRegistry string `env:"KEFU_CUSTOMER_REGISTRY_TARGET" envDefault:"etcd:///customer-registry"`
	ServiceTicket    string `env:"KEFU_SERVICE_TICKET_TARGET" envDefault:"etcd:///service-ticket"`
	Survey           string `env:"KEFU_SURVEY_TARGET" envDefault:"etcd:///survey"`

	// The numbers of the complaint policy; amounts hold in any currency.
	SupervisorAmount    complaint.Amount `env:"KEFU_COMPLAINT_SUPERVISOR_AMOUNT" envDefault:"500.00"`
	ManagerAmount       complaint.Amount `env:"KEFU_COMPLAINT_MANAGER_AMOUNT" envDefault:"5000.00"`
	ContactAttempts     int              `env:"KEFU_COMPLAINT_CONTACT_ATTEMPTS" envDefault:"3"`
	ContactChannels     int              `env:"KEFU_COMPLAINT_CONTACT_CHANNELS" envDefault:"2"`
	EndRounds           int32            `env:"KEFU_COMPLAINT_END_ROUNDS" envDefault:"2"`
	AnotherHandlerRound int32            `env:"KEFU_COMPLAINT_ANOTHER_HANDLER_ROUND" envDefault:"3"`
	ObjectionDays       int              `env:"KEFU_COMPLAINT_OBJECTION_DAYS" envDefault:"2"`
	ReminderDays        []int            `env:"KEFU_COMPLAINT_REMINDER_DAYS" envDefault:"2,5"`
	NoAnswerDays        int              `env:"KEFU_COMPLAINT_NO_ANSWER_DAYS" envDefault:"10"`
	ReopenDays          int              `env:"KEFU_COMPLAINT_REOPEN_DAYS" envDefault:"30"`
	LowScore            int32            `env:"KEFU_COMPLAINT_LOW_SCORE" envDefault:"2"`
}

func (c *config) limits() complaint.Limits {
	return complaint.Limits{
		SupervisorAmount: c.SupervisorAmount, ManagerAmount: c.ManagerAmount,
		ContactAttempts: c.ContactAttempts, ContactChannels: c.ContactChannels,
		EndRounds: c.EndRounds, AnotherHandlerRound: c.AnotherHandlerRound, LowScore: c.LowScore,
		ObjectionDays: c.ObjectionDays, ReminderDays: c.ReminderDays, NoAnswerDays: c.NoAnswerDays, ReopenDays: c.ReopenDays,
	}
}

// Check tells every problem of the settings, those of the policy's numbers too.
func (c *config) Check() []error {
	problems := c.Config.Check()
	if err := c.limits().Check(); err != nil {
		problems = append(problems, err)
	}
	return problems
}

func main() {
	os.Exit(app.Main(app.Spec[config]{
		Name: server.Name, Migrations: server.Migrations(), Policy: access.Policy(),
		Run: func(ctx context.Context, p *app.Process, cfg config) error {
			s, err := server.Register(p, server.Targets{
				CustomerRegistry: cfg.CustomerRegistry, ServiceTicket: cfg.ServiceTicket, Survey: cfg.Survey,
			}, cfg.limits())
			if err != nil {
				return err
			}
			_, err = subject.Install(ctx, p, s.Subjects())
			return errors.Join(err, s.SeedCalendars(ctx), s.SeedPolicies(ctx))
		},
	}))
}
