package main

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/kefu-suite/kefu/deploy/kefuctl/internal/stack"
)

func upCommand(dir *string) *cobra.Command {
	var o stack.Options
	cmd := &cobra.Command{
		Use: "up", Short: "runs the whole stack here until Ctrl-C", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Replicas < 1 {
				return errors.New("--replicas must be 1 or more")
			}
			self, err := os.Executable()
			if err != nil {
				return err
			}
			o.Dir, o.Bin, o.Environ, o.Out = *dir, filepath.Dir(self), os.Environ(), cmd.OutOrStdout()
			return stack.Run(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.HTTP, "http", "127.0.0.1:8080", "address of REST; port 0 takes a free one")
	cmd.Flags().IntVar(&o.Replicas, "replicas", 1, "how many of each service run")
	cmd.Flags().BoolVar(&o.FreePorts, "free-ports", false, "leave every port to the system, so that stacks can run side by side")
	cmd.Flags().StringVar(&o.TestClock, "test-clock", "", "file with the time that all services go by: an instant such as 2026-02-13T17:50:00+08:00, or +36h")
	return cmd
}
