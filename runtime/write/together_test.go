package write_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/testkit"
	"github.com/kefu-suite/kefu/runtime/write"
)

// meeting is calls that come together: the first holds the transaction up until the others wait.
type meeting struct {
	*testkit.DB
	t      *testing.T
	g      *write.Together[request, *wrapperspb.StringValue, any]
	open   chan struct{} // closed once the first transaction may go on
	inside chan struct{} // closed once it is under way
	sizes  []int
}

func meet(t *testing.T, db *testkit.DB, fn func(ctx context.Context, common any, calls []*thing) error) *meeting {
	t.Helper()
	m := &meeting{DB: db, t: t, open: make(chan struct{}), inside: make(chan struct{})}
	first := sync.OnceFunc(func() { close(m.inside) })
	m.g = write.NewTogether(newPath(t, m.Pool, func() {}), 1, 8, readNothing, func(ctx context.Context, common any, calls []*thing) error {
		first()
		<-m.open
		m.sizes = append(m.sizes, len(calls))
		return fn(ctx, common, calls)
	})
	return m
}

// waiting is a context that tells when somebody waits for its end, as who gathers does.
type waiting struct {
	context.Context
	tell func()
}

func (w waiting) Done() <-chan struct{} {
	w.tell()
	return w.Context.Done()
}

// call calls with one request after another, the first of which has the transaction to itself,
// and gives what each ended with.
func (m *meeting) call(ctx func(i int) context.Context, requests ...request) []chan error {
	m.t.Helper()
	ends := make([]chan error, len(requests))
	for i, req := range requests {
		ends[i] = make(chan error, 1)
		waits := make(chan struct{})
		go func() {
			_, err := m.g.Do(waiting{ctx(i), sync.OnceFunc(func() { close(waits) })}, req)
			ends[i] <- err
		}()
		<-waits
		if i == 0 {
			<-m.inside
		}
	}
	close(m.open)
	return ends
}

func (m *meeting) requests(n int) (out []request) {
	for i := range n {
		out = append(out, newRequest(m.t, fmt.Sprint("key ", i), fmt.Sprint(i)))
	}
	return out
}

func someone(int) context.Context { return by("someone", create) }

func TestCallsShareATransaction(t *testing.T) {
	m := meet(t, testkit.Database(t, sets()...), createTogether)
	for i, end := range m.call(someone, m.requests(12)...) {
		if err := <-end; err != nil {
			t.Errorf("%d: %v", i, err)
		}
	}
	if fmt.Sprint(m.sizes) != "[1 8 3]" {
		t.Errorf("calls a transaction: %v", m.sizes)
	}
	checkEffects(t, m.DB, 12)
	linkAndVerify(t, m.DB, 12)
}

func TestACallFailsAlone(t *testing.T) {
	taken := uuid.New()
	for name, spoil := range map[string]func(c *thing) error{
		"by its rule": func(c *thing) error {
			c.Err = rpcerr.New(codes.NotFound, "NONE_LEFT", rpcerr.T("none", "无"))
			return nil
		},
		"by its statement": func(c *thing) error {
			_, err := c.Tx.Soon().Exec(c.Ctx, insertThing, taken, "twice")
			return err
		},
		"after it wrote": func(c *thing) error {
			if _, err := c.Tx.Exec(c.Ctx, insertThing, uuid.New(), "half"); err != nil {
				return err
			}
			c.Err = rpcerr.New(codes.NotFound, "NONE_LEFT", rpcerr.T("none", "无"))
			return nil
		},
		"by what it left out": func(c *thing) error {
			c.Answer = nil
			return nil
		},
		"by a panic": func(*thing) error { panic("spoiled") },
	} {
		t.Run(name, func(t *testing.T) {
			m := meet(t, testkit.Database(t, sets()...), func(ctx context.Context, common any, calls []*thing) error {
				if err := createTogether(ctx, common, calls); err != nil {
					return err
				}
				for _, c := range calls {
					if c.Req.name() == "3" {
						return spoil(c)
					}
				}
				return nil
			})
			if _, err := m.Pool.Exec(t.Context(), insertThing, taken, "before"); err != nil {
				t.Fatal(err)
			}
			for i, end := range m.call(someone, m.requests(6)...) {
				err := <-end
				if (i == 3) != (err != nil) {
					t.Errorf("%d: %v", i, err)
				}
			}
			if n := count(t, m.Pool, "things"); n != 1+5 {
				t.Errorf("%d things, want those of five calls and the one of before", n)
			}
			if n := count(t, m.Pool, "idempotency_outcomes"); n != 5 {
				t.Errorf("%d outcomes of five calls", n)
			}
		})
	}
}

func TestWhoLeftIsNotServed(t *testing.T) {
	m := meet(t, testkit.Database(t, sets()...), createTogether)
	gone, leave := context.WithCancelCause(by("someone", create))
	ends := m.call(func(i int) context.Context {
		if i == 2 {
			leave(errors.New("gone"))
			return gone
		}
		return someone(i)
	}, m.requests(4)...)
	for i, end := range ends {
		if err := <-end; (i == 2) != (err != nil) {
			t.Errorf("%d: %v", i, err)
		}
	}
	checkEffects(t, m.DB, 3)
}

// A request id that stands twice among calls has one effect, and one that is in use elsewhere
// holds nobody else up.
func TestRequestIDsOfCallsTogether(t *testing.T) {
	m := meet(t, testkit.Database(t, sets()...), createTogether)
	held, release := make(chan struct{}), make(chan struct{})
	elsewhere := make(chan error, 1)
	go func() {
		_, err := write.Do(by("someone", create), newPath(t, m.Pool, func() {}), newRequest(t, "in use", "a"),
			func(ctx context.Context, tx *write.Tx) (*wrapperspb.StringValue, error) {
				close(held)
				<-release
				id := uuid.New()
				recordCreated(&tx.Record, id, "a")
				_, err := tx.Exec(ctx, insertThing, id, "a")
				return wrapperspb.String(id.String()), err
			})
		elsewhere <- err
	}()
	<-held
	all := m.requests(4)
	all = append(all, all[2], newRequest(t, "key 1", "another body"), newRequest(t, "in use", "a"))
	ends := m.call(someone, all...)
	for i, end := range ends[:5] {
		if err := <-end; err != nil {
			t.Errorf("%d: %v", i, err)
		}
	}
	if err := <-ends[5]; reason(err) != write.ReasonReused {
		t.Errorf("another body under the same request id: %v", err)
	}
	select {
	case err := <-ends[6]:
		t.Errorf("a call whose request id was in use ended with %v", err)
	default:
	}
	close(release)
	for what, end := range map[string]chan error{"the call elsewhere": elsewhere, "the same call": ends[6]} {
		if err := <-end; err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	checkEffects(t, m.DB, 5)
}
