package organisation_test

import (
	"slices"
	"testing"
	"time"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/organisation"
)

func TestOwnerFaults(t *testing.T) {
	const (
		boss, agent, sales = ticketv1.Post_POST_COMPANY_MANAGER, ticketv1.Post_POST_SERVICE_AGENT, ticketv1.Post_POST_SALESPERSON
		service, complaint = ticketv1.HotlinePurpose_HOTLINE_PURPOSE_SERVICE, ticketv1.HotlinePurpose_HOTLINE_PURPOSE_COMPLAINT
		gone, lost         = ticketv1.HotlineOwnerFault_HOTLINE_OWNER_FAULT_LEFT, ticketv1.HotlineOwnerFault_HOTLINE_OWNER_FAULT_POST_LOST
	)
	type posts = []ticketv1.Post
	for name, c := range map[string]struct {
		purpose  ticketv1.HotlinePurpose
		left     bool
		had, has posts
		want     []ticketv1.HotlineOwnerFault
	}{
		"the same":                         {service, false, posts{agent}, posts{agent}, nil},
		"left":                             {service, true, posts{agent}, posts{agent}, []ticketv1.HotlineOwnerFault{gone}},
		"one post more":                    {service, false, posts{agent}, posts{sales, agent}, nil},
		"one of two gone":                  {service, false, posts{agent, sales}, posts{sales}, nil},
		"other posts":                      {service, false, posts{agent}, posts{sales}, []ticketv1.HotlineOwnerFault{lost}},
		"none any more":                    {service, false, posts{agent}, nil, []ticketv1.HotlineOwnerFault{lost}},
		"never had one":                    {service, false, nil, posts{sales}, nil},
		"manager no more, of complaints":   {complaint, false, posts{boss, agent}, posts{agent}, []ticketv1.HotlineOwnerFault{lost}},
		"manager no more, of service":      {service, false, posts{boss, agent}, posts{agent}, nil},
		"never the manager, of complaints": {complaint, false, posts{agent}, posts{agent}, nil},
	} {
		if got := organisation.OwnerFaults(c.purpose, c.left, c.had, c.has); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestAHotlineWithoutOwnerMakesThePublicationOverdue(t *testing.T) {
	at := time.Date(2026, 11, 2, 1, 0, 0, 0, time.UTC)
	owner, changed := ticketv1.HotlineOverdue_HOTLINE_OVERDUE_OWNER, ticketv1.HotlineOverdue_HOTLINE_OVERDUE_CHANGED
	if got := organisation.Overdue(at, time.Hour, false, true, at); !slices.Equal(got, []ticketv1.HotlineOverdue{owner}) {
		t.Errorf("%v", got)
	}
	if got := organisation.Overdue(at, time.Hour, true, true, at); !slices.Equal(got, []ticketv1.HotlineOverdue{changed, owner}) {
		t.Errorf("%v", got)
	}
	if got := organisation.Overdue(time.Time{}, time.Hour, true, true, at); !slices.Equal(got, []ticketv1.HotlineOverdue{ticketv1.HotlineOverdue_HOTLINE_OVERDUE_NEVER}) {
		t.Errorf("before the first: %v", got)
	}
}
