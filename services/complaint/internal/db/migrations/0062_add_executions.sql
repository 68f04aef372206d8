-- +goose Up
-- What became of the remedy that was approved in a round.
CREATE TABLE complaint_executions (
  complaint_id      uuid NOT NULL,
  round             integer NOT NULL,
  reference         text NOT NULL,
  -- Empty where there is no amount.
  currency          text NOT NULL,
  amount_units      bigint NOT NULL,
  amount_nanos      integer NOT NULL,
  executor_staff_id uuid,
  execute_time      timestamptz NOT NULL,
  CONSTRAINT complaint_executions_pkey PRIMARY KEY (complaint_id, round),
  CONSTRAINT complaint_executions_complaint_id_fkey FOREIGN KEY (complaint_id, round) REFERENCES complaint_rounds,
  CONSTRAINT complaint_executions_amount_check CHECK (amount_units >= 0 AND amount_nanos BETWEEN 0 AND 999999999)
);

-- +goose Down
DROP TABLE complaint_executions;
