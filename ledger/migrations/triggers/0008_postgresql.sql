-- Since 0008, on PostgreSQL: a reminder and an escalation stand beside the events that tell of them, and nobody joins
-- under the handle of somebody who was forgotten. The SQLite file beside this one says the same.
CREATE OR REPLACE FUNCTION signoff_check_rung() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  v versions%ROWTYPE;
  refusal text;
BEGIN
  PERFORM 1 FROM chain_head WHERE one = 1 FOR UPDATE;
  PERFORM 1 FROM gates WHERE gate_id = NEW.gate_id FOR UPDATE;
  SELECT * INTO v FROM versions WHERE version_id = NEW.version_id FOR UPDATE;
  IF NEW.rung_id IS DISTINCT FROM (SELECT COALESCE(MAX(rung_id), 0) + 1 FROM rungs)
     OR NEW.number <> (CASE WHEN NEW.gate_id IS NULL
          THEN (SELECT COUNT(*) FROM rungs
                WHERE version_id = NEW.version_id AND since_seq = NEW.since_seq AND gate_id IS NULL)
          ELSE (SELECT COUNT(*) FROM rungs WHERE gate_id = NEW.gate_id) END) THEN
    refusal := 'rule 4: the rungs of a deadline fire in order, each once';
  ELSIF v.version_id IS NULL OR v.round IS DISTINCT FROM NEW.round OR v.state_seq IS DISTINCT FROM NEW.since_seq
     OR (NEW.gate_id IS NULL AND COALESCE(v.state, '') NOT IN ('quarantined', 'changes_requested'))
     OR (NEW.gate_id IS NOT NULL AND (COALESCE(v.state, '') <> 'in_review' OR NOT EXISTS (
           SELECT 1 FROM gates WHERE gate_id = NEW.gate_id AND version_id = NEW.version_id AND round = NEW.round
             AND opened_at IS NOT NULL AND outcome IS NULL))) THEN
    refusal := 'rule 4: a rung fires while its version or its gate still waits';
  ELSIF NEW.kind <> 'finally' AND NOT EXISTS (
       SELECT 1 FROM events
       WHERE version_id = NEW.version_id AND seq > NEW.since_seq AND action = NEW.kind AND round = NEW.round
         AND at = NEW.fired_at AND body::jsonb #> '{details,rung}' = to_jsonb(NEW.number)
         AND (body::jsonb #> '{details,gate}') IS NOT DISTINCT FROM to_jsonb(NEW.gate_id)) THEN
    refusal := 'rule 4: a rung stands beside the event that tells of it';
  END IF;
  IF refusal IS NOT NULL THEN PERFORM signoff_say(refusal); END IF;
  RETURN NEW;
END $$
--;
CREATE FUNCTION signoff_check_joining() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF substr(NEW.handle, 1, 17) = 'forgotten person ' THEN
    PERFORM signoff_say('rule 4: a person leaves; the record stays');
  END IF;
  RETURN NEW;
END $$
--;
CREATE TRIGGER people_join_once BEFORE INSERT ON people FOR EACH ROW EXECUTE FUNCTION signoff_check_joining()
--;
DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['signoff_check_rung()', 'signoff_check_joining()'] LOOP
    EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', name, current_schema());
  END LOOP;
END $$
