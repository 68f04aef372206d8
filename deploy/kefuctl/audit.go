package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/kefu-suite/kefu/deploy/kefuctl/internal/stack"
	"github.com/kefu-suite/kefu/runtime/audit"
	"github.com/kefu-suite/kefu/runtime/config"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/pii"
)

func auditCommand(dir *string) *cobra.Command {
	cmd := &cobra.Command{Use: "audit", Short: "works with the audit trails", Args: cobra.NoArgs}
	cmd.AddCommand(verifyCommand(dir))
	return cmd
}

func verifyCommand(dir *string) *cobra.Command {
	var service string
	cmd := &cobra.Command{
		Use: "verify", Short: "checks every record of the audit trails and names the first that is not as it was written", Args: cobra.NoArgs,
		Long: `Walks the hash chain of each service once, record by record, and holds it against the
heads that were anchored outside of the database. It reads only and may run beside the
service. It ends with 1 when a trail was tampered with or could not be read to its end.

Without --service it checks all services of the stack in --dir, which must be running.
With it, it reads the environment of that service: KEFU_DATABASE_URL,
KEFU_MASTER_KEY_FILE and KEFU_AUDIT_ANCHORS.`,
		Example: `  kefuctl audit verify
  kefuctl audit verify --service complaint`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			trails, err := trailsOf(*dir, service)
			if err != nil {
				return err
			}
			var problems []error
			for _, t := range trails {
				if err := verifyTrail(cmd.Context(), t, cmd.OutOrStdout()); err != nil {
					problems = append(problems, fmt.Errorf("%s: %w", t.Service, err))
				}
			}
			return errors.Join(problems...)
		},
	}
	cmd.Flags().StringVar(&service, "service", "", "the one service whose environment this is")
	return cmd
}

func trailsOf(dir, service string) ([]stack.Trail, error) {
	if service == "" {
		return stack.Trails(dir)
	}
	var cfg struct {
		Database  string `env:"KEFU_DATABASE_URL,required,notEmpty"`
		MasterKey string `env:"KEFU_MASTER_KEY_FILE,required,notEmpty"`
		Anchors   string `env:"KEFU_AUDIT_ANCHORS"`
	}
	if err := config.Load(&cfg); err != nil {
		return nil, err
	}
	t := stack.Trail{Service: service, DatabaseURL: cfg.Database, MasterKeyFile: cfg.MasterKey}
	if cfg.Anchors != "" {
		t.AnchorFile = audit.AnchorFile(cfg.Anchors, service)
	}
	return []stack.Trail{t}, nil
}

// verifyTrail checks one trail and says how much of it is good.
func verifyTrail(ctx context.Context, t stack.Trail, out io.Writer) error {
	began := time.Now()
	keyring, err := pii.OpenKeyring(t.MasterKeyFile)
	if err != nil {
		return err
	}
	// A page of the walk is small; the timeout is for a database under load.
	pool, err := pg.Open(ctx, pg.Config{URL: t.DatabaseURL, Application: "kefuctl audit verify", MaxConns: 1, StatementTimeout: time.Minute})
	if err != nil {
		return err
	}
	defer pool.Close()
	key := keyring.Derive(audit.KeyLabel)
	var v audit.Verified
	if t.AnchorFile == "" {
		v.Records, err = audit.Verify(ctx, pool, key)
	} else {
		v, err = audit.VerifyAnchored(ctx, pool, key, t.AnchorFile)
	}
	broken := new(audit.Broken)
	if err != nil && !errors.As(err, &broken) {
		return fmt.Errorf("after %d good records: %w", v.Records, err)
	}
	note := ""
	switch {
	case t.AnchorFile == "":
		note = "; not anchored, a cut end would not show"
	case v.Unreadable > 0:
		note = fmt.Sprintf("; %d lines of the anchors cannot be read", v.Unreadable)
	}
	if _, err := fmt.Fprintf(out, "%s: %d records good, %d anchors agree, in %s%s\n",
		t.Service, v.Records, v.Anchors, time.Since(began).Round(time.Millisecond), note); err != nil {
		return err
	}
	return err
}
