package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	killedRows = 20_000
	// Each 1,000th row has a phone that is none.
	killedFaults = killedRows / 1000
)

// TestAnImportSurvivesKills: the registry dies twice in the middle of a file and the import
// goes on by itself, with every row once.
func TestAnImportSurvivesKills(t *testing.T) {
	s, err := start(suite.bin, filepath.Join(t.TempDir(), "stack"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	}()
	admin := as(t, s, role("information-administrator")...)
	source := fmt.Sprintf("killed-%d", time.Now().UnixNano())
	file := killedFile(source)
	id := begun(admin, source, file)
	for _, after := range []float64{1, killedRows / 2} {
		seen := until(admin, id, func(of object) bool { return rowsOf(of) >= after })
		if seen.text("state") != "IMPORT_STATE_RUNNING" {
			t.Fatalf("it ended before it was killed: %v", seen)
		}
		killProgram(t, s, "customer-registry")
		eventually(t, "an answer of the registry", func() bool {
			a := admin.try("GET", "/v1/customerImports/"+id, nil)
			seen = a.body
			return a.code == http.StatusOK
		})
		t.Logf("killed; %v rows are done", rowsOf(seen))
	}
	done := ended(admin, id)
	if done.text("state") != "IMPORT_STATE_DONE" || rowsOf(done) != killedRows ||
		done.text("created") != fmt.Sprint(killedRows-killedFaults) || done.text("refused") != fmt.Sprint(killedFaults) || done.text("existing") != "0" {
		t.Errorf("after two kills: %v", done)
	}
	again := ended(admin, begun(admin, source, file))
	if again.text("created") != "0" || again.text("existing") != fmt.Sprint(killedRows-killedFaults) || again.text("refused") != fmt.Sprint(killedFaults) {
		t.Errorf("the same file again: %v", again)
	}
	found := map[string]int{}
	for _, line := range strings.Split(export(admin), "\n") {
		for _, cell := range strings.Split(line, ",") {
			if strings.HasPrefix(cell, source+" ") {
				found[cell]++
			}
		}
	}
	if len(found) != killedRows-killedFaults {
		t.Errorf("%d of %d customers are there", len(found), killedRows-killedFaults)
	}
	for name, n := range found {
		if n != 1 {
			t.Errorf("%s is there %d times", name, n)
		}
	}
}

func rowsOf(of object) (rows float64) {
	_, _ = fmt.Sscan(of.text("rows"), &rows) // 0 while there is none
	return rows
}

func killedFile(source string) string {
	var b strings.Builder
	b.WriteString("external_id,name,kind,party,phone\n")
	for i := range killedRows {
		phone := fmt.Sprintf("138%08d", i)
		if i%1000 == 7 {
			phone = "12"
		}
		fmt.Fprintf(&b, "K-%d,%s %d,agent,organisation,%s\n", i, source, i, phone)
	}
	return b.String()
}

// begun uploads a file and returns its import, which begins.
func begun(c *caller, source, file string) string {
	c.t.Helper()
	id := c.post("/v1/customerImports", object{"source": source, "purpose": "killed in the middle", "format": "SHEET_FORMAT_CSV"}).text("id")
	if code, answer := c.transfer("POST", "/v1/customerImports/"+id+":upload", "text/csv", file); code != http.StatusOK {
		c.t.Fatalf("upload: %d %s", code, answer)
	}
	return id
}

// ended waits for the end of an import.
func ended(c *caller, id string) object {
	c.t.Helper()
	return until(c, id, func(of object) bool { return of.text("state") != "IMPORT_STATE_RUNNING" })
}

// until waits until an import has come so far.
func until(c *caller, id string, far func(object) bool) (last object) {
	c.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if last = c.get("/v1/customerImports/" + id); far(last) {
			return last
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("it does not go on: %v", last)
		}
	}
}

func export(c *caller) string {
	c.t.Helper()
	code, table := c.transfer("POST", "/v1/customers:export", "application/json", `{"format": "SHEET_FORMAT_CSV", "purpose": "核对导入"}`)
	if code != http.StatusOK {
		c.t.Fatalf("export: %d %s", code, table)
	}
	return table
}

// transfer makes a call whose body or answer is a file.
func (c *caller) transfer(method, path, kind, body string) (code int, text string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Content-Type", kind)
	req.Header.Set("Authorization", "Bearer "+c.token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	return res.StatusCode, string(raw)
}
