package page_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/page"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func as(subject string) context.Context {
	return authn.NewContext(context.Background(), authn.Identity{
		Kind: authn.Person, Issuer: "https://issuer", Subject: subject,
	})
}

// filter stands for a list request; any message does.
func filter(name string) proto.Message {
	return &descriptorpb.EnumValueDescriptorProto{Name: proto.String(name)}
}

func sealer(t *testing.T, c *clock, key byte) *page.Sealer {
	t.Helper()
	s, err := page.NewSealer(bytes.Repeat([]byte{key}, 32), c.now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTokenOpensForItsCallerAndRequest(t *testing.T) {
	c := &clock{at: time.Unix(1_700_000_000, 0)}
	s := sealer(t, c, 1)
	token, err := s.Seal(as("li"), filter("open"), "cursor-7")
	if err != nil {
		t.Fatal(err)
	}
	c.at = c.at.Add(24*time.Hour - time.Second)
	got, err := s.Open(as("li"), filter("open"), token)
	if err != nil || got != "cursor-7" {
		t.Fatalf("got %q, %v", got, err)
	}
}

func TestTokenIsRefused(t *testing.T) {
	c := &clock{at: time.Unix(1_700_000_000, 0)}
	s := sealer(t, c, 1)
	token, err := s.Seal(as("li"), filter("open"), "cursor-7")
	if err != nil {
		t.Fatal(err)
	}
	last := []byte(token)
	last[len(last)/2] ^= 1
	for name, open := range map[string]func() (string, error){
		"another caller":  func() (string, error) { return s.Open(as("wang"), filter("open"), token) },
		"no caller":       func() (string, error) { return s.Open(context.Background(), filter("open"), token) },
		"another filter":  func() (string, error) { return s.Open(as("li"), filter("closed"), token) },
		"another message": func() (string, error) { return s.Open(as("li"), &descriptorpb.FileDescriptorSet{}, token) },
		"another key":     func() (string, error) { return sealer(t, c, 2).Open(as("li"), filter("open"), token) },
		"tampered":        func() (string, error) { return s.Open(as("li"), filter("open"), string(last)) },
		"cut":             func() (string, error) { return s.Open(as("li"), filter("open"), token[:10]) },
		"not base64":      func() (string, error) { return s.Open(as("li"), filter("open"), "%%%") },
		"expired": func() (string, error) {
			late := sealer(t, &clock{at: c.at.Add(24 * time.Hour)}, 1)
			return late.Open(as("li"), filter("open"), token)
		},
	} {
		got, err := open()
		if status.Code(err) != codes.InvalidArgument || rpcerr.Reason(err) != rpcerr.ReasonValidation {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
}

func TestEmptyCursorIsTheLastPage(t *testing.T) {
	s := sealer(t, &clock{at: time.Unix(1_700_000_000, 0)}, 1)
	token, err := s.Seal(as("li"), filter("open"), "")
	if err != nil || token != "" {
		t.Fatalf("got %q, %v", token, err)
	}
	cursor, err := s.Open(as("li"), filter("open"), "")
	if err != nil || cursor != "" {
		t.Fatalf("got %q, %v", cursor, err)
	}
}

func TestSize(t *testing.T) {
	for asked, want := range map[int32]int32{-1: 50, 0: 50, 1: 1, 500: 500, 501: 500} {
		if got := page.Size(asked); got != want {
			t.Errorf("Size(%d) = %d, want %d", asked, got, want)
		}
	}
}

func TestShortKeyIsRefused(t *testing.T) {
	if _, err := page.NewSealer([]byte("short"), time.Now); err == nil {
		t.Fatal("a short key was taken")
	}
}
