-- Reviews of the quarantine on PostgreSQL: carried once, while the version is held, and decided once. The SQLite file
-- beside this one says the same.
CREATE FUNCTION signoff_check_held() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM versions WHERE version_id = NEW.version_id FOR UPDATE;
  IF TG_OP = 'INSERT' AND (NEW.outcome IS NOT NULL
     OR NOT EXISTS (SELECT 1 FROM versions
                    WHERE version_id = NEW.version_id AND state = 'quarantined' AND state_seq = NEW.since_seq)) THEN
    PERFORM signoff_say('rule 4: a version is put before its owner once, while it is held');
  ELSIF TG_OP = 'UPDATE' THEN
    IF (NEW.review_id, NEW.position, NEW.version_id, NEW.since_seq, NEW.owner)
       IS DISTINCT FROM (OLD.review_id, OLD.position, OLD.version_id, OLD.since_seq, OLD.owner)
       OR OLD.outcome IS NOT NULL THEN
      PERFORM signoff_say('rule 4: what is held is decided once');
    END IF;
  END IF;
  RETURN NEW;
END $$
--;
CREATE TRIGGER review_versions_decided_once BEFORE INSERT OR UPDATE ON review_versions
FOR EACH ROW EXECUTE FUNCTION signoff_check_held()
--;
CREATE TRIGGER review_versions_no_delete BEFORE DELETE ON review_versions
FOR EACH ROW EXECUTE FUNCTION signoff_refuse('rule 4: what is held is decided once')
--;
CREATE FUNCTION signoff_check_held_decision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.decision_id IS DISTINCT FROM (SELECT COALESCE(MAX(decision_id), 0) + 1 FROM held_decisions)
     OR NOT EXISTS (SELECT 1 FROM review_versions WHERE review_id = NEW.review_id AND version_id = NEW.version_id)
     OR NOT EXISTS (SELECT 1 FROM people WHERE person_id = NEW.person_id AND left_at IS NULL) THEN
    PERFORM signoff_say('rule 4: a decision on what is held is final, by a person, on what was shown');
  END IF;
  RETURN NEW;
END $$
--;
CREATE TRIGGER held_decisions_birth BEFORE INSERT ON held_decisions
FOR EACH ROW EXECUTE FUNCTION signoff_check_held_decision()
--;
CREATE TRIGGER held_decisions_final BEFORE UPDATE OR DELETE ON held_decisions
FOR EACH ROW EXECUTE FUNCTION signoff_refuse('rule 4: a decision is final')
--;
DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['review_versions', 'held_decisions'] LOOP
    EXECUTE format('CREATE TRIGGER %I BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION signoff_refuse(%L)',
                   name || '_no_truncate', name, 'rule 1: records are never truncated');
    EXECUTE format('CREATE TRIGGER %I BEFORE INSERT OR UPDATE OR DELETE ON %I FOR EACH STATEMENT
                    EXECUTE FUNCTION signoff_check_isolation()', name || '_isolation', name);
  END LOOP;
  FOREACH name IN ARRAY ARRAY['signoff_check_held()', 'signoff_check_held_decision()'] LOOP
    EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', name, current_schema());
  END LOOP;
END $$
