-- Since 0017, on SQLite: what a publication rests on, and what a code signs, is final. A screening may be made anew only
-- before its version has left screening, a rights check never changes, a grant only ends, and a review asks about what it
-- was opened for. The PostgreSQL file beside this one says the same.
CREATE TRIGGER screenings_come_once BEFORE INSERT ON screenings
WHEN EXISTS (SELECT 1 FROM screenings WHERE version_id = NEW.version_id AND round = NEW.round)
BEGIN SELECT RAISE(ABORT, 'signoff: rule 5: what screening found is final'); END
--;
CREATE TRIGGER screenings_no_update BEFORE UPDATE ON screenings
BEGIN SELECT RAISE(ABORT, 'signoff: rule 5: what screening found is final'); END
--;
CREATE TRIGGER screenings_no_delete BEFORE DELETE ON screenings
WHEN NOT EXISTS (SELECT 1 FROM versions
                 WHERE version_id = OLD.version_id AND round = OLD.round AND state = 'submitted')
BEGIN SELECT RAISE(ABORT, 'signoff: rule 5: what screening found is final'); END
--;
CREATE TRIGGER clearances_come_once BEFORE INSERT ON clearances
WHEN EXISTS (SELECT 1 FROM clearances WHERE clearance_id = NEW.clearance_id)
BEGIN SELECT RAISE(ABORT, 'signoff: rule 5: a rights check is final'); END
--;
CREATE TRIGGER clearances_no_update BEFORE UPDATE ON clearances
BEGIN SELECT RAISE(ABORT, 'signoff: rule 5: a rights check is final'); END
--;
CREATE TRIGGER clearances_no_delete BEFORE DELETE ON clearances
BEGIN SELECT RAISE(ABORT, 'signoff: rule 5: a rights check is final'); END
--;
CREATE TRIGGER grants_come_once BEFORE INSERT ON grants
WHEN EXISTS (SELECT 1 FROM grants WHERE grant_key = NEW.grant_key
               OR (source = NEW.source AND grant_id = NEW.grant_id AND revision = NEW.revision))
BEGIN SELECT RAISE(ABORT, 'signoff: rule 5: a grant only ends'); END
--;
CREATE TRIGGER grants_only_end BEFORE UPDATE ON grants
WHEN NEW.grant_key <> OLD.grant_key OR NEW.source <> OLD.source OR NEW.grant_id <> OLD.grant_id
  OR NEW.revision <> OLD.revision OR NEW.body <> OLD.body OR NEW.evidence_sha256 IS NOT OLD.evidence_sha256
  OR NEW.imported_at <> OLD.imported_at OR OLD.retired_at IS NOT NULL OR NEW.retired_at IS NULL
BEGIN SELECT RAISE(ABORT, 'signoff: rule 5: a grant only ends'); END
--;
CREATE TRIGGER grants_no_delete BEFORE DELETE ON grants
BEGIN SELECT RAISE(ABORT, 'signoff: rule 5: a grant only ends'); END
--;
CREATE TRIGGER review_gates_come_once BEFORE INSERT ON review_gates
WHEN EXISTS (SELECT 1 FROM review_gates WHERE gate_id = NEW.gate_id
               OR (review_id = NEW.review_id AND position = NEW.position))
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: a review asks about what it was opened for'); END
--;
CREATE TRIGGER review_gates_no_update BEFORE UPDATE ON review_gates
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: a review asks about what it was opened for'); END
--;
CREATE TRIGGER review_gates_no_delete BEFORE DELETE ON review_gates
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: a review asks about what it was opened for'); END
