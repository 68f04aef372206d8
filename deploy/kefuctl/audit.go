package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/kefu-suite/kefu/deploy/kefuctl/internal/stack"
)

func auditCommand(dir *string) *cobra.Command {
	cmd := &cobra.Command{Use: "audit", Short: "works with the audit trails", Args: cobra.NoArgs}
	cmd.AddCommand(verifyCommand(dir))
	return cmd
}

func verifyCommand(dir *string) *cobra.Command {
	var service, bin string
	cmd := &cobra.Command{
		Use: "verify", Short: "checks every record of the audit trails and names the first that is not as it was written", Args: cobra.NoArgs,
		Long: `Calls each service's subcommand "audit verify", which walks its hash chain once, record by
record, and holds it against the heads that were anchored outside of the database. It
reads only and may run beside the service. It fails when a trail was tampered with or
could not be read to its end.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			names, folder, err := programs(service, bin)
			if err != nil {
				return err
			}
			var problems []error
			for _, name := range names { // also after one that is broken
				problems = append(problems, stack.Subcommand(cmd.Context(), *dir, folder, name, cmd.OutOrStdout(), "audit", "verify"))
			}
			return errors.Join(problems...)
		},
	}
	cmd.Flags().StringVar(&service, "service", "", "only this service")
	cmd.Flags().StringVar(&bin, "bin", "", "folder of the programs; by default that of kefuctl")
	return cmd
}
