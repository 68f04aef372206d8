// Command survey keeps questionnaires, asks customers after tickets and complaints, takes
// their answers and computes the results.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/jackc/pgx/v5"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	"github.com/kefu-suite/kefu/runtime/app"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/internal/customerref"
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
	return problems
}

func main() {
	os.Exit(app.Main(app.Spec[Config]{
		Name:       "survey",
		Migrations: []pg.MigrationSet{customerref.Migrations(), db.Migrations()},
		Policy:     access.Policy(),
		Run:        run,
	}))
}

func run(_ context.Context, p *app.Process, cfg Config) error {
	registry, err := p.DialService(customerref.Source, cfg.RegistryTarget)
	if err != nil {
		return err
	}
	s, err := server.New(server.Config{
		Pool: p.Pool, Write: p.Write, Pages: p.Pages, Validator: p.Validator,
		LinkKey: p.Keyring.Derive(server.LinkKeyLabel), Registry: customerv1.NewCustomerServiceClient(registry),
		Low: questionnaire.Thresholds{Rating: cfg.LowRating, NPS: cfg.LowNPS}, Log: p.Log, Now: p.Now,
	})
	if err != nil {
		return err
	}
	s.Register(p.GRPC)
	p.Go("expire invitations", s.Sweep)
	p.Go("fold counts", s.Fold)
	p.Go("fetch missing customers", s.FetchMissing)
	for _, source := range []struct {
		name, target string
		handle       func(ctx context.Context, tx pgx.Tx, e *eventv1.Envelope) error
	}{
		{customerref.Source, cfg.RegistryTarget, s.OnCustomer},
		{"service-ticket", cfg.TicketTarget, s.OnTicket},
		{"complaint", cfg.ComplaintTarget, s.OnComplaint},
	} {
		conn, err := p.DialService(source.name, source.target)
		if err != nil {
			return err
		}
		consumer := &event.Consumer{
			Name: p.Name, Source: source.name, Conn: conn, Pool: p.Pool, Log: p.Log,
			Handle: source.handle, Registerer: p.Metrics,
		}
		p.Go("events of "+source.name, consumer.Run)
	}
	return nil
}
