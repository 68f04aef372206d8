package edge

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// WatchTickets sends two events and ends as the backend is told to.
func (b *backend) WatchTickets(r *ticketv1.WatchTicketsRequest, out grpc.ServerStreamingServer[httpbody.HttpBody]) error {
	for _, event := range []string{"id: 1\ndata: {}\n\n", "id: 2\ndata: {}\n\n"} {
		if err := out.Send(&httpbody.HttpBody{ContentType: eventStream, Data: []byte(event)}); err != nil {
			return err
		}
	}
	return b.keep(out.Context(), r)
}

// What ends a stream of events is told as its last event, with the error as every call has it.
func TestTheEndOfAStreamOfEvents(t *testing.T) {
	for name, c := range map[string]struct {
		end    error
		reason string
	}{
		"the token has expired":   {rpcerr.Unauthenticated("TOKEN_EXPIRED", rpcerr.T("Sign in again.", "请重新登录。")), "TOKEN_EXPIRED"},
		"the right was withdrawn": {rpcerr.Denied("PERMISSION_DENIED", rpcerr.T("No.", "不行。")), "PERMISSION_DENIED"},
		"the service stops":       {rpcerr.Unavailable("event stream"), "DEPENDENCY_UNAVAILABLE"},
		"it is complete":          {nil, ""},
		"the connection is lost":  {status.Error(codes.Unavailable, "connection reset"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := setup(t)
			w.fail = c.end
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+"/v1/tickets:watch", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer "+w.token)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = resp.Body.Close() }()
			raw, err := io.ReadAll(resp.Body)
			if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatal(err)
			}
			_, last, told := strings.Cut(string(raw), "event: end\ndata: ")
			if resp.StatusCode != http.StatusOK || !strings.Contains(string(raw), "id: 2\n") || told != (c.reason != "") {
				t.Fatalf("%d %s", resp.StatusCode, raw)
			}
			if !told {
				return
			}
			var said struct {
				Code    int
				Details []struct{ Reason string }
			}
			data, rest, _ := strings.Cut(last, "\n\n")
			if err := json.Unmarshal([]byte(data), &said); err != nil {
				t.Fatalf("%s: %v", data, err)
			}
			if said.Details[0].Reason != c.reason || said.Code != int(status.Code(c.end)) || strings.TrimSpace(rest) != "" {
				t.Errorf("it ends with %s", last)
			}
		})
	}
}
