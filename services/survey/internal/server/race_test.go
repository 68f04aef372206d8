package server_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/survey/internal/questionnaire"
	"github.com/kefu-suite/kefu/services/survey/internal/server"
)

// method is the call that a context belongs to.
type method string

func (m method) Method() string             { return string(m) }
func (method) SetHeader(metadata.MD) error  { return nil }
func (method) SendHeader(metadata.MD) error { return nil }
func (method) SetTrailer(metadata.MD) error { return nil }

// within is the context of a call behind the interceptors.
func within(ctx context.Context, who authn.Identity, name, right string) context.Context {
	ctx = authz.NewContext(authn.NewContext(ctx, who), authz.Decision{Right: right})
	return grpc.NewContextWithServerTransportStream(ctx, method("/kefu.survey.v1."+name))
}

// replica is the service once more, on the same database with connections of its own.
func (k *kit) replica() *server.Server {
	k.t.Helper()
	pool, err := pgxpool.NewWithConfig(k.t.Context(), k.Pool.Config())
	if err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(pool.Close)
	p := k.Process
	path, err := write.New(write.Config{Pool: pool, Keyring: p.Keyring, Service: "survey", Log: slog.New(slog.DiscardHandler), Wake: func() {}})
	if err != nil {
		k.t.Fatal(err)
	}
	s, err := server.New(server.Config{
		Pool: pool, Write: path, Pages: p.Pages, Validator: p.Validator, LinkKey: p.Keyring.Derive(server.LinkKeyLabel),
		Registry: k.registry, Contacts: k.registry, Low: questionnaire.Thresholds{Rating: 2, NPS: 6}, Log: p.Log, Now: p.Now,
	})
	if err != nil {
		k.t.Fatal(err)
	}
	return s
}

// Fifty give the one answer of an invitation at once, behind the link and by telephone, through
// two replicas with pools of their own.
func TestFiftyRacersGiveOneAnswer(t *testing.T) {
	k := newKit(t)
	k.employed()
	q := k.published(question("a", rating))
	replicas := []*server.Server{k.replica(), k.replica()}
	staff := authn.Identity{Kind: authn.Person, Issuer: k.Issuer.URL(), Subject: "tester-" + access.CRMSpecialist, Roles: []string{access.CRMSpecialist}}
	for range 3 {
		asked := k.invite(q.GetId(), k.customer())
		start, errs := make(chan struct{}), make(chan error, 50)
		for i := range cap(errs) {
			go func() {
				<-start
				errs <- race(t.Context(), replicas[i%2], staff, asked, i)
			}()
		}
		close(start)
		won := 0
		for range cap(errs) {
			if err := <-errs; err == nil {
				won++
			} else {
				refused(t, err, codes.FailedPrecondition, "INVITATION_ANSWERED")
			}
		}
		n := k.count(`SELECT count(*) FROM answers WHERE invitation_id = $1`, asked.GetInvitation().GetId())
		if won != 1 || n != 1 {
			t.Errorf("%d won, %d answers", won, n)
		}
	}
	if n := k.count(`SELECT count(*) FROM event_outbox WHERE type = 'answer.received.v1'`); n != 3 {
		t.Errorf("%d events", n)
	}
	if results := k.results(q.GetId(), 0); results.GetAnswers() != 3 || results.GetResponseRate() != 1 {
		t.Errorf("results %v", results)
	}
}

func race(ctx context.Context, s *server.Server, staff authn.Identity, asked *surveyv1.InvitationLink, i int) error {
	if i%5 == 0 {
		_, err := s.EnterAnswer(within(ctx, staff, "EntryService/EnterAnswer", "role:crm-specialist/answers.enter"), &surveyv1.EnterAnswerRequest{
			InvitationId: asked.GetInvitation().GetId(), Channel: telephone, Responses: []*surveyv1.Response{score("a", 1)}})
		return err
	}
	_, err := s.SubmitAnswer(within(ctx, authn.Identity{Kind: authn.Public}, "AnswerService/SubmitAnswer", "public"), &surveyv1.SubmitAnswerRequest{
		Token: asked.GetToken(), Responses: []*surveyv1.Response{score("a", 5)}, RequestId: fmt.Sprint(i)})
	return err
}
