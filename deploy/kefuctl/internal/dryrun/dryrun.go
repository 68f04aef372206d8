// Package dryrun asks the suite how past cases would have gone under a version of a policy
// and writes for people who would have missed what.
package dryrun

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
)

// Request says which policy is tried where.
type Request struct {
	// Base is the URL of the REST API, Token a service manager's.
	Base, Token string
	// Policies is the collection: ticketPolicies or complaintPolicies.
	Policies string
	// Run is the call; its id names the version.
	Run *clockv1.DryRunPolicyRequest
}

// Do makes the call and writes a line for each deadline that the version would have missed or
// would no longer miss, the totals, and which standards it would have met and missed by type
// and priority; the last only where all cases are told. It fails when the suite refuses the call, and when
// the answer ends before the totals.
func Do(ctx context.Context, r Request, out io.Writer) error {
	body, err := protojson.Marshal(r.Run)
	if err != nil {
		return fmt.Errorf("the call: %w", err)
	}
	at := strings.TrimSuffix(r.Base, "/") + "/v1/" + r.Policies + "/" + url.PathEscape(r.Run.GetId()) + ":dryRun"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+r.Token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		content, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		if err != nil {
			return err
		}
		return Refused(content, resp.Status)
	}
	return read(resp.Body, out, r.Run.GetChangedOnly())
}

// read takes the messages of the answer one at a time, however many there are.
func read(answer io.Reader, out io.Writer, some bool) error {
	met := table{}
	for lines := json.NewDecoder(answer); ; {
		var line struct{ Result, Error json.RawMessage }
		if err := lines.Decode(&line); errors.Is(err, io.EOF) {
			return errors.New("the answer ended before the totals")
		} else if err != nil {
			return fmt.Errorf("read the answer: %w", err)
		}
		if line.Error != nil {
			return Refused(line.Error, "the dry run failed")
		}
		var got clockv1.DryRunPolicyResponse
		if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(line.Result, &got); err != nil {
			return fmt.Errorf("read the answer: %w", err)
		}
		if c := got.GetCase(); c != nil {
			met.add(c)
			if err := writeCase(out, c); err != nil {
				return err
			}
		}
		if t := got.GetTotals(); t != nil {
			if err := writeTotals(out, t); err != nil || some {
				return err
			}
			return met.write(out, t.GetTried().GetPolicyVersion())
		}
	}
}

// Refused reads a google.rpc.Status.
func Refused(content []byte, otherwise string) error {
	var status struct {
		Message string
		Details []struct {
			Reason          string
			FieldViolations []struct{ Field, Description string }
		}
	}
	if json.Unmarshal(content, &status) != nil || status.Message == "" {
		return errors.New(otherwise)
	}
	text := status.Message
	for _, d := range status.Details {
		if d.Reason != "" {
			text += " (" + d.Reason + ")"
		}
		for _, v := range d.FieldViolations {
			text += "\n  " + v.Field + ": " + v.Description
		}
	}
	return errors.New(text)
}

const missed = clockv1.ClockState_CLOCK_STATE_MISSED

func writeCase(out io.Writer, c *clockv1.DryRunCase) error {
	for _, d := range c.GetClocks() {
		tried, inEffect := d.GetTried(), d.GetInEffect()
		if tried.GetState() != missed && inEffect.GetState() != missed {
			continue
		}
		clause := tried
		if clause == nil {
			clause = inEffect
		}
		_, err := fmt.Fprintf(out, "%-18s %-16s %-26s %-24s now %s\n", c.GetNumber(), d.GetKind(), clause.GetClauseId(), told(tried), told(inEffect))
		if err != nil {
			return err
		}
	}
	return nil
}

// told is an outcome in a few words.
func told(o *clockv1.DryRunOutcome) string {
	switch o.GetState() {
	case clockv1.ClockState_CLOCK_STATE_UNSPECIFIED:
		return "no deadline"
	case missed:
		return "missed by " + o.GetMissedBy().AsDuration().Round(time.Second).String()
	}
	return strings.ToLower(strings.TrimPrefix(o.GetState().String(), "CLOCK_STATE_"))
}

func writeTotals(out io.Writer, t *clockv1.DryRunTotals) error {
	var b strings.Builder
	_, _ = fmt.Fprintf(&b, "\n%d cases as of %s: %d deadlines newly missed, %d no longer missed\n", t.GetCases(),
		t.GetAsOf().AsTime().Local().Format(time.DateTime), t.GetNewlyMissed(), t.GetNoLongerMissed())
	_, _ = fmt.Fprintf(&b, "\n%-34s %9s %9s %9s %9s\n", "", "met", "missed", "open", "given up")
	for _, s := range []struct {
		name string
		side *clockv1.DryRunSide
	}{{"version %d, tried", t.GetTried()}, {"version %d, in effect", t.GetInEffect()}} {
		row(&b, fmt.Sprintf(s.name, s.side.GetPolicyVersion()), s.side, "")
		for _, c := range s.side.GetClauses() {
			worst := ""
			if d := c.GetWorst().AsDuration(); d > 0 {
				worst = "  worst " + d.Round(time.Second).String()
			}
			row(&b, "  "+c.GetClauseId(), c, worst)
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// counts are what sides and clauses both have.
type counts interface {
	proto.Message
	GetMet() int64
	GetMissed() int64
	GetOpen() int64
	GetCancelled() int64
}

func row(b *strings.Builder, name string, c counts, more string) {
	_, _ = fmt.Fprintf(b, "%-34s %9d %9d %9d %9d%s\n", name, c.GetMet(), c.GetMissed(), c.GetOpen(), c.GetCancelled(), more)
}
