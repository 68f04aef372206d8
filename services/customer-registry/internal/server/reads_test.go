package server_test

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kefu-suite/kefu/services/internal/access"
)

// Reads at the same time share a commit, and each has its record.
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
	if _, err := r.DB.Owner(t).Exec(t.Context(), `ALTER TABLE audit_records ADD CONSTRAINT nothing_check CHECK (false) NOT VALID`); err != nil {
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
