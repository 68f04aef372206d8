// Customer-registry keeps customer files, contacts, orders, tiers and consent,
// and the profile of each customer from the events of all services.
package main

import (
	"context"
	"errors"
	"os"

	"github.com/kefu-suite/kefu/runtime/app"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/server"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/internal/directory"
)

// Config is what the registry reads from its environment.
type Config struct {
	app.Config
	// DefaultRegion is where a phone given without country code is.
	DefaultRegion string `env:"KEFU_DEFAULT_REGION" envDefault:"CN"`

	ServiceTicketTarget string `env:"KEFU_SERVICE_TICKET_TARGET" envDefault:"etcd:///service-ticket"`
	ComplaintTarget     string `env:"KEFU_COMPLAINT_TARGET" envDefault:"etcd:///complaint"`
	SurveyTarget        string `env:"KEFU_SURVEY_TARGET" envDefault:"etcd:///survey"`
}

func main() {
	os.Exit(app.Main(app.Spec[Config]{
		Name:       server.Name,
		Migrations: []pg.MigrationSet{directory.Migrations(), db.Migrations()},
		Policy:     access.Policy(),
		Run:        run,
	}))
}

func run(_ context.Context, p *app.Process, cfg Config) error {
	s, err := server.New(server.Config{
		Pool: p.Pool, Keyring: p.Keyring, Write: p.Write, Pages: p.Pages, Validator: p.Validator,
		Log: p.Log, Now: p.Now, Region: cfg.DefaultRegion,
	})
	if err != nil {
		return err
	}
	s.Register(p.GRPC)
	p.Go("tier sweep", s.SweepTiers)
	return errors.Join(
		p.FollowAll("service-ticket", cfg.ServiceTicketTarget, s.HandleTicket),
		p.FollowAll("complaint", cfg.ComplaintTarget, s.HandleComplaint),
		p.FollowAll("survey", cfg.SurveyTarget, s.HandleSurvey),
	)
}
