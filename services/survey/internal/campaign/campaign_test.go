package campaign_test

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/survey/internal/campaign"
)

func TestNext(t *testing.T) {
	type move struct {
		from campaign.State
		verb campaign.Verb
	}
	want := map[move]campaign.State{
		{campaign.Draft, campaign.Change}: campaign.Draft, {campaign.Draft, campaign.Schedule}: campaign.Scheduled,
		{campaign.Scheduled, campaign.Begin}: campaign.Sending, {campaign.Scheduled, campaign.Pause}: campaign.Paused,
		{campaign.Sending, campaign.Pause}: campaign.Paused, {campaign.Sending, campaign.Close}: campaign.Scheduled,
		{campaign.Paused, campaign.Resume}: campaign.Scheduled,
		{campaign.Draft, campaign.Stop}:    campaign.Stopped, {campaign.Scheduled, campaign.Stop}: campaign.Stopped,
		{campaign.Sending, campaign.Stop}: campaign.Stopped, {campaign.Paused, campaign.Stop}: campaign.Stopped,
	}
	for _, from := range []campaign.State{campaign.Draft, campaign.Scheduled, campaign.Sending, campaign.Paused, campaign.Stopped, campaign.Finished} {
		for verb := campaign.Change; verb <= campaign.Close; verb++ {
			to, possible := campaign.Next(from, verb, false, false)
			if expected, known := want[move{from, verb}]; possible != known || possible && to != expected {
				t.Errorf("%v by %d: %v %v, want %v %v", from, verb, to, possible, expected, known)
			}
		}
	}
	if to, _ := campaign.Next(campaign.Paused, campaign.Resume, true, false); to != campaign.Sending {
		t.Errorf("a paused wave goes on as %v", to)
	}
	if to, _ := campaign.Next(campaign.Sending, campaign.Close, true, true); to != campaign.Finished {
		t.Errorf("after the only wave it is %v", to)
	}
}

func TestAfter(t *testing.T) {
	at := func(s string) time.Time {
		out, err := time.Parse(time.DateTime, s)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	six, twelve := surveyv1.CampaignInterval_CAMPAIGN_INTERVAL_UNSPECIFIED, surveyv1.CampaignInterval_CAMPAIGN_INTERVAL_TWELVE_MONTHS
	for _, c := range []struct {
		start    string
		interval surveyv1.CampaignInterval
		wave     int32
		now      string
		want     string
	}{
		{"2026-03-15 09:00:00", six, 1, "2026-03-15 09:00:00", "2026-09-15 09:00:00"},
		{"2026-03-15 09:00:00", six, 2, "2026-09-16 00:00:00", "2027-03-15 09:00:00"},
		{"2026-03-15 09:00:00", twelve, 1, "2026-03-15 09:00:00", "2027-03-15 09:00:00"},
		// The month's end stays it, and comes back.
		{"2026-08-31 09:00:00", six, 1, "2026-09-01 00:00:00", "2027-02-28 09:00:00"},
		{"2026-08-31 09:00:00", six, 2, "2027-03-01 00:00:00", "2027-08-31 09:00:00"},
		{"2027-08-31 09:00:00", six, 1, "2027-09-01 00:00:00", "2028-02-29 09:00:00"},
		// A time that was missed is not made up for.
		{"2026-03-15 09:00:00", six, 1, "2027-10-01 00:00:00", "2028-03-15 09:00:00"},
		{"2026-03-15 09:00:00", six, 1, "2026-09-15 09:00:00", "2027-03-15 09:00:00"},
	} {
		got := campaign.After(&surveyv1.Campaign{StartTime: timestamppb.New(at(c.start)), Interval: c.interval}, c.wave, at(c.now))
		if !got.Equal(at(c.want)) {
			t.Errorf("from %s, wave %d at %s: %v, want %s", c.start, c.wave, c.now, got, c.want)
		}
	}
}

func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*surveyv1.Campaign)
		want   []string
	}{
		"sound":                    {func(c *surveyv1.Campaign) { c.ReminderDays = []int32{3, 29} }, nil},
		"start that is none":       {func(c *surveyv1.Campaign) { c.StartTime.Nanos = -1 }, []string{"start_time"}},
		"reminders fall":           {func(c *surveyv1.Campaign) { c.ReminderDays = []int32{7, 7} }, []string{"reminder_days"}},
		"reminder after the end":   {func(c *surveyv1.Campaign) { c.ReminderDays = []int32{30} }, []string{"reminder_days"}},
		"stratified by nothing":    {sampled(&surveyv1.StratifiedSample{}), []string{"sampling.stratified"}},
		"stratified by both":       {sampled(&surveyv1.StratifiedSample{Total: 3, Sizes: sizes(typev1.Tier_TIER_A, 1)}), []string{"sampling.stratified"}},
		"tier twice":               {sampled(&surveyv1.StratifiedSample{Sizes: append(sizes(typev1.Tier_TIER_A, 1), sizes(typev1.Tier_TIER_A, 2)...)}), []string{"sampling.stratified.sizes"}},
		"stratified by a total":    {sampled(&surveyv1.StratifiedSample{Total: 3}), nil},
		"stratified by some sizes": {sampled(&surveyv1.StratifiedSample{Sizes: sizes(typev1.Tier_TIER_A, 1)}), nil},
	} {
		content := campaign.Content(&surveyv1.Campaign{StartTime: timestamppb.Now()})
		c.change(content)
		var got []string
		for _, fault := range campaign.Check(content) {
			got = append(got, fault.Path)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: faults at %q, want %q", name, got, c.want)
		}
	}
	standard := campaign.Content(&surveyv1.Campaign{})
	if standard.GetAnswerDays() != 30 || standard.GetKeyFloorMonths() != 6 || standard.GetFloorMonths() != 12 || campaign.Months(standard) != 6 {
		t.Errorf("defaults %v", standard)
	}
}

func sampled(s *surveyv1.StratifiedSample) func(*surveyv1.Campaign) {
	return func(c *surveyv1.Campaign) {
		c.Sampling = &surveyv1.Sampling{Kind: &surveyv1.Sampling_Stratified{Stratified: s}}
	}
}

func sizes(tier typev1.Tier, n int32) []*surveyv1.TierSize {
	return []*surveyv1.TierSize{{Tier: tier, Size: n}}
}

func TestSizes(t *testing.T) {
	for name, c := range map[string]struct {
		sample   *surveyv1.StratifiedSample
		audience map[int16]int64
		want     map[int16]int64
	}{
		"as the audience is":        {&surveyv1.StratifiedSample{Total: 100}, map[int16]int64{1: 700, 2: 200, 3: 90, 4: 10}, map[int16]int64{1: 70, 2: 20, 3: 9, 4: 1}},
		"largest remainders":        {&surveyv1.StratifiedSample{Total: 10}, map[int16]int64{1: 55, 2: 26, 3: 19}, map[int16]int64{1: 5, 2: 3, 3: 2}},
		"at least one of each":      {&surveyv1.StratifiedSample{Total: 10}, map[int16]int64{1: 997, 2: 2, 4: 1}, map[int16]int64{1: 8, 2: 1, 4: 1}},
		"fewer than tiers":          {&surveyv1.StratifiedSample{Total: 2}, map[int16]int64{1: 5, 2: 4, 3: 3}, map[int16]int64{1: 1, 2: 1, 3: 0}},
		"all where it has fewer":    {&surveyv1.StratifiedSample{Total: 10}, map[int16]int64{1: 2, 2: 1}, map[int16]int64{1: 2, 2: 1}},
		"nobody":                    {&surveyv1.StratifiedSample{Total: 10}, nil, map[int16]int64{}},
		"sizes, all of fewer":       {&surveyv1.StratifiedSample{Sizes: sizes(typev1.Tier_TIER_KEY, 5)}, map[int16]int64{1: 9, int16(typev1.Tier_TIER_KEY): 3}, map[int16]int64{int16(typev1.Tier_TIER_KEY): 3}},
		"sizes as they are, others": {&surveyv1.StratifiedSample{Sizes: sizes(typev1.Tier_TIER_C, 5)}, map[int16]int64{int16(typev1.Tier_TIER_C): 9}, map[int16]int64{int16(typev1.Tier_TIER_C): 5}},
	} {
		if got := campaign.Sizes(c.sample, c.audience); !maps.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// Whatever the audience, a total is met exactly and no tier gives more than it has.
func TestATotalIsMet(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		audience, all := map[int16]int64{}, int64(0)
		for tier := range int16(random.IntN(5)) {
			audience[tier+1] = random.Int64N(500)
			all += audience[tier+1]
		}
		total := 1 + random.Int32N(1000)
		sum := int64(0)
		for tier, n := range campaign.Sizes(&surveyv1.StratifiedSample{Total: total}, audience) {
			if sum += n; n > audience[tier] || n < 0 {
				t.Fatalf("%d of %v: tier %d gives %d", total, audience, tier, n)
			}
		}
		if sum != min(int64(total), all) {
			t.Fatalf("%d of %v gives %d", total, audience, sum)
		}
	}
}

func TestRank(t *testing.T) {
	customer := uuid.MustParse("01900000-0000-7000-8000-000000000001")
	// A sample that was drawn must be drawn again by any later version of the service.
	if got := campaign.Rank(42, 1, customer); got != campaign.Rank(42, 1, customer) || got < 0 {
		t.Errorf("rank %d", got)
	}
	if campaign.Rank(42, 1, customer) == campaign.Rank(43, 1, customer) || campaign.Rank(42, 1, customer) == campaign.Rank(42, 2, customer) {
		t.Error("the seed or the wave does not matter")
	}
	// Ranks spread evenly: a tenth of the customers has the lowest tenth of them.
	low := 0
	for range 10000 {
		if campaign.Rank(7, 1, uuid.New()) < 1<<63/10-1 {
			low++
		}
	}
	if low < 900 || low > 1100 {
		t.Errorf("%d of 10000 in the lowest tenth", low)
	}
}
