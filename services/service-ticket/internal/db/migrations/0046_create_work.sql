-- +goose Up
CREATE TABLE solution_plans (
  id          uuid PRIMARY KEY,
  ticket_id   uuid NOT NULL,
  round       integer NOT NULL,
  text        text NOT NULL,
  plan_time   timestamptz,
  staff_id    uuid,
  create_time timestamptz NOT NULL,
  CONSTRAINT solution_plans_ticket_id_fkey FOREIGN KEY (ticket_id) REFERENCES tickets (id),
  CONSTRAINT solution_plans_staff_id_fkey FOREIGN KEY (staff_id) REFERENCES staff (id)
);
CREATE INDEX solution_plans_ticket_id_idx ON solution_plans (ticket_id, id);

CREATE TABLE work_entries (
  id          uuid PRIMARY KEY,
  ticket_id   uuid NOT NULL,
  kind        smallint NOT NULL,
  minutes     integer NOT NULL,
  -- '' of time.
  currency    text NOT NULL,
  -- In hundredths.
  amount      bigint NOT NULL,
  note        text NOT NULL,
  work_time   timestamptz NOT NULL,
  staff_id    uuid NOT NULL,
  -- '' while it counts.
  void_reason text NOT NULL,
  create_time timestamptz NOT NULL,
  CONSTRAINT work_entries_ticket_id_fkey FOREIGN KEY (ticket_id) REFERENCES tickets (id),
  CONSTRAINT work_entries_staff_id_fkey FOREIGN KEY (staff_id) REFERENCES staff (id),
  CONSTRAINT work_entries_check CHECK ((minutes > 0) <> (amount > 0) AND (amount > 0) = (currency <> ''))
);
CREATE INDEX work_entries_ticket_id_idx ON work_entries (ticket_id, id);

CREATE TABLE watchers (
  ticket_id   uuid NOT NULL,
  staff_id    uuid NOT NULL,
  create_time timestamptz NOT NULL,
  PRIMARY KEY (ticket_id, staff_id),
  CONSTRAINT watchers_ticket_id_fkey FOREIGN KEY (ticket_id) REFERENCES tickets (id),
  CONSTRAINT watchers_staff_id_fkey FOREIGN KEY (staff_id) REFERENCES staff (id)
);
CREATE INDEX watchers_staff_id_idx ON watchers (staff_id, ticket_id);

CREATE TABLE ticket_links (
  id          uuid PRIMARY KEY,
  ticket_id   uuid NOT NULL,
  other_id    uuid NOT NULL,
  kind        smallint NOT NULL,
  create_time timestamptz NOT NULL,
  CONSTRAINT ticket_links_ticket_id_other_id_kind_key UNIQUE (ticket_id, other_id, kind),
  CONSTRAINT ticket_links_ticket_id_fkey FOREIGN KEY (ticket_id) REFERENCES tickets (id),
  CONSTRAINT ticket_links_other_id_fkey FOREIGN KEY (other_id) REFERENCES tickets (id),
  CONSTRAINT ticket_links_check CHECK (ticket_id <> other_id)
);
CREATE INDEX ticket_links_other_id_idx ON ticket_links (other_id, id);

-- The ledger of merges: how the ticket stood before, and what was moved.
CREATE TABLE ticket_merges (
  id          uuid PRIMARY KEY,
  ticket_id   uuid NOT NULL,
  into_id     uuid NOT NULL,
  state       smallint NOT NULL,
  wait_for    smallint NOT NULL,
  merge_time  timestamptz NOT NULL,
  undo_time   timestamptz,
  CONSTRAINT ticket_merges_ticket_id_fkey FOREIGN KEY (ticket_id) REFERENCES tickets (id),
  CONSTRAINT ticket_merges_into_id_fkey FOREIGN KEY (into_id) REFERENCES tickets (id)
);
CREATE UNIQUE INDEX ticket_merges_ticket_id_key ON ticket_merges (ticket_id) WHERE undo_time IS NULL;
CREATE INDEX ticket_merges_into_id_idx ON ticket_merges (into_id) WHERE undo_time IS NULL;

CREATE TABLE ticket_merge_items (
  merge_id uuid NOT NULL,
  -- 1 a task by its id, 2 a watcher by the staff id.
  kind     smallint NOT NULL,
  item_id  uuid NOT NULL,
  PRIMARY KEY (merge_id, kind, item_id),
  CONSTRAINT ticket_merge_items_merge_id_fkey FOREIGN KEY (merge_id) REFERENCES ticket_merges (id)
);

CREATE TABLE canned_answers (
  id            uuid PRIMARY KEY,
  code          text NOT NULL,
  title         text NOT NULL,
  department_id uuid,
  -- One text an element, in the order of the languages.
  languages     text[] NOT NULL,
  bodies        text[] NOT NULL,
  create_time   timestamptz NOT NULL,
  update_time   timestamptz NOT NULL,
  version       bigint NOT NULL,
  CONSTRAINT canned_answers_code_key UNIQUE (code),
  CONSTRAINT canned_answers_department_id_fkey FOREIGN KEY (department_id) REFERENCES departments (id),
  CONSTRAINT canned_answers_texts_check CHECK (cardinality(languages) = cardinality(bodies))
);

-- +goose Down
DROP TABLE canned_answers, ticket_merge_items, ticket_merges, ticket_links, watchers, work_entries, solution_plans;
