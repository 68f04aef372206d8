package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"

	"github.com/kefu-suite/kefu/deploy/kefuctl/internal/dryrun"
	"github.com/kefu-suite/kefu/deploy/kefuctl/internal/stack"
	"github.com/kefu-suite/kefu/deploy/kefuctl/internal/token"
)

func dryRunCommand(dir *string) *cobra.Command {
	var address, from, to, tier, origin string
	var complaints bool
	run := &clockv1.DryRunPolicyRequest{}
	r := dryrun.Request{Run: run, Policies: "ticketPolicies"}
	cmd := &cobra.Command{
		Use: "dry-run", Short: "prints which past cases would have missed their deadlines under a policy", Args: cobra.NoArgs,
		Example: `  kefuctl dry-run --policy 2
  kefuctl dry-run --policy 01936b8e-… --origin imported --changed
  kefuctl dry-run --complaints --policy 2 --severity major
  kefuctl dry-run --policy 2 --from 2018-01-01 --to 2018-02-01 --priority p3`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := narrow(run, from, to, tier, origin); err != nil {
				return err
			}
			if complaints {
				r.Policies = "complaintPolicies"
			}
			issuer, err := stack.OpenIssuer(*dir)
			if err != nil {
				return err
			}
			if r.Token, err = token.Mint(issuer, token.Request{Roles: []string{"service-manager"}}); err != nil {
				return err
			}
			if r.Base, err = restURL(address, *dir); err != nil {
				return err
			}
			return dryrun.Do(cmd.Context(), r, cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&run.Id, "policy", "", "id or number of the version to try; required")
	flags.BoolVar(&complaints, "complaints", false, "try a policy of complaints; of tickets without it")
	flags.StringVar(&from, "from", "", "cases that began on this day (2026-11-02) or later")
	flags.StringVar(&to, "to", "", "cases that began before this day")
	flags.StringVar(&origin, "origin", "", "live or imported; both unless given")
	flags.StringVar(&run.Source, "source", "", "cases imported from this source")
	flags.StringVar(&tier, "tier", "", "key, a, b or c")
	flags.StringVar(&run.Priority, "priority", "", "p1 to p4")
	flags.StringVar(&run.Severity, "severity", "", "general or major")
	flags.BoolVar(&run.ChangedOnly, "changed", false, "leave out cases that end alike under both versions")
	flags.StringVar(&address, "url", "", "URL of the REST API (default: that of the running stack)")
	_ = cmd.MarkFlagRequired("policy") // the flag is there
	return cmd
}

// narrow reads the filters into the call.
func narrow(run *clockv1.DryRunPolicyRequest, from, to, tier, origin string) error {
	for _, day := range []struct {
		flag, given string
		to          **timestamppb.Timestamp
	}{{"from", from, &run.CreateTimeFrom}, {"to", to, &run.CreateTimeTo}} {
		if day.given == "" {
			continue
		}
		at, err := time.ParseInLocation(time.DateOnly, day.given, time.Local)
		if err != nil {
			return fmt.Errorf("--%s is %q; give a day like 2026-11-02", day.flag, day.given)
		}
		*day.to = timestamppb.New(at)
	}
	number, err := word("tier", "TIER_", tier, []string{"key", "a", "b", "c"}, typev1.Tier_value)
	if err != nil {
		return err
	}
	run.Tier = typev1.Tier(number)
	number, err = word("origin", "DRY_RUN_ORIGIN_", origin, []string{"live", "imported"}, clockv1.DryRunOrigin_value)
	run.Origin = clockv1.DryRunOrigin(number)
	return err
}

// word reads a value of an enum from its last part in lower case; empty is unspecified.
func word(flag, prefix, given string, possible []string, values map[string]int32) (int32, error) {
	if given == "" {
		return 0, nil
	}
	if !slices.Contains(possible, given) {
		return 0, fmt.Errorf("--%s is %q; give one of %s", flag, given, strings.Join(possible, ", "))
	}
	return values[prefix+strings.ToUpper(given)], nil
}
