package server

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
)

// endless is the last day of a certificate without one.
var endless = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)

// fillCertificates writes certificates to a row.
func fillCertificates(row *db.Staff, given []*ticketv1.Certificate) error {
	row.CertificateNames, row.CertificateExpiries = []string{}, []time.Time{}
	seen := map[string]bool{}
	for i, c := range given {
		if seen[c.GetName()] {
			return rpcerr.Invalid(fmt.Sprintf("staff.certificates[%d].name", i), rpcerr.T(
				"the certificate stands there twice; give each once, with its last day",
				"该证书重复；每个证书只填写一次，并注明有效期截止日"))
		}
		seen[c.GetName()] = true
		last := endless
		if c.GetExpireDate() != "" {
			var err error
			if last, err = time.Parse(time.DateOnly, c.GetExpireDate()); err != nil {
				return rpcerr.Invalid(fmt.Sprintf("staff.certificates[%d].expire_date", i), rpcerr.T(
					"%[1]s is no day of the calendar; give one like 2027-03-31",
					"%[1]s 不是有效日期；请填写如 2027-03-31 的日期", c.GetExpireDate()))
			}
		}
		row.CertificateNames = append(row.CertificateNames, c.GetName())
		row.CertificateExpiries = append(row.CertificateExpiries, last)
	}
	return nil
}

func certificates(row *db.Staff) []*ticketv1.Certificate {
	var out []*ticketv1.Certificate
	for i, name := range row.CertificateNames {
		c := &ticketv1.Certificate{Name: name}
		if last := row.CertificateExpiries[i]; !last.Equal(endless) {
			c.ExpireDate = last.Format(time.DateOnly)
		}
		out = append(out, c)
	}
	return out
}

// upToDate adds what changes by itself: the load, and which certificates have expired where
// the person works.
func (s *Server) upToDate(ctx context.Context, staff ...*ticketv1.Staff) error {
	ids := make([]uuid.UUID, len(staff))
	by := map[uuid.UUID]*ticketv1.Staff{}
	for i, one := range staff {
		var err error
		if ids[i], err = parseID("id", one.GetId()); err != nil {
			return err
		}
		by[ids[i]] = one
		if len(one.GetCertificates()) == 0 {
			continue
		}
		cal, _, err := s.calendars.Load(ctx, s.pool, one.GetCalendarId())
		if err != nil {
			return err
		}
		today := s.now().In(cal.Location()).Format(time.DateOnly)
		for _, c := range one.GetCertificates() {
			c.Expired = c.GetExpireDate() != "" && c.GetExpireDate() < today
		}
	}
	loads, err := s.q.ListStaffLoads(ctx, s.pool, ids)
	if err != nil {
		return fmt.Errorf("count the open tickets of staff: %w", err)
	}
	for _, l := range loads {
		by[l.StaffID].OpenTickets = l.OpenTickets
	}
	return nil
}

func unknownCalendar(field, id string) error {
	return rpcerr.Invalid(field, rpcerr.T(
		"there is no calendar %[1]q; give the id of one that is listed, such as china-standard",
		"没有日历 %[1]q；请填写已有日历的 id，例如 china-standard", id))
}
