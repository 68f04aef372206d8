package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestREADMETour runs the tour as it is written, block after block in one shell, on the
// stack of the tests.
func TestREADMETour(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var script strings.Builder
	script.WriteString("set -euo pipefail\n")
	blocks := strings.Split(string(text), "```sh\n")
	for _, block := range blocks[1:] {
		code, _, ok := strings.Cut(block, "```")
		if !ok {
			t.Fatal("a block of the tour does not end")
		}
		script.WriteString(code)
	}
	st, err := suite.state()
	if err != nil {
		t.Fatal(err)
	}
	tour := strings.NewReplacer(
		"http://127.0.0.1:8080", st.REST,
		"bin/kefuctl token", filepath.Join(suite.bin, "kefuctl")+" --dir "+suite.dir+" token",
		"bin/kefuctl dry-run", filepath.Join(suite.bin, "kefuctl")+" --dir "+suite.dir+" dry-run",
	).Replace(script.String())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash")
	cmd.Stdin = strings.NewReader(tour)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("the tour fails: %v\n%s", err, out)
	}
	// protojson puts a space after a colon in some builds and none in others.
	told := regexp.MustCompile(`(":|,) `).ReplaceAllString(string(out), "$1")
	at := 0
	for _, want := range []string{
		`"name":"上海晨光机械有限公司"`, "C-2", "TICKET_WRONG_STATE", "TICKET_STATE_ASSIGNED", "TICKET_STATE_IN_PROGRESS", "TICKET_STATE_RESOLVED",
		"first-response CLOCK_STATE_MET", "resolution CLOCK_STATE_MET", `"dueTime":`, "2026-02-24T09:50:00Z",
		"documented service-agent CLOCK_STATE_RUNNING", "told handler CLOCK_STATE_PENDING", `"clauseId":"promise-general"`,
		"resolution-c-p3 POLICY_CHANGE_KIND_CHANGED", "version 1, in effect",
		`"answerId":`, `"evidence":{`, "answer.received.v1", "ticket.created.v1", `"questionKey":"overall"`,
	} {
		found := strings.Index(told[at:], want)
		if found < 0 {
			t.Fatalf("the tour does not print %s after what came before:\n%s", want, out)
		}
		at += found
	}
}
