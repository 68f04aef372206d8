package demo

import (
	"testing"
	"time"
)

func TestLocal(t *testing.T) {
	for _, tt := range []struct {
		zone, layout, text, want string
		fit                      fit
	}{
		{olistZone, olistLayout, "2017-07-09 21:57:05", "2017-07-10T00:57:05Z", exact},
		{olistZone, olistLayout, "2017-12-09 21:57:05", "2017-12-09T23:57:05Z", exact},
		// On 15 October 2017 the clock went from 23:59:59 to 01:00:00.
		{olistZone, olistLayout, "2017-10-14 23:59:59", "2017-10-15T02:59:59Z", exact},
		{olistZone, olistLayout, "2017-10-15 00:00:00", "2017-10-15T03:00:00Z", skipped},
		{olistZone, olistLayout, "2017-10-15 00:59:59", "2017-10-15T03:59:59Z", skipped},
		{olistZone, olistLayout, "2017-10-15 01:00:00", "2017-10-15T03:00:00Z", exact},
		// On 18 February 2018 at midnight it went back to 23:00:00.
		{olistZone, olistLayout, "2018-02-17 22:59:59", "2018-02-18T00:59:59Z", exact},
		{olistZone, olistLayout, "2018-02-17 23:30:00", "2018-02-18T01:30:00Z", twice},
		{olistZone, olistLayout, "2018-02-18 00:00:00", "2018-02-18T03:00:00Z", exact},
		{nycZone, nycLayout, "06/26/2018 10:58:54 AM", "2018-06-26T14:58:54Z", exact},
		{nycZone, nycLayout, "06/26/2018 12:00:01 AM", "2018-06-26T04:00:01Z", exact},
		{nycZone, nycLayout, "03/11/2018 02:30:00 AM", "2018-03-11T07:30:00Z", skipped},
		{nycZone, nycLayout, "11/04/2018 01:30:00 AM", "2018-11-04T05:30:00Z", twice},
		{nycZone, nycLayout, "11/04/2018 02:00:00 AM", "2018-11-04T07:00:00Z", exact},
	} {
		t.Run(tt.text, func(t *testing.T) {
			zone, err := time.LoadLocation(tt.zone)
			if err != nil {
				t.Fatal(err)
			}
			got, fit, err := local(tt.layout, tt.text, zone)
			if err != nil || stamp(got) != tt.want || fit != tt.fit {
				t.Fatalf("got %s, %d, %v; want %s, %d", stamp(got), fit, err, tt.want, tt.fit)
			}
		})
	}
	if _, _, err := local(olistLayout, "yesterday", time.UTC); err == nil {
		t.Fatal("no error for a word")
	}
}
