package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/kefu-suite/kefu/runtime/config"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/pii"
)

// followEvery is how often a process looks for a new version of the master key.
const followEvery = 15 * time.Second

// Keys says where the master key is: in a file or in a KMS.
type Keys struct {
	// MasterKey is the file of the key that all others are wrapped by. Beside KMS it is the
	// master key before that one, for the time of the move.
	MasterKey string `env:"KEFU_MASTER_KEY_FILE"`
	// KMS is a key of the transit engine of OpenBao or Vault, hcvault://HOST:PORT/transit/keys/NAME.
	KMS string `env:"KEFU_KMS_KEY"`
	// KMSToken is the file of the token for it, KMSCA that of the server's authority; without
	// one the system's authorities count.
	KMSToken string `env:"KEFU_KMS_TOKEN_FILE"`
	KMSCA    string `env:"KEFU_KMS_CA_FILE"`
}

// check tells what may not stand together.
func (k *Keys) check() []error {
	var problems []error
	if k.MasterKey == "" && k.KMS == "" {
		problems = append(problems, errors.New("KEFU_MASTER_KEY_FILE is not set, nor is KEFU_KMS_KEY; one must say where the master key is"))
	}
	if k.KMS != "" && k.KMSToken == "" {
		problems = append(problems, errors.New("KEFU_KMS_TOKEN_FILE is not set; KEFU_KMS_KEY needs it"))
	}
	for name, file := range k.files() {
		if err := readable(file); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", name, err))
		}
	}
	if len(problems) == 0 {
		if _, err := k.master(); err != nil {
			problems = append(problems, err)
		}
	}
	return problems
}

// files are those that are read.
func (k *Keys) files() map[string]string {
	return map[string]string{
		"KEFU_MASTER_KEY_FILE": k.MasterKey, "KEFU_KMS_TOKEN_FILE": k.KMSToken, "KEFU_KMS_CA_FILE": k.KMSCA,
	}
}

// unsafe is what production refuses.
func (k *Keys) unsafe() []error {
	var problems []error
	for name, file := range map[string]string{"KEFU_MASTER_KEY_FILE": k.MasterKey, "KEFU_KMS_TOKEN_FILE": k.KMSToken} {
		info, err := os.Stat(file)
		switch {
		case file == "" || err != nil:
		case info.Mode().Perm()&0o007 != 0:
			problems = append(problems, fmt.Errorf("%s: %s may be read by everyone; take those rights away", name, file))
		case info.Mode().Perm()&0o020 != 0:
			problems = append(problems, fmt.Errorf("%s: %s may be written by its group; take that right away", name, file))
		}
	}
	return problems
}

// master opens the master key without asking for anything yet.
func (k *Keys) master() (pii.Master, error) {
	var file pii.Master
	if k.MasterKey != "" {
		m, err := pii.OpenFileMaster(k.MasterKey)
		if err != nil {
			return nil, fmt.Errorf("KEFU_MASTER_KEY_FILE: %w", err)
		}
		file = m
	}
	if k.KMS == "" {
		return file, nil
	}
	kms, err := pii.OpenVaultMaster(pii.VaultConfig{URI: k.KMS, TokenFile: k.KMSToken, CAFile: k.KMSCA})
	if err != nil {
		return nil, fmt.Errorf("KEFU_KMS_KEY: %w", err)
	}
	if file == nil {
		return kms, nil
	}
	return pii.Successor(kms, file), nil
}

// open reads the keys of a service's database.
func (k *Keys) open(ctx context.Context, db pg.DBTX) (*pii.Keyring, error) {
	master, err := k.master()
	if err != nil {
		return nil, err
	}
	return pii.Open(ctx, db, master, time.Now)
}

// followMaster wraps keys anew whenever the master key has a new version. A failure is told
// and tried again: what is wrapped by the version before can still be read.
func (p *Process) followMaster(ctx context.Context) error {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		if err := p.Keyring.Follow(ctx, p.Pool); err != nil && ctx.Err() == nil {
			p.Log.WarnContext(ctx, "the master key was not followed", "error", pg.Describe(err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// The verbs of the subcommand `keys`.
const (
	keysStatus = "status"
	keysRotate = "rotate"
	keysRetire = "retire"
)

// keys is the operator's view of the service's keys. `rotate` makes a new version of the master
// key and brings all keys under it; `retire` takes away the versions that nothing is under.
func keys(ctx context.Context, verb string, out io.Writer) error {
	var cfg struct {
		Database pg.Config
		Keys     Keys
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
	pool, err := pg.Open(ctx, cfg.Database)
	if err != nil {
		return err
	}
	defer pool.Close()
	ring, err := pii.Open(ctx, pool, master, time.Now)
	if err != nil {
		return err
	}
	switch verb {
	case keysRotate:
		id, err := master.Rotate(ctx)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(out, "the master key is now %s\n", id); err != nil {
			return err
		}
		if err := ring.Follow(ctx, pool); err != nil {
			return err
		}
	case keysRetire:
		if err := pii.RetireMaster(ctx, pool, master); err != nil {
			return err
		}
	}
	list, err := pii.Status(ctx, pool, master)
	if err != nil {
		return err
	}
	return printKeys(out, list)
}

func printKeys(out io.Writer, list []pii.KeyStatus) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "KEY\tMASTER KEY\tSTATE\tCREATED\tSUBJECTS") // Flush tells
	for i, s := range list {
		state := "wraps"
		switch {
		case s.RetireTime != nil:
			state = "retired " + s.RetireTime.UTC().Format(time.RFC3339)
		case !s.Current:
			state = "to be replaced"
		case i < len(list)-1 && i > 0:
			state = "to be replaced"
		case i == 0:
			state = "secret"
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\n", s.ID, s.MasterID, state, s.CreateTime.UTC().Format(time.RFC3339), s.Subjects)
	}
	return table.Flush()
}
