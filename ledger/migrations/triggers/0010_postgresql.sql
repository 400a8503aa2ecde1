-- Since 0010, on PostgreSQL: secrets begin unconfirmed and end once; a code is used up once, by somebody enrolled; wrong
-- codes are forgotten only for a right one; what is signed stands beside the code that was used up for it. The SQLite file
-- beside this one says the same.
CREATE FUNCTION signoff_check_secret() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF NEW.secret_id IS DISTINCT FROM (SELECT COALESCE(MAX(secret_id), 0) + 1 FROM signing_secrets)
       OR NEW.state <> 'pending' OR NEW.confirmed_at IS NOT NULL
       OR EXISTS (SELECT 1 FROM signing_secrets WHERE person_id = NEW.person_id AND state = 'pending')
       OR NOT EXISTS (SELECT 1 FROM people WHERE person_id = NEW.person_id AND left_at IS NULL) THEN
      PERFORM signoff_say('rule 4: a secret begins unconfirmed, for somebody of the roster');
    END IF;
  ELSIF (NEW.secret_id, NEW.person_id, NEW.made_at) IS DISTINCT FROM (OLD.secret_id, OLD.person_id, OLD.made_at)
     OR (OLD.confirmed_at IS NOT NULL AND NEW.confirmed_at IS DISTINCT FROM OLD.confirmed_at)
     OR (OLD.state = 'active' AND NEW.state = 'pending')
     OR (OLD.state = 'pending' AND NEW.state = 'active' AND EXISTS (
           SELECT 1 FROM signing_secrets WHERE person_id = OLD.person_id AND state = 'active'))
     OR (OLD.state = 'ended' AND NOT (
           NEW.state = 'ended' AND NEW.ended_at = OLD.ended_at AND OLD.ended_for = 'disowned'
           AND NEW.ended_for = 'recovered')) THEN
    PERFORM signoff_say('rule 4: a secret is confirmed once and ended once');
  END IF;
  RETURN NEW;
END $$
--;
CREATE TRIGGER signing_secrets_end_once BEFORE INSERT OR UPDATE ON signing_secrets
FOR EACH ROW EXECUTE FUNCTION signoff_check_secret()
--;
CREATE TRIGGER signing_secrets_no_delete BEFORE DELETE ON signing_secrets
FOR EACH ROW EXECUTE FUNCTION signoff_refuse('rule 4: a secret is confirmed once and ended once')
--;
CREATE FUNCTION signoff_check_used_code() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM signing_secrets WHERE person_id = NEW.person_id AND state = 'active' FOR SHARE;
  IF EXISTS (SELECT 1 FROM used_codes WHERE person_id = NEW.person_id AND step = NEW.step)
     OR NOT EXISTS (SELECT 1 FROM signing_secrets WHERE person_id = NEW.person_id AND state = 'active')
     OR NOT EXISTS (SELECT 1 FROM people WHERE person_id = NEW.person_id AND left_at IS NULL) THEN
    PERFORM signoff_say('rule 4: a code is used up once, by somebody who is enrolled');
  END IF;
  RETURN NEW;
END $$
--;
CREATE TRIGGER used_codes_birth BEFORE INSERT ON used_codes FOR EACH ROW EXECUTE FUNCTION signoff_check_used_code()
--;
CREATE TRIGGER used_codes_final BEFORE UPDATE OR DELETE ON used_codes
FOR EACH ROW EXECUTE FUNCTION signoff_refuse('rule 4: a code is used up once, by somebody who is enrolled')
--;
CREATE FUNCTION signoff_check_code_failures() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  refused boolean;
BEGIN
  IF TG_OP = 'INSERT' THEN
    refused := NEW.failures <> 1;
  ELSE
    refused := NEW.person_id <> OLD.person_id
      OR NOT (NEW.failures = OLD.failures + 1 AND NEW.looks_again_at >= OLD.looks_again_at)
      AND NOT (NEW.failures = 0 AND EXISTS (
            SELECT 1 FROM used_codes WHERE person_id = NEW.person_id AND used_at = NEW.last_at));
  END IF;
  IF refused THEN
    PERFORM signoff_say('rule 4: wrong codes are counted, and forgotten for a right one only');
  END IF;
  RETURN NEW;
END $$
--;
CREATE TRIGGER code_failures_change BEFORE INSERT OR UPDATE ON code_failures
FOR EACH ROW EXECUTE FUNCTION signoff_check_code_failures()
--;
CREATE TRIGGER code_failures_no_delete BEFORE DELETE ON code_failures
FOR EACH ROW EXECUTE FUNCTION signoff_refuse('rule 4: wrong codes are counted, and forgotten for a right one only')
--;
CREATE FUNCTION signoff_check_signature() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  carried boolean;
BEGIN
  IF TG_TABLE_NAME = 'decisions' THEN
    SELECT EXISTS (
      SELECT 1 FROM used_codes u JOIN review_gates r ON r.review_id = u.review_id
      WHERE u.person_id = NEW.person_id AND u.used_at = NEW.decided_at AND r.gate_id = NEW.gate_id) INTO carried;
  ELSE
    SELECT EXISTS (
      SELECT 1 FROM used_codes
      WHERE person_id = NEW.person_id AND used_at = NEW.decided_at AND review_id = NEW.review_id) INTO carried;
  END IF;
  IF NOT carried THEN
    PERFORM signoff_say('rule 4: a signature is a code that was used up for this very review');
  END IF;
  RETURN NEW;
END $$
--;
CREATE TRIGGER decisions_signed BEFORE INSERT ON decisions
FOR EACH ROW WHEN (NEW.signature = 'totp') EXECUTE FUNCTION signoff_check_signature()
--;
CREATE TRIGGER held_decisions_signed BEFORE INSERT ON held_decisions
FOR EACH ROW WHEN (NEW.signature = 'totp') EXECUTE FUNCTION signoff_check_signature()
--;
DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['signing_secrets', 'used_codes', 'code_failures'] LOOP
    EXECUTE format('CREATE TRIGGER %I BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION signoff_refuse(%L)',
                   name || '_no_truncate', name, 'rule 1: records are never truncated');
    EXECUTE format('CREATE TRIGGER %I BEFORE INSERT OR UPDATE OR DELETE ON %I FOR EACH STATEMENT
                    EXECUTE FUNCTION signoff_check_isolation()', name || '_isolation', name);
  END LOOP;
  FOREACH name IN ARRAY ARRAY['signoff_check_secret()', 'signoff_check_used_code()', 'signoff_check_code_failures()',
    'signoff_check_signature()'] LOOP
    EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', name, current_schema());
  END LOOP;
END $$
