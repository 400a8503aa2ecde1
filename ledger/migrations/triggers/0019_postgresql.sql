CREATE OR REPLACE FUNCTION signoff_check_eligible() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (NEW.gate_id, NEW.person_id, NEW.on_behalf_of, NEW.via, NEW.added_at)
     IS DISTINCT FROM (OLD.gate_id, OLD.person_id, OLD.on_behalf_of, OLD.via, OLD.added_at)
     OR (OLD.revoked_at IS NOT NULL AND (NEW.revoked_at IS NOT NULL OR NOT CASE OLD.via
       WHEN 'delegation' THEN EXISTS (
         SELECT 1 FROM delegations
         WHERE principal_id = OLD.on_behalf_of AND delegate_id = OLD.person_id AND revoked_at IS NULL
           AND ends_at > OLD.revoked_at)
       ELSE EXISTS (
         SELECT 1 FROM memberships
         WHERE person_id = OLD.person_id AND removed_at IS NULL AND added_at > OLD.revoked_at) END)) THEN
    PERFORM signoff_say('rule 4: eligibility is only ever revoked');
  END IF;
  RETURN NEW;
END $$
--;
DO $$
BEGIN
  EXECUTE format('ALTER FUNCTION signoff_check_eligible() SET search_path = %I, pg_temp', current_schema());
END $$
