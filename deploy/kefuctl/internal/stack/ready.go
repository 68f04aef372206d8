package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// readyLimit bounds the wait for one program; readyPoll is how often it is asked.
const (
	readyLimit = 60 * time.Second
	readyPoll  = 50 * time.Millisecond
)

// await asks the program until it can serve.
func (p *program) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	tick := time.NewTicker(readyPoll)
	defer tick.Stop()
	var why error
	for {
		err := p.ready(ctx)
		if err == nil {
			return nil
		}
		if why == nil || ctx.Err() == nil {
			why = err
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return fmt.Errorf("%s is not ready after %s: %w; its log %s ends with: %s", p.label(), readyLimit, why,
					p.up.dir.logFile(p.label()), lastLine(p.up.dir.logFile(p.label())))
			}
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// ready asks once. The gateway answers 200 as soon as one service is reachable; a stack
// is ready when all are.
func (p *program) ready(ctx context.Context) error {
	at := p.running()
	address := at.Metrics
	if p.edge {
		address = at.HTTP
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/readyz", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(body)) {
		line = strings.TrimSpace(line)
		if resp.StatusCode != http.StatusOK || (line != "ok" && !strings.HasSuffix(line, ": ok")) {
			return errors.New(line)
		}
	}
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}
