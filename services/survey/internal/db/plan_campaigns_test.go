package db

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/kefu-suite/kefu/runtime/testkit"
)

// crowdedCampaigns adds five thousand campaigns, of which few are due or run, and to 200 of their
// waves a hundred members each.
func crowdedCampaigns(t *testing.T) *testkit.DB {
	t.Helper()
	base := crowded(t)
	for _, sql := range []string{
		`INSERT INTO campaigns (id, content, state, wave, open, next_time, creator, create_time, update_time, version)
		 SELECT lpad(to_hex(n), 32, '0')::uuid, '{}', CASE WHEN n % 100 = 0 THEN 3 WHEN n % 7 = 0 THEN 2 ELSE 6 END, 1, n % 100 = 0,
		   CASE WHEN n % 7 = 0 AND n % 100 <> 0 THEN now() + n * interval '1 h' END, 'x', now(), now(), 1 FROM generate_series(1, 5000) n`,
		`INSERT INTO campaign_waves (campaign_id, number, questionnaire_id, questionnaire_version, phase, tiers, cutoffs, start_time)
		 SELECT lpad(to_hex(n), 32, '0')::uuid, 1, '` + ticketSurvey + `', 1, 2, '{1,2,3,4}', '{1,1,1,1}', now() FROM generate_series(1, 5000) n`,
		// Of each wave every tenth waits, and every fifth of the others is to be reminded.
		`INSERT INTO campaign_members (campaign_id, wave, customer_id, tier, language, rank, state, invitation_id, reminders, remind_time)
		 SELECT lpad(to_hex(c), 32, '0')::uuid, 1, lpad(to_hex(k), 32, '0')::uuid, 1 + k % 4, 'en', (hashint8(c * 100 + k)::bigint + 2147483648) * 1000,
		   CASE WHEN k % 10 = 0 THEN 1 ELSE 2 END, CASE WHEN k % 10 <> 0 THEN lpad(to_hex((c - 1) * 100 + k), 32, '0')::uuid END, 0,
		   CASE WHEN k % 5 = 1 THEN now() - k * interval '1 h' END
		 FROM generate_series(1, 200) c, generate_series(1, 100) k`,
		`INSERT INTO survey_messages (id, invitation_id, campaign_id, wave, customer_id, channel, reminder, state, driver, create_time, claim_time)
		 SELECT lpad(to_hex(n), 32, '0')::uuid, lpad(to_hex(n), 32, '0')::uuid, lpad(to_hex(1 + (n - 1) / 100), 32, '0')::uuid, 1,
		   lpad(to_hex(1 + n % 500), 32, '0')::uuid, 2, false, CASE n % 50 WHEN 0 THEN 1 WHEN 1 THEN 2 ELSE 3 END, 'x', now(), now() - n * interval '1 s'
		 FROM generate_series(1, 20000) n`,
		`INSERT INTO follow_ups SELECT id, id, 'T-1', 1, now(), NULL, 1 FROM answers`,
		`INSERT INTO survey_consents SELECT id, id::text < '00000000-0000-0000-0000-0000000000f0', 1 FROM customer_refs`,
	} {
		if _, err := base.Pool.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%.40s: %v", sql, err)
		}
	}
	if _, err := base.Owner(t).Exec(t.Context(), `ANALYZE`); err != nil {
		t.Fatal(err)
	}
	return base
}

func TestCampaignsUseTheirIndexes(t *testing.T) {
	base := crowdedCampaigns(t)
	of, some := uuid.MustParse("00000000-0000-0000-0000-0000000000aa"), []uuid.UUID{uuid.MustParse("00000000-0000-0000-0000-000000000007")}
	now, wave, size := time.Now(), int32(1), int32(100)
	for _, c := range []struct {
		name, sql string
		args      []any
		indexes   []string
	}{
		{"all campaigns", listCampaigns, []any{uuid.Max, size}, []string{"campaigns_pkey"}},
		{"campaigns that are due", listDueCampaigns, []any{&now}, []string{"campaigns_next_time_idx"}},
		{"campaigns that run", listOpenCampaigns, nil, []string{"campaigns_open_idx"}},
		{"wave", getWave, []any{of, wave}, []string{"campaign_waves_pkey"}},
		{"audience", countAudience, []any{of, wave}, []string{"campaign_members_rank_idx"}},
		{"draw of a tier", getCutoff, []any{of, wave, int16(2), int32(10)}, []string{"campaign_members_rank_idx"}},
		{"simple draw", getSimpleCutoff, []any{of, wave, int32(10)}, []string{"campaign_members_"}},
		{"who waits", listWaiting, []any{of, wave, int16(3), int64(1) << 50, size}, []string{"campaign_members_waiting_idx"}},
		{"who waits still", lockWaiting, []any{of, wave, some}, []string{"campaign_members_"}},
		{"consents", lockConsents, []any{some}, []string{"customer_refs_pkey", "survey_consents_pkey"}},
		{"pending by hand", lockPendingByHand, []any{some[0]}, []string{"invitations_customer_id_idx"}},
		{"reminders", lockReminders, []any{of, wave, &now, size}, []string{"campaign_members_reminders_idx", "invitations_pkey"}},
		{"messages to send", claimMessages, []any{"x", now, of, size}, []string{"survey_messages_due_idx", "survey_messages_pkey"}},
		{"messages to give up", giveUpMessages, []any{ptr(now.Add(-5 * time.Hour))}, []string{"survey_messages_claim_time_idx"}},
		{"pending of messages", listPendingIDs, []any{some, now}, []string{"invitations_"}},
		{"members", listMembersAfter, []any{of, wave, some[0], size}, []string{"campaign_members_pkey", "invitations_pkey"}},
		{"to revoke", lockPendingOfCampaign, []any{some}, []string{"invitations_pkey"}},
		{"progress", countMembers, []any{[]int16{1, 2}, []int64{1, 2}, of, wave}, []string{"campaign_members_", "invitations_pkey"}},
		{"messages", countMessages, []any{of, wave}, []string{"survey_messages_wave_idx"}},
		{"last asked", listLastAsked, []any{some}, []string{"invitations_customer_id_idx"}},
		{"follow-ups", listFollowUps, []any{of}, []string{"follow_ups_answer_id_idx"}},
		{"asked again", listInvitationsAgain, []any{of}, []string{"invitations_ticket_id_round_key"}},
		{"asked about an order", wasAskedAbout, []any{int16(3), of}, []string{"invitations_cause_key"}},
	} {
		planned(t, base, c.name, c.indexes, c.sql, c.args...)
	}
}

func ptr[T any](v T) *T { return &v }
