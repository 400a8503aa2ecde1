-- Seals on SQLite: one after the other, each of an event that is there, none changed or taken out. The PostgreSQL file
-- beside this one says the same. A seal's number is always the next one, so REPLACE finds nothing to replace.
CREATE TRIGGER seals_check BEFORE INSERT ON seals
WHEN NEW.seal_id IS NOT (SELECT COALESCE(MAX(seal_id), 0) + 1 FROM seals)
  OR NEW.seq <= (SELECT COALESCE(MAX(seq), 0) FROM seals)
  OR NOT EXISTS (SELECT 1 FROM events WHERE seq = NEW.seq AND hash = NEW.hash)
BEGIN SELECT RAISE(ABORT, 'signoff: rule 1: a seal follows the one before and seals an event that is there'); END
--;
CREATE TRIGGER seals_no_update BEFORE UPDATE ON seals
BEGIN SELECT RAISE(ABORT, 'signoff: rule 1: seals are append-only'); END
--;
CREATE TRIGGER seals_no_delete BEFORE DELETE ON seals
BEGIN SELECT RAISE(ABORT, 'signoff: rule 1: seals are append-only'); END
