-- Since 0011, on PostgreSQL: what waits by itself is held or was sent back, and is decided once, by what a person said; a
-- person reopens what nothing newer has followed; a part is handed over for a time, to one person who keeps their own.
-- The SQLite file beside this one says the same.
CREATE OR REPLACE FUNCTION signoff_check_held() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM versions WHERE version_id = NEW.version_id FOR UPDATE;
  IF TG_OP = 'INSERT' AND (NEW.outcome IS NOT NULL
     OR NOT EXISTS (SELECT 1 FROM versions v JOIN reviews r ON r.review_id = NEW.review_id
                    WHERE v.version_id = NEW.version_id AND v.state_seq = NEW.since_seq
                      AND v.state = CASE r.purpose WHEN 'quarantine' THEN 'quarantined'
                                                   WHEN 'changes_requested' THEN 'changes_requested' END)) THEN
    PERFORM signoff_say('rule 4: a version is put before its people once, while it waits');
  ELSIF TG_OP = 'UPDATE' THEN
    IF (NEW.review_id, NEW.position, NEW.version_id, NEW.since_seq, NEW.owner)
       IS DISTINCT FROM (OLD.review_id, OLD.position, OLD.version_id, OLD.since_seq, OLD.owner)
       OR OLD.outcome IS NOT NULL THEN
      PERFORM signoff_say('rule 4: what waits is decided once');
    END IF;
  END IF;
  RETURN NEW;
END $$
--;
CREATE FUNCTION signoff_check_held_outcome() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.outcome IS NULL AND NEW.outcome IS NOT NULL AND NOT EXISTS (
       SELECT 1 FROM held_decisions
       WHERE review_id = NEW.review_id AND version_id = NEW.version_id AND counted
         AND verdict = CASE NEW.outcome WHEN 'released' THEN 'release' WHEN 'reopened' THEN 'reopen' ELSE 'reject' END)
  THEN
    PERFORM signoff_say('rule 4: what waits ends as a person said');
  END IF;
  RETURN NEW;
END $$
--;
CREATE TRIGGER review_versions_outcome BEFORE UPDATE ON review_versions
FOR EACH ROW EXECUTE FUNCTION signoff_check_held_outcome()
--;
DROP TRIGGER review_versions_no_delete ON review_versions
--;
CREATE TRIGGER review_versions_no_delete BEFORE DELETE ON review_versions
FOR EACH ROW EXECUTE FUNCTION signoff_refuse('rule 4: what waits is decided once')
--;
CREATE OR REPLACE FUNCTION signoff_check_held_decision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM versions WHERE version_id = NEW.version_id FOR UPDATE;
  IF NEW.decision_id IS DISTINCT FROM (SELECT COALESCE(MAX(decision_id), 0) + 1 FROM held_decisions)
     OR NOT EXISTS (
       SELECT 1 FROM review_versions w JOIN reviews r ON r.review_id = w.review_id
         JOIN versions v ON v.version_id = w.version_id
       WHERE w.review_id = NEW.review_id AND w.version_id = NEW.version_id
         AND (NEW.verdict = 'reject' OR (r.purpose = 'quarantine' AND NEW.verdict = 'release')
              OR (r.purpose = 'changes_requested' AND NEW.verdict = 'reopen'))
         AND (NOT NEW.counted OR (w.outcome IS NULL AND v.state_seq = w.since_seq AND v.sha256 = NEW.sha256)))
     OR (NEW.counted AND EXISTS (SELECT 1 FROM held_decisions
           WHERE review_id = NEW.review_id AND version_id = NEW.version_id AND counted))
     OR NOT EXISTS (SELECT 1 FROM people WHERE person_id = NEW.person_id AND left_at IS NULL) THEN
    PERFORM signoff_say('rule 4: a decision on what waits is final, by a person, on what was shown');
  END IF;
  RETURN NEW;
END $$
--;
CREATE FUNCTION signoff_check_sent_back() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (
       SELECT 1 FROM versions v
         JOIN review_versions w ON w.version_id = v.version_id AND w.since_seq = v.state_seq
         JOIN held_decisions d ON d.review_id = w.review_id AND d.version_id = v.version_id
         JOIN people p ON p.person_id = d.person_id AND p.left_at IS NULL
       WHERE v.version_id = NEW.version_id AND d.counted AND d.verdict = NEW.action
         AND NEW.actor = 'person:' || d.person_id
         AND (NEW.action = 'reject' OR NOT EXISTS (
           SELECT 1 FROM versions n WHERE n.asset_id = v.asset_id AND n.arrived_seq > v.arrived_seq))) THEN
    PERFORM signoff_say('rule 2: what was sent back goes on as a person of its review said, if nothing is newer');
  END IF;
  RETURN NEW;
END $$
--;
CREATE TRIGGER events_sent_back BEFORE INSERT ON events FOR EACH ROW
WHEN (NEW.actor LIKE 'person:%' AND NEW.from_state = 'changes_requested' AND NEW.action IN ('reopen', 'reject'))
EXECUTE FUNCTION signoff_check_sent_back()
--;
CREATE FUNCTION signoff_check_delegation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM chain_head WHERE one = 1 FOR UPDATE;
  IF TG_OP = 'INSERT' AND (NEW.revoked_at IS NOT NULL
     OR NEW.principal_id = NEW.delegate_id OR NEW.starts_at >= NEW.ends_at
     OR NEW.delegation_id IS DISTINCT FROM (SELECT COALESCE(MAX(delegation_id), 0) + 1 FROM delegations)
     OR (SELECT COUNT(*) FROM people WHERE person_id IN (NEW.principal_id, NEW.delegate_id) AND left_at IS NULL) < 2
     OR EXISTS (
       SELECT 1 FROM delegations d
       WHERE d.revoked_at IS NULL AND d.starts_at < NEW.ends_at AND NEW.starts_at < d.ends_at
         AND (d.principal_id IN (NEW.principal_id, NEW.delegate_id) OR d.delegate_id = NEW.principal_id))) THEN
    PERFORM signoff_say('rule 4: a part is handed to one person at a time, who keeps their own');
  ELSIF TG_OP = 'UPDATE' THEN
    IF (NEW.delegation_id, NEW.principal_id, NEW.delegate_id, NEW.starts_at, NEW.ends_at)
       IS DISTINCT FROM (OLD.delegation_id, OLD.principal_id, OLD.delegate_id, OLD.starts_at, OLD.ends_at)
       OR OLD.revoked_at IS NOT NULL THEN
      PERFORM signoff_say('rule 4: a delegation is ended once; the record stays');
    END IF;
  END IF;
  RETURN NEW;
END $$
--;
CREATE TRIGGER delegations_end_once BEFORE INSERT OR UPDATE ON delegations
FOR EACH ROW EXECUTE FUNCTION signoff_check_delegation()
--;
CREATE TRIGGER delegations_no_delete BEFORE DELETE ON delegations
FOR EACH ROW EXECUTE FUNCTION signoff_refuse('rule 4: a delegation is ended once; the record stays')
--;
CREATE FUNCTION signoff_check_delegated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (NEW.via = 'delegation') <> (NEW.person_id <> NEW.on_behalf_of)
     OR (NEW.via = 'delegation' AND NOT EXISTS (
       SELECT 1 FROM delegations
       WHERE principal_id = NEW.on_behalf_of AND delegate_id = NEW.person_id AND revoked_at IS NULL)) THEN
    PERFORM signoff_say('rule 4: who stands for somebody was handed their part');
  END IF;
  RETURN NEW;
END $$
--;
CREATE TRIGGER gate_eligible_delegated BEFORE INSERT ON gate_eligible
FOR EACH ROW EXECUTE FUNCTION signoff_check_delegated()
--;
CREATE OR REPLACE FUNCTION signoff_check_eligible() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (NEW.gate_id, NEW.person_id, NEW.on_behalf_of, NEW.via, NEW.added_at)
     IS DISTINCT FROM (OLD.gate_id, OLD.person_id, OLD.on_behalf_of, OLD.via, OLD.added_at)
     OR (OLD.revoked_at IS NOT NULL AND (NEW.revoked_at IS NOT NULL OR OLD.via <> 'delegation' OR NOT EXISTS (
       SELECT 1 FROM delegations
       WHERE principal_id = OLD.on_behalf_of AND delegate_id = OLD.person_id AND revoked_at IS NULL
         AND ends_at > OLD.revoked_at))) THEN
    PERFORM signoff_say('rule 4: eligibility is only ever revoked');
  END IF;
  RETURN NEW;
END $$
--;
DO $$
DECLARE
  name text;
BEGIN
  EXECUTE format('CREATE TRIGGER delegations_no_truncate BEFORE TRUNCATE ON delegations FOR EACH STATEMENT
                  EXECUTE FUNCTION signoff_refuse(%L)', 'rule 1: records are never truncated');
  CREATE TRIGGER delegations_isolation BEFORE INSERT OR UPDATE OR DELETE ON delegations FOR EACH STATEMENT
    EXECUTE FUNCTION signoff_check_isolation();
  FOREACH name IN ARRAY ARRAY['signoff_check_held()', 'signoff_check_held_outcome()', 'signoff_check_held_decision()',
    'signoff_check_sent_back()', 'signoff_check_delegation()', 'signoff_check_delegated()',
    'signoff_check_eligible()'] LOOP
    EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', name, current_schema());
  END LOOP;
END $$
