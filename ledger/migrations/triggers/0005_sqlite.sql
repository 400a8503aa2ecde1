-- Since 0005, on SQLite: people can be forgotten. Words are erased with their salts, and who has left may lose name,
-- address and handle. (What else the PostgreSQL file beside this one changes, SQLite does by itself: it applies the
-- events of a statement one after the other, and an update leaves no dead row behind.)
DROP TRIGGER notes_are_only_erased
--;
CREATE TRIGGER notes_are_only_erased BEFORE UPDATE ON notes
WHEN NEW.note_id <> OLD.note_id OR NEW.salt <> '' OR NEW.body IS NOT NULL OR NEW.erased_at IS NULL
BEGIN SELECT RAISE(ABORT, 'signoff: rule 1: what people said is only ever erased'); END
--;
DROP TRIGGER people_keep_their_identity
--;
CREATE TRIGGER people_keep_their_identity BEFORE UPDATE ON people
WHEN NEW.person_id <> OLD.person_id OR NEW.joined_at <> OLD.joined_at
  OR OLD.handle = 'forgotten person ' || OLD.person_id
  OR (NEW.handle <> OLD.handle AND NOT (
        NEW.handle = 'forgotten person ' || OLD.person_id
        AND NEW.name IS NULL AND NEW.email IS NULL AND NEW.left_at IS NOT NULL))
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: a person leaves; the record stays'); END
