-- Seals on PostgreSQL: one after the other, each of an event that is there, none changed or taken out. The SQLite file
-- beside this one says the same. The head of the chain is locked first, so that two sealers follow one another.
CREATE FUNCTION signoff_check_seal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM chain_head WHERE one = 1 FOR UPDATE;
  IF NEW.seal_id IS DISTINCT FROM (SELECT COALESCE(MAX(seal_id), 0) + 1 FROM seals)
     OR NEW.seq <= (SELECT COALESCE(MAX(seq), 0) FROM seals)
     OR NOT EXISTS (SELECT 1 FROM events WHERE seq = NEW.seq AND hash = NEW.hash) THEN
    PERFORM signoff_say('rule 1: a seal follows the one before and seals an event that is there');
  END IF;
  RETURN NEW;
END $$
--;
CREATE TRIGGER seals_check BEFORE INSERT ON seals FOR EACH ROW EXECUTE FUNCTION signoff_check_seal()
--;
CREATE TRIGGER seals_append_only BEFORE UPDATE OR DELETE ON seals
FOR EACH ROW EXECUTE FUNCTION signoff_refuse('rule 1: seals are append-only')
--;
CREATE TRIGGER seals_no_truncate BEFORE TRUNCATE ON seals
FOR EACH STATEMENT EXECUTE FUNCTION signoff_refuse('rule 1: records are never truncated')
--;
CREATE TRIGGER seals_isolation BEFORE INSERT OR UPDATE OR DELETE ON seals
FOR EACH STATEMENT EXECUTE FUNCTION signoff_check_isolation()
--;
DO $$
BEGIN
  EXECUTE format('ALTER FUNCTION signoff_check_seal() SET search_path = %I, pg_temp', current_schema());
END $$
