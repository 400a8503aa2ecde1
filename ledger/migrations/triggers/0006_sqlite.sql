-- Reviews of the quarantine on SQLite: carried once, while the version is held, and decided once. The PostgreSQL file
-- beside this one says the same.
CREATE TRIGGER review_versions_birth BEFORE INSERT ON review_versions
WHEN NEW.outcome IS NOT NULL
  OR EXISTS (SELECT 1 FROM review_versions WHERE (review_id = NEW.review_id AND position = NEW.position)
               OR (version_id = NEW.version_id AND since_seq = NEW.since_seq))
  OR NOT EXISTS (SELECT 1 FROM versions
                 WHERE version_id = NEW.version_id AND state = 'quarantined' AND state_seq = NEW.since_seq)
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: a version is put before its owner once, while it is held'); END
--;
CREATE TRIGGER review_versions_change BEFORE UPDATE ON review_versions
WHEN NEW.review_id <> OLD.review_id OR NEW.position <> OLD.position OR NEW.version_id <> OLD.version_id
  OR NEW.since_seq <> OLD.since_seq OR NEW.owner <> OLD.owner OR OLD.outcome IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: what is held is decided once'); END
--;
CREATE TRIGGER review_versions_no_delete BEFORE DELETE ON review_versions
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: what is held is decided once'); END
--;
CREATE TRIGGER held_decisions_birth BEFORE INSERT ON held_decisions
WHEN NEW.decision_id IS NOT (SELECT COALESCE(MAX(decision_id), 0) + 1 FROM held_decisions)
  OR NOT EXISTS (SELECT 1 FROM review_versions WHERE review_id = NEW.review_id AND version_id = NEW.version_id)
  OR NOT EXISTS (SELECT 1 FROM people WHERE person_id = NEW.person_id AND left_at IS NULL)
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: a decision on what is held is final, by a person, on what was shown'); END
--;
CREATE TRIGGER held_decisions_no_update BEFORE UPDATE ON held_decisions
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: a decision is final'); END
--;
CREATE TRIGGER held_decisions_no_delete BEFORE DELETE ON held_decisions
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: a decision is final'); END
