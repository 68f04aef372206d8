package testkit

import (
	"context"
	"fmt"
	"testing"

	"google.golang.org/grpc"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
)

// told keeps what a test was told to fail with.
type told struct {
	testing.TB
	errors []string
}

func (t *told) Errorf(format string, args ...any) {
	t.errors = append(t.errors, fmt.Sprintf(format, args...))
}

// A handler that answers with what it remembers is told from one that makes its answers.
func TestAnswersAreNotShared(t *testing.T) {
	kept := &customerv1.Contact{Name: "李四"}
	for name, tc := range map[string]struct {
		answer func() any
		errors int
	}{
		"made":             {func() any { return &customerv1.Contact{Name: "李四"} }, 0},
		"kept":             {func() any { return kept }, 2},
		"kept in a list":   {func() any { return &customerv1.ListContactsResponse{Contacts: []*customerv1.Contact{kept}} }, 2},
		"nobody in a list": {func() any { return &customerv1.ListContactsResponse{Contacts: []*customerv1.Contact{nil}} }, 0},
		"twice in one": {func() any {
			c := &customerv1.Contact{}
			return &customerv1.ListContactsResponse{Contacts: []*customerv1.Contact{c, c}}
		}, 0},
	} {
		to := &told{TB: t}
		unary := newAnswers(to, authn.New(nil, nil, nil)).Unary()
		for range 3 {
			_, err := unary(t.Context(), nil, &grpc.UnaryServerInfo{FullMethod: "/kefu.Things/Get"},
				func(context.Context, any) (any, error) { return tc.answer(), nil })
			if err != nil {
				t.Fatal(err)
			}
		}
		if len(to.errors) != tc.errors {
			t.Errorf("%s: %q", name, to.errors)
		}
	}
}
