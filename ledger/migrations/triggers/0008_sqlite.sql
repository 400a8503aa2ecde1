-- Since 0008, on SQLite: a reminder and an escalation stand beside the events that tell of them, and nobody joins under
-- the handle of somebody who was forgotten. The PostgreSQL file beside this one says the same.
DROP TRIGGER rungs_birth
--;
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
      OR (NEW.gate_id IS NULL AND COALESCE(v.state, '') NOT IN ('quarantined', 'changes_requested'))
      OR (NEW.gate_id IS NOT NULL AND (COALESCE(v.state, '') <> 'in_review' OR NOT EXISTS (
            SELECT 1 FROM gates WHERE gate_id = NEW.gate_id AND version_id = NEW.version_id AND round = NEW.round
              AND opened_at IS NOT NULL AND outcome IS NULL)))
    THEN RAISE(ABORT, 'signoff: rule 4: a rung fires while its version or its gate still waits')
    WHEN NEW.kind <> 'finally' AND NOT EXISTS (
        SELECT 1 FROM events
        WHERE version_id = NEW.version_id AND seq > NEW.since_seq AND action = NEW.kind AND round = NEW.round
          AND at = NEW.fired_at AND json_extract(body, '$.details.rung') = NEW.number
          AND json_extract(body, '$.details.gate') IS NEW.gate_id)
    THEN RAISE(ABORT, 'signoff: rule 4: a rung stands beside the event that tells of it')
  END
  FROM (SELECT 1) LEFT JOIN versions v ON v.version_id = NEW.version_id;
END
--;
DROP TRIGGER people_join_once
--;
CREATE TRIGGER people_join_once BEFORE INSERT ON people
WHEN EXISTS (SELECT 1 FROM people WHERE person_id = NEW.person_id OR handle = NEW.handle)
  OR substr(NEW.handle, 1, 17) = 'forgotten person '
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: a person leaves; the record stays'); END
