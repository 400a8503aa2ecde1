-- Deadlines on SQLite: rungs fire once, in order, while what they are about still waits; notices are closed once. The
-- PostgreSQL file beside this one says the same. A rung's id is always the next one, so REPLACE finds nothing by it.
CREATE TRIGGER rungs_birth BEFORE INSERT ON rungs
BEGIN
  SELECT CASE
    WHEN NEW.rung_id IS NOT (SELECT COALESCE(MAX(rung_id), 0) + 1 FROM rungs)
      OR NEW.number <> CASE WHEN NEW.gate_id IS NULL
           THEN (SELECT COUNT(*) FROM rungs
                 WHERE version_id = NEW.version_id AND since_seq = NEW.since_seq AND gate_id IS NULL)
           ELSE (SELECT COUNT(*) FROM rungs WHERE gate_id = NEW.gate_id) END
    THEN RAISE(ABORT, 'signoff: rule 4: the rungs of a deadline fire in order, each once')
    WHEN v.version_id IS NULL OR v.round IS NOT NEW.round OR v.state_seq IS NOT NEW.since_seq
      OR (NEW.gate_id IS NULL AND v.state NOT IN ('quarantined', 'changes_requested'))
      OR (NEW.gate_id IS NOT NULL AND (v.state <> 'in_review' OR NOT EXISTS (
            SELECT 1 FROM gates WHERE gate_id = NEW.gate_id AND version_id = NEW.version_id AND round = NEW.round
              AND opened_at IS NOT NULL AND outcome IS NULL)))
    THEN RAISE(ABORT, 'signoff: rule 4: a rung fires while its version or its gate still waits')
  END
  FROM (SELECT 1) LEFT JOIN versions v ON v.version_id = NEW.version_id;
END
--;
CREATE TRIGGER rungs_no_update BEFORE UPDATE ON rungs
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: a rung that has fired stays'); END
--;
CREATE TRIGGER rungs_no_delete BEFORE DELETE ON rungs
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: a rung that has fired stays'); END
--;
CREATE TRIGGER notices_birth BEFORE INSERT ON notices
WHEN NEW.state <> 'waiting' OR EXISTS (
  SELECT 1 FROM notices WHERE notice_id = NEW.notice_id OR (person_id = NEW.person_id AND occasion = NEW.occasion))
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: a notice is written once and closed once'); END
--;
CREATE TRIGGER notices_change BEFORE UPDATE ON notices
WHEN NEW.notice_id <> OLD.notice_id OR NEW.person_id <> OLD.person_id OR NEW.kind <> OLD.kind
  OR NEW.occasion <> OLD.occasion OR NEW.review_id IS NOT OLD.review_id OR NEW.version_id IS NOT OLD.version_id
  OR NEW.body <> OLD.body OR NEW.created_at <> OLD.created_at OR OLD.state <> 'waiting'
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: a notice is written once and closed once'); END
--;
CREATE TRIGGER notices_no_delete BEFORE DELETE ON notices
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: a notice is written once and closed once'); END
