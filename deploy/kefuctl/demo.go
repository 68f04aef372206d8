package main

import (
	"errors"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/kefu-suite/kefu/deploy/kefuctl/internal/demo"
	"github.com/kefu-suite/kefu/deploy/kefuctl/internal/stack"
	"github.com/kefu-suite/kefu/deploy/kefuctl/internal/token"
)

func demoCommand(dir *string) *cobra.Command {
	var data, url string
	cmd := &cobra.Command{
		Use: "demo", Short: "fills a running stack with data sets, or with samples", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			issuer, err := stack.OpenIssuer(*dir)
			if err != nil {
				return err
			}
			base, err := restURL(url, *dir)
			if err != nil {
				return err
			}
			client := demo.NewClient(base, func(role string) (string, error) {
				return token.Mint(issuer, token.Request{Roles: []string{role}})
			})
			return demo.Run(cmd.Context(), client, data, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&data, "data", "", "folder with olist/, nyc311_2018.csv, airline_satisfaction.csv or some of them; samples are made without it")
	cmd.Flags().StringVar(&url, "url", "", "URL of the REST API (default: that of the running stack)")
	return cmd
}

// restURL is the given URL, or where the stack of the folder serves.
func restURL(given, dir string) (string, error) {
	if given != "" {
		return given, nil
	}
	state, err := stack.ReadState(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return "", errors.New("no stack is ready in " + dir + "; start one with `kefuctl up`, or name its folder with --dir")
	}
	return state.REST, err
}
