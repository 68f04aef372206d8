// Command kefuctl is the operator's tool: it runs the suite on one machine, mints
// development tokens for it and fills it with data.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	context.AfterFunc(ctx, cancel) // a second signal kills
	if err := root().ExecuteContext(ctx); err != nil {
		_, _ = fmt.Fprintf(os.Stderr, "kefuctl: %v\n", err)
		os.Exit(1)
	}
}

func root() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use: "kefuctl", Short: "runs the Kefu suite on this machine and works with it",
		SilenceUsage: true, SilenceErrors: true, Args: cobra.NoArgs,
	}
	cmd.PersistentFlags().StringVar(&dir, "dir", ".kefu", "folder of the stack")
	cmd.AddCommand(upCommand(&dir), tokenCommand(&dir), demoCommand(&dir), dryRunCommand(&dir), importCommand(&dir), keysCommand(&dir), auditCommand(&dir))
	return cmd
}
