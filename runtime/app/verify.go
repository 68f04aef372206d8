package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/kefu-suite/kefu/runtime/audit"
	"github.com/kefu-suite/kefu/runtime/config"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/pii"
)

// verifyAudit is the operator's check of the whole audit trail: it says how much is good and
// fails with the first record that is not as it was written.
func verifyAudit(ctx context.Context, name string, out io.Writer) error {
	var cfg struct {
		Database pg.Config
		Keys     Keys
		Anchors  string `env:"KEFU_AUDIT_ANCHORS"`
	}
	if err := config.Load(&cfg); err != nil {
		return err
	}
	if problems := cfg.Keys.check(); len(problems) > 0 {
		return &config.Error{Problems: problems}
	}
	master, err := cfg.Keys.master()
	if err != nil {
		return err
	}
	cfg.Database.Application, cfg.Database.MaxConns = name+" audit verify", 2
	pool, err := pg.Open(ctx, cfg.Database)
	if err != nil {
		return err
	}
	defer pool.Close()
	ring, err := pii.Open(ctx, pool, master, time.Now)
	if err != nil {
		return err
	}
	began, key := time.Now(), ring.Derive(audit.KeyLabel)
	var v audit.Verified
	if cfg.Anchors == "" {
		v.Records, err = audit.Verify(ctx, pool, key)
	} else {
		v, err = audit.VerifyAnchored(ctx, pool, key, audit.AnchorFile(cfg.Anchors, name))
	}
	note := ""
	switch {
	case cfg.Anchors == "":
		note = "; nothing is anchored, so a cut end would not show"
	case v.Unreadable > 0:
		note = fmt.Sprintf("; %d lines of the anchors cannot be read", v.Unreadable)
	}
	_, told := fmt.Fprintf(out, "%s: %d records good, %d anchors agree, in %s%s\n", name, v.Records, v.Anchors, time.Since(began).Round(time.Millisecond), note)
	return errors.Join(err, told)
}
