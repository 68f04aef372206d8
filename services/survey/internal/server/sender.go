package server

import (
	"context"
	"log/slog"

	"github.com/google/uuid"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
)

// Message is one that leaves the company: an invitation or a reminder. It says whom it is for
// and not how they are reached, which whoever sends it asks the registry for.
type Message struct {
	// ID is that of the message, the same however often it is given.
	ID           uuid.UUID
	InvitationID uuid.UUID
	CustomerID   uuid.UUID
	Channel      surveyv1.SurveyChannel
	Reminder     bool
}

// Sender takes messages out of the company. An error means that the message did not leave.
type Sender interface {
	// Name of the driver, as campaigns show it.
	Name() string
	Send(ctx context.Context, m Message) error
}

// LogSender writes that a message was due and delivers nothing: it stands in for mail and SMS
// until they are built. Links are handed over by IssueLink meanwhile.
type LogSender struct{ Log *slog.Logger }

// Name is `log`.
func (LogSender) Name() string { return "log" }

// Send never fails.
func (l LogSender) Send(ctx context.Context, m Message) error {
	l.Log.InfoContext(ctx, "a message is due, and no mail or SMS is built that would deliver it", "message", m.ID,
		"invitation", m.InvitationID, "customer", m.CustomerID, "channel", m.Channel.String(), "reminder", m.Reminder)
	return nil
}
