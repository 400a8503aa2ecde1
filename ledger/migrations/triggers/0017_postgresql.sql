-- Since 0017, on PostgreSQL: what a publication rests on, and what a code signs, is final. A screening may be made anew
-- only before its version has left screening, a rights check never changes, a grant only ends, and a review asks about
-- what it was opened for. The SQLite file beside this one says the same.
CREATE FUNCTION signoff_keep_screening() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM versions WHERE version_id = OLD.version_id AND round = OLD.round AND state = 'submitted' FOR UPDATE;
  IF NOT FOUND THEN
    PERFORM signoff_say('rule 5: what screening found is final');
  END IF;
  RETURN OLD;
END $$
--;
CREATE TRIGGER screenings_no_update BEFORE UPDATE ON screenings
FOR EACH ROW EXECUTE FUNCTION signoff_refuse('rule 5: what screening found is final')
--;
CREATE TRIGGER screenings_no_delete BEFORE DELETE ON screenings
FOR EACH ROW EXECUTE FUNCTION signoff_keep_screening()
--;
CREATE TRIGGER clearances_final BEFORE UPDATE OR DELETE ON clearances
FOR EACH ROW EXECUTE FUNCTION signoff_refuse('rule 5: a rights check is final')
--;
CREATE FUNCTION signoff_end_grant() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (NEW.grant_key, NEW.source, NEW.grant_id, NEW.revision, NEW.body, NEW.evidence_sha256, NEW.imported_at)
       IS DISTINCT FROM
     (OLD.grant_key, OLD.source, OLD.grant_id, OLD.revision, OLD.body, OLD.evidence_sha256, OLD.imported_at)
     OR OLD.retired_at IS NOT NULL OR NEW.retired_at IS NULL THEN
    PERFORM signoff_say('rule 5: a grant only ends');
  END IF;
  RETURN NEW;
END $$
--;
CREATE TRIGGER grants_only_end BEFORE UPDATE ON grants FOR EACH ROW EXECUTE FUNCTION signoff_end_grant()
--;
CREATE TRIGGER grants_no_delete BEFORE DELETE ON grants
FOR EACH ROW EXECUTE FUNCTION signoff_refuse('rule 5: a grant only ends')
--;
CREATE TRIGGER review_gates_final BEFORE UPDATE OR DELETE ON review_gates
FOR EACH ROW EXECUTE FUNCTION signoff_refuse('rule 4: a review asks about what it was opened for')
--;
CREATE TRIGGER screenings_no_truncate BEFORE TRUNCATE ON screenings
FOR EACH STATEMENT EXECUTE FUNCTION signoff_refuse('rule 1: records are never truncated')
--;
CREATE TRIGGER clearances_no_truncate BEFORE TRUNCATE ON clearances
FOR EACH STATEMENT EXECUTE FUNCTION signoff_refuse('rule 1: records are never truncated')
--;
CREATE TRIGGER grants_no_truncate BEFORE TRUNCATE ON grants
FOR EACH STATEMENT EXECUTE FUNCTION signoff_refuse('rule 1: records are never truncated')
--;
CREATE TRIGGER review_gates_no_truncate BEFORE TRUNCATE ON review_gates
FOR EACH STATEMENT EXECUTE FUNCTION signoff_refuse('rule 1: records are never truncated')
--;
CREATE TRIGGER round_tokens_no_truncate BEFORE TRUNCATE ON round_tokens
FOR EACH STATEMENT EXECUTE FUNCTION signoff_refuse('rule 1: records are never truncated')
--;
DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['signoff_keep_screening()', 'signoff_end_grant()'] LOOP
    EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', name, current_schema());
  END LOOP;
END $$
