package server_test

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	"github.com/kefu-suite/kefu/runtime/audit"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/disclosure"
	"github.com/kefu-suite/kefu/services/internal/access"
)

// Each of many reads at the same time has its record.
func TestManyReadsLeaveARecordEach(t *testing.T) {
	r := start(t)
	made := r.make(t, full())
	const readers, times = 16, 10
	done := make(chan error, readers)
	for range readers {
		go func() {
			for range times {
				if _, err := r.read(r.As(access.ServiceAgent), made.GetId()); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range readers {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if n := r.rights(t, made.GetId(), "role:service-agent/customers.readmasked"); n != readers*times {
		t.Errorf("%d records of %d reads", n, readers*times)
	}
	if n := r.count(t, `SELECT count(*) FROM file_reads WHERE customer_id = $1`, made.GetId()); n != readers*times {
		t.Errorf("%d lines of %d reads", n, readers*times)
	}
}

// An answer whose record cannot be written does not leave.
func TestAReadWithoutARecordIsRefused(t *testing.T) {
	r := start(t)
	made := r.make(t, full())
	if _, err := r.DB.Owner(t).Exec(t.Context(), `ALTER TABLE audit_reads ADD CONSTRAINT nothing_check CHECK (false) NOT VALID`); err != nil {
		t.Fatal(err)
	}
	got, err := r.read(r.As(access.ServiceAgent), made.GetId())
	if status.Code(err) != codes.Internal || got != nil {
		t.Errorf("read %v, %v", got, err)
	}
	if n := r.count(t, `SELECT count(*) FROM file_reads`); n != 0 {
		t.Errorf("%d lines of a read that was refused", n)
	}
}

// What a read rests on is counted as the right in its record says it; what customers read of
// themselves is not.
func TestReadsAreCountedByWhatTheyRestOn(t *testing.T) {
	r := start(t)
	reads := audit.NewReads(r.Pool, r.Process.Log, r.Process.Keyring.Derive(audit.KeyLabel))
	read := func(v disclosure.Verdict, kind eventv1.ActorKind) uuid.UUID {
		t.Helper()
		id := uuid.New()
		if err := reads.Begin(t.Context(), audit.Act{
			Entry:  audit.Entry{Action: "/x/Get", ObjectType: "contact", ObjectID: uuid.New(), CustomerID: id, Right: v.Right("role:service-agent/customers.read")},
			Origin: audit.Origin{Time: r.Clock.Now(), Actor: "iss|reader", ActorKind: kind},
		}).Done(t.Context()); err != nil {
			t.Fatal(err)
		}
		return id
	}
	for basis := disclosure.ByRole; basis <= disclosure.ByVisit; basis++ {
		v := disclosure.Verdict{Basis: basis, Grant: disclosure.Grant{ID: uuid.New()}, Ticket: uuid.New()}
		id := read(v, eventv1.ActorKind_ACTOR_KIND_PERSON)
		if n := r.count(t, `SELECT count(*) FROM file_reads WHERE customer_id = $1 AND basis = $2 AND access_right = $3 AND reader = 'iss|reader' AND read_time = $4`,
			id, int(basis), v.Right("role:service-agent/customers.read"), r.Clock.Now()); n != 1 {
			t.Errorf("basis %d: %d lines", basis, n)
		}
	}
	read(disclosure.Verdict{Basis: disclosure.ByRole}, eventv1.ActorKind_ACTOR_KIND_CUSTOMER)
	if n := r.count(t, `SELECT count(*) FROM file_reads`); n != int(disclosure.ByVisit) {
		t.Errorf("%d lines", n)
	}
}

// A read and a change say from where they came; of a customer's own only the network is kept.
func TestReadsAndChangesSayFromWhere(t *testing.T) {
	r := start(t)
	made := r.make(t, full())
	for _, c := range []struct {
		ctx           context.Context
		address, kept string
	}{
		{r.As(access.ServiceAgent), "203.0.113.7", "203.0.113.7/32"},
		{r.AsCustomer(made.GetId()), "203.0.113.7", "203.0.113.0/24"},
		{r.AsCustomer(made.GetId()), "2001:db8:1:2::7", "2001:db8:1::/48"},
	} {
		if _, err := r.read(r.From(c.ctx, c.address), made.GetId()); err != nil {
			t.Fatal(err)
		}
		if n := r.count(t, `SELECT count(*) FROM audit_records WHERE object_id = $1 AND address = $2::inet`, made.GetId(), c.kept); n != 1 {
			t.Errorf("%d records of a read from %s have %s", n, c.address, c.kept)
		}
	}
	if _, err := r.customers.SetConsent(r.From(r.As(access.CRMSpecialist), "198.51.100.3"), consent(made.GetId(), surveys, true)); err != nil {
		t.Fatal(err)
	}
	if n := r.count(t, `SELECT count(*) FROM audit_records WHERE action LIKE '%/SetConsent' AND address = '198.51.100.3'`); n != 1 {
		t.Errorf("%d records of the change have the address", n)
	}
}
