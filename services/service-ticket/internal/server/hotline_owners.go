package server

import (
	"context"
	"fmt"
	"slices"
	"time"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
)

// tellOwnerless tells, once a fault, of hotlines that need a new owner, and gives how much was
// told. What is no fault any more is told again when it comes back.
func (s *Server) tellOwnerless(ctx context.Context, tx *write.Tx, rows []db.ListHotlinesToPublishRow, now time.Time) (told int, err error) {
	for i := range rows {
		h := &rows[i].Hotline
		faults := ownerFaults(h, rows[i].Status, rows[i].Posts)
		kept := make([]int16, len(faults))
		for j, fault := range faults {
			kept[j] = int16(fault)
		}
		if slices.Equal(kept, h.OwnerTold) {
			continue
		}
		n, err := s.q.SetHotlineOwnerTold(ctx, tx, kept, h.ID, h.Version)
		if err != nil {
			return told, fmt.Errorf("keep what was told of an owner: %w", err)
		}
		if n == 0 {
			continue // the next look finds how it stands then
		}
		tx.Audit("hotline", h.ID, map[string]any{"owner_told": kept})
		told++
		for j, fault := range faults {
			if slices.Contains(h.OwnerTold, kept[j]) {
				continue
			}
			id, err := newID()
			if err != nil {
				return told, err
			}
			tx.Emit(event.Event{Type: "hotline.ownerlost.v1", SubjectID: id, SubjectVersion: 1, OccurTime: now, Payload: &ticketv1.HotlineOwnerLost{
				HotlineId: h.ID.String(), OwnerStaffId: h.OwnerStaffID.String(), Fault: fault,
			}})
			s.log.WarnContext(ctx, "a hotline needs a new owner", "hotline", h.ID, "fault", fault.String())
		}
	}
	return told, nil
}
