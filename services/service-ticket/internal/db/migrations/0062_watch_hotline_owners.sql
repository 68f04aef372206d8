-- +goose Up
ALTER TABLE hotlines
  -- The posts of the owner when they got it, or when it was last published.
  ADD COLUMN owner_posts smallint[] NOT NULL DEFAULT '{}',
  -- What was told to be wrong with the owner.
  ADD COLUMN owner_told smallint[] NOT NULL DEFAULT '{}';
UPDATE hotlines SET owner_posts = staff.posts FROM staff WHERE staff.id = hotlines.owner_staff_id;

-- +goose Down
ALTER TABLE hotlines DROP COLUMN owner_told, DROP COLUMN owner_posts;
