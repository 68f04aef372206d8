package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/kefu-suite/kefu/deploy/kefuctl/internal/stack"
	"github.com/kefu-suite/kefu/deploy/kefuctl/internal/token"
)

func tokenCommand(dir *string) *cobra.Command {
	var r token.Request
	cmd := &cobra.Command{
		Use: "token", Short: "prints a development token", Args: cobra.NoArgs,
		Example: `  kefuctl token --role service-agent
  kefuctl token --role service-supervisor --staff 01936b8e-…
  kefuctl token --customer 01936b8f-…
  kefuctl token --service-account erp --permission orders.write`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			issuer, err := stack.OpenIssuer(*dir)
			if err != nil {
				return err
			}
			raw, err := token.Mint(issuer, r)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), raw)
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&r.Roles, "role", nil, "role of a person; may be repeated")
	flags.StringVar(&r.Staff, "staff", "", "id of the member of staff")
	flags.StringVar(&r.Customer, "customer", "", "id of the customer the token is for")
	flags.StringVar(&r.Account, "service-account", "", "name of the service account the token is for")
	flags.StringSliceVar(&r.Permissions, "permission", nil, "permission of the service account; may be repeated")
	flags.DurationVar(&r.Lifetime, "ttl", time.Hour, "how long the token lives")
	return cmd
}
