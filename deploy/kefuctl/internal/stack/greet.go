package stack

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"
)

// greet says where everything is.
func (u *up) greet(took time.Duration) {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	row := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) } // to memory
	row("")
	row("ready after %.1f s", took.Seconds())
	row("")
	edge := u.programs[len(u.programs)-1].running()
	row("REST\thttp://%s", edge.HTTP)
	row("docs\thttp://%s/docs/", edge.HTTP)
	for _, p := range u.programs {
		if r := p.running(); p.edge {
			row("\t%s\t\tmetrics http://%s/metrics", p.label(), r.Metrics)
		} else {
			row("gRPC\t%s\t%s\tmetrics http://%s/metrics", p.label(), r.GRPC, r.Metrics)
		}
	}
	row("CA\t%s", relative(u.secrets.ca.CertFile()))
	row("logs\t%s", relative(u.dir.in("logs")))
	row("token\t%s", u.tokenCommand())
	if u.opts.TestClock != "" {
		row("clock\tas %s says", relative(u.opts.TestClock))
	}
	row("")
	row("Ctrl-C stops everything; the data stays in %s", relative(string(u.dir)))
	_ = w.Flush() // to memory
	u.say("%s", b.String())
}

func (u *up) tokenCommand() string {
	self, err := os.Executable()
	if err != nil {
		self = "kefuctl"
	}
	self = relative(self)
	if !strings.Contains(self, "/") {
		self = "./" + self // a shell looks for a bare name elsewhere
	}
	command := self + " token --role service-agent"
	if relative(string(u.dir)) != ".kefu" {
		command += " --dir " + relative(string(u.dir))
	}
	return command
}

// relative shortens a path for whoever stands in the working directory.
func relative(path string) string {
	here, err := os.Getwd()
	if err != nil {
		return path
	}
	short, err := filepath.Rel(here, path)
	if err != nil || strings.HasPrefix(short, "..") {
		return path
	}
	return short
}
