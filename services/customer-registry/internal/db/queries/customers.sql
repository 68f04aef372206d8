-- name: NextCustomerNumbers :many
SELECT nextval('customer_numbers')::bigint FROM generate_series(1, sqlc.arg(count)::int);

-- name: InsertCustomer :exec
WITH made AS (
  INSERT INTO customers (id, number, name, kind, party, classification_code, industry, region, source_channel,
    owner_staff_id, tags, lifecycle, tier, tier_reason, status, language, service_quality_consent,
    address, phone, phone_index, phone_last4_index, email, email_index, source, external_id,
    attributes, needs, credit, relationship, responsible_staff_id, update_interval_days, review_due_time, creator,
    phone_quality, email_quality, create_source, create_time, update_time, version)
  VALUES (@id, @number, @name, @kind, @party, @classification_code, @industry, @region, @source_channel,
    @owner_staff_id, @tags, @lifecycle, @tier, '', @status, @language, true,
    @address, @phone, @phone_index, @phone_last4_index, @email, @email_index, @source, @external_id,
    @attributes, @needs, @credit, @relationship, @responsible_staff_id, @update_interval_days, @review_due_time, @creator,
    @phone_quality, @email_quality, @create_source, @create_time, @update_time, 1)
  RETURNING id, number, name, kind, region, tier, owner_staff_id, status
)
INSERT INTO customer_summaries (customer_id, number, name, kind, region, tier, owner_staff_id, status, folded, grams, position)
SELECT id, number, name, kind, region, tier, owner_staff_id, status, @folded::text, @grams::text[], @position::bigint FROM made;

-- name: GetCustomer :one
SELECT * FROM customers WHERE id = @id AND erase_time IS NULL;

-- name: LockCustomer :one
SELECT * FROM customers WHERE id = @id AND erase_time IS NULL FOR UPDATE;

-- name: CustomerExists :one
SELECT EXISTS (SELECT FROM customers WHERE id = @id AND erase_time IS NULL);

-- name: ResolveCustomer :one
WITH RECURSIVE way AS (
  SELECT c.id, c.merged_into, 1 AS step FROM customers c WHERE c.id = @id
  UNION ALL
  SELECT c.id, c.merged_into, way.step + 1 FROM way JOIN customers c ON c.id = way.merged_into WHERE way.step < 32
)
SELECT sqlc.embed(customers) FROM customers
WHERE customers.id = (SELECT way.id FROM way ORDER BY way.step DESC LIMIT 1) AND customers.erase_time IS NULL;

-- name: UpdateCustomer :exec
UPDATE customers SET name = @name, kind = @kind, party = @party, classification_code = @classification_code,
  industry = @industry, region = @region, source_channel = @source_channel, owner_staff_id = @owner_staff_id,
  tags = @tags, lifecycle = @lifecycle, language = @language,
  address = @address, phone = @phone, phone_index = @phone_index, phone_last4_index = @phone_last4_index,
  email = @email, email_index = @email_index, attributes = @attributes, needs = @needs, credit = @credit,
  relationship = @relationship, responsible_staff_id = @responsible_staff_id,
  update_interval_days = @update_interval_days, review_due_time = @review_due_time, status = @status,
  retire_reason = @retire_reason, retire_time = @retire_time, field_states = @field_states, phone_quality = @phone_quality, email_quality = @email_quality,
  update_time = @update_time, version = version + 1
WHERE id = @id;

-- name: SetCustomerTier :exec
UPDATE customers SET tier = @tier, tier_reason = @tier_reason, tier_end_time = @tier_end_time,
  update_time = @update_time, version = version + 1
WHERE id = @id;

-- name: LockEndedTiers :many
SELECT * FROM customers WHERE tier_end_time <= @now ORDER BY tier_end_time LIMIT @count FOR UPDATE SKIP LOCKED;

-- name: SetCustomerConsent :exec
UPDATE customers SET service_quality_consent = @service_quality_consent, update_time = @update_time,
  version = version + 1
WHERE id = @id;

-- name: InsertConsent :exec
INSERT INTO consents (customer_id, purpose, granted, decide_time, channel, wording_version, version, recorder)
VALUES (@customer_id, @purpose, @granted, @decide_time, @channel, @wording_version, @version, @recorder);

-- name: ListConsents :many
SELECT DISTINCT ON (purpose) * FROM consents WHERE customer_id = @customer_id ORDER BY purpose, version DESC;

-- name: ListImportedCustomers :many
SELECT id, number, external_id FROM customers
WHERE source = @source::text AND external_id = ANY(@external_ids::text[]);

-- name: LockImport :exec
SELECT pg_advisory_xact_lock(hashtextextended('import-customers ' || @source::text, 0));

-- name: FindByPhone :many
SELECT id FROM customers WHERE customers.phone_index = ANY(@indexes::bytea[])
UNION SELECT customer_id FROM contacts WHERE contacts.phone_index = ANY(@indexes::bytea[])
LIMIT 500;

-- name: FindCallers :many
-- Whom a phone belongs to: contacts before the customers themselves, files in use before
-- retired ones, the newest first.
SELECT customers.id, customers.number, customers.name, customers.kind, customers.tier, customers.status, customers.language,
  who.contact_id, who.contact_name, who.contact_language, customer_summaries.open_tickets, customer_summaries.open_complaints
FROM (
  SELECT contacts.customer_id AS customer_id, contacts.id AS contact_id, contacts.name AS contact_name, contacts.language AS contact_language
  FROM contacts WHERE contacts.phone_index = ANY(@indexes::bytea[]) AND contacts.delete_time IS NULL
  UNION ALL
  SELECT c.id, '00000000-0000-0000-0000-000000000000'::uuid, '', '' FROM customers c WHERE c.phone_index = ANY(@indexes::bytea[])) who
JOIN customers ON customers.id = who.customer_id
JOIN customer_summaries ON customer_summaries.customer_id = customers.id
WHERE customers.merged_into IS NULL
ORDER BY customers.status, who.contact_id DESC, customers.id DESC LIMIT 20;

-- name: FindByEmail :many
SELECT id FROM customers WHERE customers.email_index = @index::bytea
UNION SELECT customer_id FROM contacts WHERE contacts.email_index = @index::bytea
LIMIT 500;

-- name: FindByNumber :many
SELECT id FROM customers WHERE number = @number;
