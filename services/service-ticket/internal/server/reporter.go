package server

import (
	"errors"

	"github.com/google/uuid"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/pii"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/internal/contactdata"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
)

const (
	tableTickets = "tickets"
	columnPhone  = "reporter_phone"
	columnEmail  = "reporter_email"
)

func place(row uuid.UUID, column string) pii.Place {
	return pii.Place{Table: tableTickets, Column: column, Row: row}
}

// reporter is who reported a ticket, with phone and e-mail in the form that is kept.
type reporter struct{ name, phone, email string }

// contacts tells whether there is anything to encrypt.
func (r reporter) contacts() bool { return r.phone != "" || r.email != "" }

// fault is a field that breaks a rule; the field is relative to the ticket.
type fault struct {
	field string
	text  rpcerr.Text
}

// normalize brings what was told to the form that is kept.
func (s *Server) normalize(r *ticketv1.Reporter) (reporter, []fault) {
	out := reporter{name: r.GetName()}
	var faults []fault
	var bad *rpcerr.Text
	if out.phone, bad = contactdata.Phone(r.GetPhone(), s.region); bad != nil {
		faults = append(faults, fault{"reporter.phone", *bad})
	}
	if out.email, bad = contactdata.Email(r.GetEmail()); bad != nil {
		faults = append(faults, fault{"reporter.email", *bad})
	}
	return out, faults
}

// seal writes the reporter to a row. subject may be nil when there are no contacts.
func (s *Server) seal(row *db.Ticket, r reporter, subject *pii.Subject) error {
	row.ReporterName, row.ReporterPhone, row.ReporterPhoneIndex, row.ReporterEmail = r.name, nil, nil, nil
	var err error
	if r.phone != "" {
		if row.ReporterPhone, err = subject.Seal(place(row.ID, columnPhone), r.phone); err != nil {
			return err
		}
		row.ReporterPhoneIndex = s.phoneIndex(r.phone)
	}
	if r.email != "" {
		row.ReporterEmail, err = subject.Seal(place(row.ID, columnEmail), r.email)
	}
	return err
}

func (s *Server) phoneIndex(phone string) []byte { return s.keys.Index("phone", phone) }

// invalid makes one error of the faults of a ticket that stands at prefix.
func invalid(prefix string, faults []fault) error {
	if len(faults) == 0 {
		return nil
	}
	out := rpcerr.Invalid(prefix+faults[0].field, faults[0].text)
	for _, f := range faults[1:] {
		out = out.Field(prefix+f.field, f.text)
	}
	return out
}

// erased tells the caller that nothing new is kept about an erased person.
func erased(err error) error {
	if !errors.Is(err, pii.ErrShredded) {
		return err
	}
	return rpcerr.Invalid("ticket.reporter", rpcerr.T(
		"the person was erased and their contact data may not be kept again; leave phone and e-mail out",
		"该人员的数据已被删除，不得再次保存其联系方式；请不要填写电话和邮箱"))
}
