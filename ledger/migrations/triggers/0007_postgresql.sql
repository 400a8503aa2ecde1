-- Since 0007, on PostgreSQL:
-- 1. The events of a statement are applied together when all are in. Until then `versions` shows the state from before,
--    to further events of the statement and to whatever else it writes (in a WITH, or in a function that it calls). So
--    a version that a statement moves has no other part in that statement.
-- 2. A gate turns a version down because somebody decided so there, or because its deadline ended.
-- These triggers come, by name, after those that lock the version.
CREATE FUNCTION signoff_check_settled() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  moved bigint;
BEGIN
  IF TG_TABLE_NAME = 'decisions' THEN
    SELECT version_id INTO moved FROM gates WHERE gate_id = NEW.gate_id;
  ELSE
    moved := NEW.version_id;
  END IF;
  IF EXISTS (SELECT 1 FROM events e JOIN versions v ON v.version_id = e.version_id
             WHERE e.version_id = moved AND e.to_state IS NOT NULL AND e.seq > v.state_seq) THEN
    PERFORM signoff_say('rule 2: a version that a statement moves has no other part in that statement');
  END IF;
  RETURN NEW;
END $$
--;
CREATE TRIGGER events_settled BEFORE INSERT ON events
FOR EACH ROW WHEN (NEW.to_state IS NOT NULL) EXECUTE FUNCTION signoff_check_settled()
--;
CREATE TRIGGER gates_settled BEFORE INSERT ON gates FOR EACH ROW EXECUTE FUNCTION signoff_check_settled()
--;
CREATE TRIGGER decisions_settled BEFORE INSERT ON decisions FOR EACH ROW EXECUTE FUNCTION signoff_check_settled()
--;
CREATE TRIGGER effects_settled BEFORE INSERT ON effects FOR EACH ROW EXECUTE FUNCTION signoff_check_settled()
--;
CREATE TRIGGER holds_settled BEFORE INSERT ON holds FOR EACH ROW EXECUTE FUNCTION signoff_check_settled()
--;
CREATE TRIGGER retentions_settled BEFORE INSERT ON retentions FOR EACH ROW EXECUTE FUNCTION signoff_check_settled()
--;
CREATE TRIGGER rungs_settled BEFORE INSERT ON rungs FOR EACH ROW EXECUTE FUNCTION signoff_check_settled()
--;
CREATE TRIGGER review_versions_settled BEFORE INSERT ON review_versions
FOR EACH ROW EXECUTE FUNCTION signoff_check_settled()
--;
CREATE FUNCTION signoff_check_turning_down() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  said text := CASE NEW.outcome WHEN 'rejected' THEN 'reject' ELSE 'request_changes' END;
BEGIN
  IF NOT EXISTS (SELECT 1 FROM decisions WHERE gate_id = OLD.gate_id AND counted AND verdict = said)
     AND NOT EXISTS (SELECT 1 FROM rungs WHERE gate_id = OLD.gate_id AND kind = 'finally' AND outcome = said) THEN
    PERFORM signoff_say('rule 4: a gate turns a version down for a decision or at the end of its deadline');
  END IF;
  RETURN NEW;
END $$
--;
CREATE TRIGGER gates_turn_down BEFORE UPDATE ON gates
FOR EACH ROW WHEN (OLD.outcome IS NULL AND NEW.outcome IN ('rejected', 'changes_requested'))
EXECUTE FUNCTION signoff_check_turning_down()
--;
DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['signoff_check_settled()', 'signoff_check_turning_down()'] LOOP
    EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', name, current_schema());
  END LOOP;
END $$
