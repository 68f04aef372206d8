package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"

	"github.com/kefu-suite/kefu/deploy/kefuctl/internal/sheetload"
	"github.com/kefu-suite/kefu/deploy/kefuctl/internal/stack"
	"github.com/kefu-suite/kefu/deploy/kefuctl/internal/token"
)

func importCommand(dir *string) *cobra.Command {
	var address, existing string
	var columns, values []string
	r := sheetload.Request{Import: &customerv1.CustomerImport{}, Every: 300 * time.Millisecond}
	cmd := &cobra.Command{
		Use: "import FILE", Short: "imports customers from a spreadsheet, CSV or XLSX", Args: cobra.ExactArgs(1),
		Example: `  kefuctl import customers.xlsx --source erp --purpose "first load from ERP" --dry-run
  kefuctl import customers.csv --source erp --purpose "first load from ERP" --column name=客户名称 --value kind=direct_user --value party=organisation
  kefuctl import customers.csv --source erp --purpose "new phones" --on-existing update
  kefuctl import customers.csv --source erp --resume 01936b8e-…`,
		RunE: func(cmd *cobra.Command, args []string) error {
			r.File = args[0]
			policy, err := word("on-existing", "ON_EXISTING_", existing, []string{"skip", "update", "review"}, customerv1.OnExisting_value)
			if err != nil {
				return err
			}
			r.Import.OnExisting = customerv1.OnExisting(policy)
			if err := mapColumns(r.Import, columns, values); err != nil {
				return err
			}
			issuer, err := stack.OpenIssuer(*dir)
			if err != nil {
				return err
			}
			r.Token = func() (string, error) {
				return token.Mint(issuer, token.Request{Roles: []string{"information-administrator"}})
			}
			if r.Base, err = restURL(address, *dir); err != nil {
				return err
			}
			return sheetload.Do(cmd.Context(), r, cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&r.Import.Source, "source", "", "name of the system the customers come from, e.g. erp; required")
	flags.StringVar(&r.Import.Purpose, "purpose", "", "what the data is taken in for; required unless an upload is resumed")
	flags.BoolVar(&r.Import.DryRun, "dry-run", false, "check every row and store nothing")
	flags.BoolVar(&r.Import.KeepInvalid, "keep-invalid", false, "keep phones and e-mails that are none, marked, rather than refuse their rows")
	flags.StringVar(&existing, "on-existing", "", "skip (unless given), update or review")
	flags.StringArrayVar(&columns, "column", nil, "field=heading: which column is the field; may be repeated")
	flags.StringArrayVar(&values, "value", nil, "field=value: what the field is in every row; may be repeated")
	flags.StringVar(&r.Import.Delimiter, "delimiter", "", "of CSV: comma unless given")
	flags.StringVar(&r.Import.Encoding, "encoding", "", "of CSV: utf-8 unless given, or gb18030")
	flags.StringVar(&r.Import.Sheet, "sheet", "", "of XLSX: the first unless given")
	flags.StringVar(&r.Resume, "resume", "", "id of an import whose upload broke off")
	flags.StringVar(&address, "url", "", "URL of the REST API (default: that of the running stack)")
	_ = cmd.MarkFlagRequired("source") // the flag is there
	cmd.MarkFlagsOneRequired("purpose", "resume")
	return cmd
}

// mapColumns reads the pairs of two flags into the import.
func mapColumns(into *customerv1.CustomerImport, columns, values []string) error {
	for _, pairs := range []struct {
		flag  string
		given []string
		set   func(*customerv1.ImportColumn, string)
	}{
		{"column", columns, func(c *customerv1.ImportColumn, s string) { c.Heading = s }},
		{"value", values, func(c *customerv1.ImportColumn, s string) { c.Value = s }},
	} {
		for _, pair := range pairs.given {
			field, rest, ok := strings.Cut(pair, "=")
			if !ok || field == "" || rest == "" {
				return fmt.Errorf("--%s is %q; give a field and what it is, as name=客户名称", pairs.flag, pair)
			}
			c := &customerv1.ImportColumn{Field: field}
			pairs.set(c, rest)
			into.Columns = append(into.Columns, c)
		}
	}
	return nil
}
