-- +goose Up
CREATE TABLE routes (
  id            uuid PRIMARY KEY,
  -- 0 is every type, '' every product; products are kept in lower case.
  type          smallint NOT NULL,
  product_model text NOT NULL,
  department_id uuid NOT NULL,
  update_time   timestamptz NOT NULL,
  CONSTRAINT routes_type_product_model_key UNIQUE (type, product_model),
  CONSTRAINT routes_check CHECK (type <> 0 OR product_model <> ''),
  CONSTRAINT routes_department_id_fkey FOREIGN KEY (department_id) REFERENCES departments (id)
);

CREATE TABLE substitutions (
  id                  uuid PRIMARY KEY,
  staff_id            uuid NOT NULL,
  substitute_staff_id uuid NOT NULL,
  start_time          timestamptz NOT NULL,
  end_time            timestamptz NOT NULL,
  reason              text NOT NULL,
  create_time         timestamptz NOT NULL,
  CONSTRAINT substitutions_staff_id_fkey FOREIGN KEY (staff_id) REFERENCES staff (id),
  CONSTRAINT substitutions_substitute_staff_id_fkey FOREIGN KEY (substitute_staff_id) REFERENCES staff (id),
  CONSTRAINT substitutions_staff_id_check CHECK (staff_id <> substitute_staff_id),
  CONSTRAINT substitutions_times_check CHECK (end_time > start_time)
);
CREATE INDEX substitutions_staff_id_idx ON substitutions (staff_id, id);
CREATE INDEX substitutions_end_time_idx ON substitutions (end_time);

CREATE TABLE stations (
  id            uuid PRIMARY KEY,
  code          text NOT NULL,
  name_zh       text NOT NULL,
  name_en       text NOT NULL,
  department_id uuid,
  latitude      double precision NOT NULL,
  longitude     double precision NOT NULL,
  closed        boolean NOT NULL,
  create_time   timestamptz NOT NULL,
  update_time   timestamptz NOT NULL,
  version       bigint NOT NULL,
  CONSTRAINT stations_code_key UNIQUE (code),
  CONSTRAINT stations_department_id_fkey FOREIGN KEY (department_id) REFERENCES departments (id)
);

-- +goose Down
DROP TABLE stations;
DROP TABLE substitutions;
DROP TABLE routes;
