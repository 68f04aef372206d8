package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Ops is the HTTP side of a process, for operators: /metrics, /healthz (the process
// runs, whatever else is down) and /readyz (it can serve).
type Ops struct {
	server *http.Server
	addr   string
}

// StartOps serves on address until Stop. ready gives why the process cannot serve, nil if
// it can. With profiles set, which is for development only, it also serves what
// `go tool pprof` asks for, under /debug/pprof/. It fails when the address cannot be
// listened on.
func StartOps(log *slog.Logger, address string, metrics prometheus.Gatherer, ready func() error, profiles bool) (*Ops, error) {
	lis, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for metrics: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, nil) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { answer(w, ready()) })
	if profiles {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	o := &Ops{addr: lis.Addr().String(), server: &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second,
		WriteTimeout: 15 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
	}}
	go func() {
		if err := o.server.Serve(lis); !errors.Is(err, http.ErrServerClosed) {
			log.Error("the metrics server ended", "error", err)
		}
	}()
	return o, nil
}

func answer(w http.ResponseWriter, problem error) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if problem != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = fmt.Fprintln(w, problem) // the prober may have gone
		return
	}
	_, _ = fmt.Fprintln(w, "ok")
}

// Addr is the address listened on.
func (o *Ops) Addr() string { return o.addr }

// Stop ends the server after the answers under way.
func (o *Ops) Stop(ctx context.Context) error { return o.server.Shutdown(ctx) }
