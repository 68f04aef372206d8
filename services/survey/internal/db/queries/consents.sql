-- name: KeepSurveyConsent :exec
INSERT INTO survey_consents (customer_id, granted, version) VALUES (@customer_id, @granted, @version)
ON CONFLICT (customer_id) DO UPDATE SET granted = excluded.granted, version = excluded.version
WHERE survey_consents.version < excluded.version;

-- name: HasWithdrawnSurveys :one
SELECT EXISTS (SELECT FROM survey_consents WHERE customer_id = @customer_id AND NOT granted);

-- name: LockPendingByHand :many
-- Those that no service caused: they rest on the consent to surveys.
SELECT * FROM invitations
WHERE customer_id = @customer_id AND state = 1 AND ticket_id IS NULL AND complaint_id IS NULL AND cause_id IS NULL
ORDER BY id DESC FOR UPDATE;
