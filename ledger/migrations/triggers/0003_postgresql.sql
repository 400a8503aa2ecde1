-- Deadlines on PostgreSQL: rungs fire once, in order, while what they are about still waits; notices are closed once.
-- The SQLite file beside this one says the same, in the same order. Head, gate and version are locked
-- before they are read, in the order in which a decision locks them.
CREATE FUNCTION signoff_check_rung() RETURNS trigger LANGUAGE plpgsql AS $$
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
     OR (NEW.gate_id IS NULL AND v.state NOT IN ('quarantined', 'changes_requested'))
     OR (NEW.gate_id IS NOT NULL AND (v.state <> 'in_review' OR NOT EXISTS (
           SELECT 1 FROM gates WHERE gate_id = NEW.gate_id AND version_id = NEW.version_id AND round = NEW.round
             AND opened_at IS NOT NULL AND outcome IS NULL))) THEN
    refusal := 'rule 4: a rung fires while its version or its gate still waits';
  END IF;
  IF refusal IS NOT NULL THEN PERFORM signoff_say(refusal); END IF;
  RETURN NEW;
END $$
--;
CREATE TRIGGER rungs_birth BEFORE INSERT ON rungs FOR EACH ROW EXECUTE FUNCTION signoff_check_rung()
--;
CREATE TRIGGER rungs_final BEFORE UPDATE OR DELETE ON rungs
FOR EACH ROW EXECUTE FUNCTION signoff_refuse('rule 4: a rung that has fired stays')
--;
CREATE FUNCTION signoff_check_notice() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (CASE TG_OP WHEN 'INSERT' THEN NEW.state <> 'waiting'
     ELSE (NEW.notice_id, NEW.person_id, NEW.kind, NEW.occasion, NEW.review_id, NEW.version_id, NEW.body, NEW.created_at)
          IS DISTINCT FROM
          (OLD.notice_id, OLD.person_id, OLD.kind, OLD.occasion, OLD.review_id, OLD.version_id, OLD.body, OLD.created_at)
          OR OLD.state <> 'waiting' END) THEN
    PERFORM signoff_say('rule 4: a notice is written once and closed once');
  END IF;
  RETURN NEW;
END $$
--;
CREATE TRIGGER notices_close_once BEFORE INSERT OR UPDATE ON notices
FOR EACH ROW EXECUTE FUNCTION signoff_check_notice()
--;
CREATE TRIGGER notices_no_delete BEFORE DELETE ON notices
FOR EACH ROW EXECUTE FUNCTION signoff_refuse('rule 4: a notice is written once and closed once')
--;
DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['rungs', 'notices'] LOOP
    EXECUTE format('CREATE TRIGGER %I BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION signoff_refuse(%L)',
                   name || '_no_truncate', name, 'rule 1: records are never truncated');
    EXECUTE format('CREATE TRIGGER %I BEFORE INSERT OR UPDATE OR DELETE ON %I FOR EACH STATEMENT
                    EXECUTE FUNCTION signoff_check_isolation()', name || '_isolation', name);
  END LOOP;
  FOREACH name IN ARRAY ARRAY['signoff_check_rung()', 'signoff_check_notice()'] LOOP
    EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', name, current_schema());
  END LOOP;
END $$
