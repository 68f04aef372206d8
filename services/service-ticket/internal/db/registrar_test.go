package db

import (
	"reflect"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/uuid"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/testkit"
	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/internal/customerref"
	"github.com/kefu-suite/kefu/services/internal/policy"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

// Tickets of before, and those that replicas of the release before still make, say who registered them.
func TestTicketsOfBeforeSayWhoRegisteredThem(t *testing.T) {
	files, err := migrations.ReadDir("migrations")
	if err != nil {
		t.Fatal(err)
	}
	before := fstest.MapFS{}
	for _, f := range files {
		content, err := migrations.ReadFile("migrations/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		if f.Name() < "0094" {
			before[f.Name()] = &fstest.MapFile{Data: content}
		}
	}
	base := testkit.Database(t, customerref.Migrations(), clock.Migrations(), policy.Migrations(), pg.MigrationSet{Name: Migrations().Name, FS: before})
	make := func(prefix string, many int) {
		t.Helper()
		for _, sql := range []string{
			`INSERT INTO tickets (id, number, channel, mode, phase, type, priority, title, description, product_model, serial_number, order_number,
			   reporter_name, reporter_subject_id, state, round, wait_for, resolution, evidence_question_key, evidence_score, create_time, update_time, version)
			 SELECT gen_random_uuid(), $1 || i, 1, 1, 1, 1, 3, 't', '', '', '', '', '', gen_random_uuid(), 1, 1, 0, '', '', 0, now(), now(), 2
			 FROM generate_series(1, $2::integer) i`,
			`INSERT INTO ticket_transitions (ticket_id, version, verb, from_state, to_state, round, reason, actor, actor_kind, occur_time)
			 SELECT id, v, 'create', 0, 1, 1, '', CASE WHEN v = 1 THEN 'of ' || number ELSE 'later' END, 1, now()
			 FROM tickets, generate_series(1, 2) v WHERE number LIKE $1 || '%' AND $2 > 0`,
		} {
			if _, err := base.Pool.Exec(t.Context(), sql, prefix, many); err != nil {
				t.Fatal(err)
			}
		}
	}
	make("B", 4100)
	for range 2 {
		if err := pg.Migrate(t.Context(), base.OwnerDSN, Migrations()); err != nil {
			t.Fatal(err)
		}
		make("A", 5)
		var all, wrong int
		if err := base.Pool.QueryRow(t.Context(), `SELECT count(*), count(*) FILTER (WHERE registrar <> 'of ' || number) FROM tickets`).Scan(&all, &wrong); err != nil {
			t.Fatal(err)
		}
		if all != 4105 || wrong != 0 {
			t.Errorf("%d of %d tickets do not say who registered them", wrong, all)
		}
		// As if the migration had ended in its midst.
		owner := base.Owner(t)
		for _, sql := range []string{
			`DELETE FROM service_ticket_goose WHERE version_id = 94`, `DROP INDEX tickets_registrar_idx`,
			`DELETE FROM ticket_transitions USING tickets t WHERE ticket_id = t.id AND t.number LIKE 'A%'`, `DELETE FROM tickets WHERE number LIKE 'A%'`,
			`UPDATE tickets SET registrar = '' WHERE number > 'B2'`,
		} {
			if _, err := owner.Exec(t.Context(), sql); err != nil {
				t.Fatalf("%s: %v", sql, err)
			}
		}
	}
}

// The text of a list that was written before is the one that would be written again, with its arguments.
func TestTextsOfListsAreKept(t *testing.T) {
	kept := 0
	for _, scope := range []accessv1.Scope{accessv1.Scope_SCOPE_UNSPECIFIED, accessv1.Scope_SCOPE_OWN, accessv1.Scope_SCOPE_TEAM, accessv1.Scope_SCOPE_COMPANY} {
		for _, queue := range []bool{false, true} {
			for _, before := range []uuid.UUID{uuid.Nil, uuid.Max} {
				for _, size := range []int32{11, 51} {
					f := TicketFilter{
						For:    ticket.Viewer{Scope: scope, Queue: queue, Actor: "https://issuer|somebody"},
						Issuer: "https://issuer", Subject: "somebody", Before: before, Size: size,
					}
					want, args, merged := f.statement()
					for range 2 {
						got, bound, both := f.page()
						if got != want || !reflect.DeepEqual(bound, args) || both != merged {
							t.Errorf("%+v: %v, %v\n%s\nwant %v, %v\n%s", f, bound, both, got, args, merged, want)
						}
					}
					if text, ok := texts.Load(unfiltered{scope, queue, before != uuid.Nil, size}); ok {
						kept++
						if strings.Count(text.(string), "$") == 0 {
							t.Errorf("a text without arguments: %s", text)
						}
					}
					narrow := f
					narrow.Channel = 3
					if sql, _, _ := narrow.page(); sql == want && want != "" {
						t.Errorf("%+v reads as without a filter: %s", narrow, sql)
					}
				}
			}
		}
	}
	if kept != 8 {
		t.Errorf("%d texts are kept, want 8: somebody's own list with the queue and without, both pages, both sizes", kept)
	}
}
