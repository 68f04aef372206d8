package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kefu-suite/kefu/deploy/kefuctl/internal/stack"
)

func keysCommand(dir *string) *cobra.Command {
	cmd := &cobra.Command{Use: "keys", Short: "shows and rotates the master keys of the services", Args: cobra.NoArgs}
	for verb, short := range map[string]string{
		"status": "prints under which versions of the master key each service's keys are",
		"rotate": "makes a new version of each master key and brings all keys under it while the services work",
		"retire": "takes away the versions of the master keys that nothing is under any more",
	} {
		cmd.AddCommand(keysVerb(dir, verb, short))
	}
	return cmd
}

func keysVerb(dir *string, verb, short string) *cobra.Command {
	var service, bin string
	cmd := &cobra.Command{
		Use: verb, Short: short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			names, folder, err := programs(service, bin)
			if err != nil {
				return err
			}
			for _, name := range names {
				if _, err := fmt.Fprintln(cmd.OutOrStdout(), name); err != nil {
					return err
				}
				if err := stack.Subcommand(cmd.Context(), *dir, folder, name, cmd.OutOrStdout(), "keys", verb); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&service, "service", "", "only this service")
	cmd.Flags().StringVar(&bin, "bin", "", "folder of the programs; by default that of kefuctl")
	return cmd
}

// programs are those that a subcommand is called of, and the folder in which they are.
func programs(service, bin string) (names []string, folder string, err error) {
	names = stack.Services()
	if service != "" {
		if !slices.Contains(names, service) {
			return nil, "", fmt.Errorf("--service %q: there are %s", service, strings.Join(names, ", "))
		}
		names = []string{service}
	}
	if bin != "" {
		return names, bin, nil
	}
	self, err := os.Executable()
	if err != nil {
		return nil, "", fmt.Errorf("where the programs are: %w", err)
	}
	return names, filepath.Dir(self), nil
}
