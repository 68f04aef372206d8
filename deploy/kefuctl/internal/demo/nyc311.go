package demo

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
)

const (
	nycFile   = "nyc311_2018.csv"
	nycSource = "nyc311"
	nycZone   = "America/New_York"
	nycLayout = "01/02/2006 03:04:05 PM"
	nycClosed = "Closed"
)

// nyc311 are the city's service requests as records of ours.
type nyc311 struct {
	rows       int
	tickets    []*ticketv1.TicketRecord
	complaints []*complaintv1.ComplaintRecord
	origins    map[string]origin
	notes      []note
	// open counts the rows without a closing date, ended those with one whose status is
	// not Closed, backwards those closed before they were created.
	open, ended, backwards int
}

// request is one row, read.
type request struct {
	origin
	row             row
	status          string
	created, closed *time.Time
	channel         typev1.Channel
}

// complained tells whether what an agency gets are complaints: of housing and of
// sanitation they are, of the others mostly requests.
func complained(agency string) bool { return agency == "HPD" || agency == "DSNY" }

func readNYC311(dir string) (*nyc311, error) {
	zone, err := time.LoadLocation(nycZone)
	if err != nil {
		return nil, err
	}
	out := &nyc311{origins: map[string]origin{}}
	columns := []string{"Unique Key", "Created Date", "Closed Date", "Agency", "Agency Name", "Complaint Type", "Descriptor",
		"Location Type", "Incident Address", "City", "Borough", "Status", "Resolution Description", "Open Data Channel Type"}
	return out, readTable(dir, nycFile, columns, func(row row) error {
		out.rows++
		at := origin{row.file, row.line, row.at("Unique Key")}
		out.origins[at.ID] = at
		q := request{origin: at, row: row, status: row.at("Status")}
		var err error
		if q.channel, err = nycChannel(row.at("Open Data Channel Type")); err != nil {
			return err
		}
		if q.created, err = out.time(at, row, "Created Date", zone); err != nil {
			return err
		}
		if q.closed, err = out.time(at, row, "Closed Date", zone); err != nil {
			return err
		}
		out.count(q)
		if complained(row.at("Agency")) {
			record, err := q.complaint()
			out.complaints = append(out.complaints, record)
			return err
		}
		record, err := q.ticket()
		out.tickets = append(out.tickets, record)
		return err
	})
}

func (n *nyc311) time(at origin, row row, column string, zone *time.Location) (*time.Time, error) {
	text := row.at(column)
	if text == "" {
		return nil, nil
	}
	t, fit, err := local(nycLayout, text, zone)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", column, err)
	}
	if fit != exact {
		n.notes = append(n.notes, note{at, fmt.Sprintf("%s %s is doubtful in summer time: taken as %s", column, text, stamp(t))})
	}
	return &t, nil
}

func (n *nyc311) count(q request) {
	backwards := q.closed != nil && q.closed.Before(*q.created)
	if backwards {
		n.backwards++
	}
	switch {
	case q.closed == nil:
		n.open++
	case q.status != nycClosed && backwards:
		n.ended++ // will be refused
	case q.status != nycClosed:
		n.ended++
		n.notes = append(n.notes, note{q.origin, fmt.Sprintf(
			"status %s, yet closed %s: taken as done but not confirmed", q.status, stamp(*q.closed))})
	}
}

// nycChannel translates the source's words.
func nycChannel(text string) (typev1.Channel, error) {
	switch text {
	case "PHONE":
		return typev1.Channel_CHANNEL_PHONE, nil
	case "ONLINE":
		return typev1.Channel_CHANNEL_WEB, nil
	case "MOBILE":
		return typev1.Channel_CHANNEL_APP, nil
	// What the city calls other is named nowhere, so it is as good as unknown.
	case "UNKNOWN", "OTHER":
		return typev1.Channel_CHANNEL_UNKNOWN, nil
	}
	return 0, fmt.Errorf("unknown channel %q", text)
}

// ticket gives the record. Times that cannot be are left as they stand, for the service
// to judge.
func (q request) ticket() (*ticketv1.TicketRecord, error) {
	record := &ticketv1.TicketRecord{
		ExternalId: q.ID, CreateTime: timestamppb.New(*q.created),
		Ticket: &ticketv1.Ticket{
			Channel: q.channel, Title: q.title(), Description: q.description(),
			Type: ticketv1.TicketType_TICKET_TYPE_REQUEST,
		},
	}
	switch {
	case q.closed != nil:
		record.State = ticketv1.TicketState_TICKET_STATE_RESOLVED
		record.ResolveTime, record.Resolution = timestamp(q.closed), q.resolution()
		if q.status == nycClosed {
			record.State, record.CloseTime = ticketv1.TicketState_TICKET_STATE_CLOSED, timestamp(q.closed)
		}
	case q.status == nycClosed:
		// Lacks its closing time: the service says so.
		record.State, record.Resolution = ticketv1.TicketState_TICKET_STATE_CLOSED, q.resolution()
	case q.status == "Open" || q.status == "Unspecified":
		record.State = ticketv1.TicketState_TICKET_STATE_NEW
	case q.status == "Assigned":
		record.State = ticketv1.TicketState_TICKET_STATE_ASSIGNED
	case q.status == "Started" || q.status == "In Progress":
		record.State = ticketv1.TicketState_TICKET_STATE_IN_PROGRESS
	// The agency wrote to somebody and waits.
	case q.status == "Pending" || q.status == "Email Sent":
		record.State = ticketv1.TicketState_TICKET_STATE_WAITING
	default:
		return nil, fmt.Errorf("unknown status %q", q.status)
	}
	return record, nil
}

func (q request) complaint() (*complaintv1.ComplaintRecord, error) {
	record := &complaintv1.ComplaintRecord{
		ExternalId: q.ID, CreateTime: timestamppb.New(*q.created),
		Complaint: &complaintv1.Complaint{
			Channel: q.channel, Title: q.title(), Description: q.description(),
			Category: complaintv1.Category_CATEGORY_OTHER,
		},
	}
	switch {
	case q.status == nycClosed:
		record.State = complaintv1.ComplaintState_COMPLAINT_STATE_CLOSED
		record.CloseTime, record.Told = timestamp(q.closed), q.resolution()
	case q.closed != nil:
		record.State, record.Told = complaintv1.ComplaintState_COMPLAINT_STATE_TOLD, q.resolution()
	case q.status == "Open" || q.status == "Unspecified":
		record.State = complaintv1.ComplaintState_COMPLAINT_STATE_RECEIVED
	case q.status == "Assigned":
		record.State = complaintv1.ComplaintState_COMPLAINT_STATE_ASSIGNED
	case q.status == "Started" || q.status == "In Progress" || q.status == "Pending" || q.status == "Email Sent":
		record.State = complaintv1.ComplaintState_COMPLAINT_STATE_CONTACTED
	default:
		return nil, fmt.Errorf("unknown status %q", q.status)
	}
	return record, nil
}

func (q request) title() string {
	return cut(q.row.at("Complaint Type")+": "+q.row.at("Descriptor"), 200)
}

func (q request) description() string {
	var lines []string
	for _, column := range []string{"Agency Name", "Location Type", "Incident Address", "City", "Borough"} {
		if value := q.row.at(column); value != "" {
			lines = append(lines, column+": "+mended(value))
		}
	}
	return strings.Join(lines, "\n")
}

func (q request) resolution() string {
	if text := mended(q.row.at("Resolution Description")); text != "" {
		return text
	}
	return "Closed by " + q.row.at("Agency") + " without a text."
}
