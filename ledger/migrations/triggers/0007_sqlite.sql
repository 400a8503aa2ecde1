-- Since 0007, on SQLite: a gate turns a version down because somebody decided so there, or because its deadline ended.
-- (What else the PostgreSQL file beside this one adds, SQLite does by itself: an event is applied as soon as it is in.)
CREATE TRIGGER gates_turn_down BEFORE UPDATE ON gates
WHEN OLD.outcome IS NULL AND NEW.outcome IN ('rejected', 'changes_requested')
  AND NOT EXISTS (
    SELECT 1 FROM decisions
    WHERE gate_id = OLD.gate_id AND counted
      AND verdict = CASE NEW.outcome WHEN 'rejected' THEN 'reject' ELSE 'request_changes' END)
  AND NOT EXISTS (
    SELECT 1 FROM rungs
    WHERE gate_id = OLD.gate_id AND kind = 'finally'
      AND outcome = CASE NEW.outcome WHEN 'rejected' THEN 'reject' ELSE 'request_changes' END)
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: a gate turns a version down for a decision or at the end of its deadline'); END
