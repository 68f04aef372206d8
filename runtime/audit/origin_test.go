package audit_test

import (
	"encoding/hex"
	"net/netip"
	"testing"

	auditv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/audit/v1"
	"github.com/kefu-suite/kefu/runtime/audit"
	"github.com/kefu-suite/kefu/runtime/authn"
)

// TestRecordsOfBeforeKeepTheirSeal: the seal of a record without address is the one that the
// release before addresses gave it, and no other record has it.
func TestRecordsOfBeforeKeepTheirSeal(t *testing.T) {
	const before = "ad11831badd31d2cc3c05887554737a2984a41934a3452090187163b2ebadc4c"
	if got := hex.EncodeToString(audit.SampleMAC(key, netip.Prefix{})); got != before {
		t.Errorf("the seal of a record of before is %s, it was %s", got, before)
	}
	seen := map[string]netip.Prefix{before: {}}
	for _, p := range []string{"203.0.113.0/32", "203.0.113.0/24", "203.0.113.0/25", "2001:db8::/48", "2001:db8::/128", "::/0", "0.0.0.0/0"} {
		mac := hex.EncodeToString(audit.SampleMAC(key, netip.MustParsePrefix(p)))
		if other, ok := seen[mac]; ok {
			t.Errorf("%s and %s have the same seal", p, other)
		}
		seen[mac] = netip.MustParsePrefix(p)
	}
}

// TestAddressesOfCustomersAreNotKeptWhole, because nothing is ever erased from the trail.
func TestAddressesOfCustomersAreNotKeptWhole(t *testing.T) {
	for _, c := range []struct {
		kind    authn.Kind
		v4, v6  string
		whoever string
	}{
		{authn.Person, "203.0.113.7", "2001:db8:1:2::7", "staff"},
		{authn.ServiceAccount, "203.0.113.7", "2001:db8:1:2::7", "a system"},
		{authn.Service, "203.0.113.7", "2001:db8:1:2::7", "a service"},
		{authn.Customer, "203.0.113.0/24", "2001:db8:1::/48", "a customer"},
		{authn.Public, "203.0.113.0/24", "2001:db8:1::/48", "nobody known"},
	} {
		v4 := audit.Kept(c.kind, netip.MustParseAddr("203.0.113.7"))
		v6 := audit.Kept(c.kind, netip.MustParseAddr("2001:db8:1:2::7"))
		if v4 != c.v4 || v6 != c.v6 || audit.Kept(c.kind, netip.Addr{}) != "" {
			t.Errorf("of %s are kept %q and %q, expected %q and %q", c.whoever, v4, v6, c.v4, c.v6)
		}
	}
}

// TestAReplicaOfBeforeEntersAddressesToo: while a release is rolled out, the one that links may
// be one that knows no address, and records written beside it have some.
func TestAReplicaOfBeforeEntersAddressesToo(t *testing.T) {
	s, client, _ := trailed(t, 4)
	owner := s.DB.Owner(t)
	for _, sql := range []string{
		`CREATE TEMP TABLE entries AS SELECT position, audit_id, time, actor, action, object_id, customer_id, access_right FROM audit_search`,
		`DELETE FROM audit_search`,
		`INSERT INTO audit_search (position, audit_id, time, actor, action, object_id, customer_id, access_right) SELECT * FROM entries`,
	} {
		if _, err := owner.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	found, err := client.ListAuditRecords(s.As("auditor"), &auditv1.ListAuditRecordsRequest{Source: "complaint", Address: "203.0.113.7"})
	if err != nil || len(found.GetAuditRecords()) != 1 || found.GetAuditRecords()[0].GetPosition() != 1 {
		t.Errorf("by address: %v, %v", found, err)
	}
	auditKey := s.Process.Keyring.Derive(audit.KeyLabel)
	linkIn(t, s, auditKey)
	if n, err := audit.Verify(t.Context(), s.Pool, auditKey); n != 5 || err != nil {
		t.Errorf("Verify = %d, %v", n, err)
	}
}

// TestTheTrailSaysFromWhere it was read, and where that is shown and checked.
func TestTheTrailSaysFromWhere(t *testing.T) {
	s, client, _ := trailed(t, 1)
	req := &auditv1.ListAuditRecordsRequest{Source: "complaint"}
	if _, err := client.ListAuditRecords(s.From(s.As("auditor"), "192.0.2.66, 198.51.100.4"), req); err != nil {
		t.Fatal(err)
	}
	linkIn(t, s, s.Process.Keyring.Derive(audit.KeyLabel))
	page, err := client.ListAuditRecords(s.As("auditor"), req)
	if err != nil || len(page.GetAuditRecords()) != 2 {
		t.Fatalf("%v, %v", page, err)
	}
	if r := page.GetAuditRecords()[0]; r.GetAddress() != "198.51.100.4" || !r.GetIntact() {
		t.Errorf("the reading: %v", r)
	}
	if _, err := s.DB.Owner(t).Exec(t.Context(), `UPDATE audit_records SET address = '198.51.100.5' WHERE action LIKE '%ListAuditRecords'`); err != nil {
		t.Fatal(err)
	}
	page, err = client.ListAuditRecords(s.As("auditor"), &auditv1.ListAuditRecordsRequest{Source: "complaint", Address: "198.51.100.4"})
	if err != nil || len(page.GetAuditRecords()) != 1 || page.GetAuditRecords()[0].GetIntact() {
		t.Errorf("an address that was edited: %v, %v", page, err)
	}
}

// TestLinksOfBothReleases: a chain goes on over records with and without address.
func TestLinksOfBothReleases(t *testing.T) {
	db := trail(t, 9)
	var without, with int
	err := db.Pool.QueryRow(t.Context(), `SELECT count(*) FILTER (WHERE address IS NULL), count(address) FROM audit_records`).Scan(&without, &with)
	if err != nil || without < 3 || with < 3 {
		t.Fatalf("%d records without and %d with address, %v", without, with, err)
	}
	if n, err := audit.Verify(t.Context(), db.Pool, key); n != 9 || err != nil {
		t.Errorf("Verify = %d, %v", n, err)
	}
}
