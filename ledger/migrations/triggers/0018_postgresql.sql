-- Since 0018, on PostgreSQL: what is held is signed where its policy says so, decided by those who are asked or who stand
-- in for them at that moment, and leaves the quarantine as one of them said. The SQLite file beside this one says the
-- same.
CREATE FUNCTION signoff_check_policy_signature() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM policies WHERE sha256 = NEW.policy_sha256 FOR SHARE;
  IF EXISTS (SELECT 1 FROM policy_activations WHERE policy_sha256 = NEW.policy_sha256) THEN
    PERFORM signoff_say('rule 3: an activated policy is signed as it was');
  END IF;
  RETURN NEW;
END $$
--;
CREATE TRIGGER policy_signatures_before_activation BEFORE INSERT ON policy_signatures
FOR EACH ROW EXECUTE FUNCTION signoff_check_policy_signature()
--;
CREATE TRIGGER policy_signatures_immutable BEFORE UPDATE OR DELETE ON policy_signatures
FOR EACH ROW EXECUTE FUNCTION signoff_refuse('rule 3: a stored policy is immutable')
--;
CREATE FUNCTION signoff_check_held_signature() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (
       SELECT 1 FROM versions v JOIN reviews r ON r.review_id = NEW.review_id AND r.purpose = 'quarantine'
         JOIN policy_signatures s ON s.policy_sha256 = v.policy_sha256 AND s.place = 'quarantine'
       WHERE v.version_id = NEW.version_id) THEN
    PERFORM signoff_say('rule 4: the quarantine of this policy wants a signature');
  END IF;
  RETURN NEW;
END $$
--;
CREATE TRIGGER held_decisions_unsigned BEFORE INSERT ON held_decisions
FOR EACH ROW WHEN (NEW.signature <> 'totp') EXECUTE FUNCTION signoff_check_held_signature()
--;
CREATE FUNCTION signoff_check_held_people() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM review_versions WHERE review_id = NEW.review_id AND version_id = NEW.version_id)
     AND (NOT EXISTS (
       SELECT 1 FROM review_versions w
         JOIN memberships m ON m.removed_at IS NULL AND (m.group_name = w.owner OR m.group_name IN (
           SELECT group_name FROM rungs
           WHERE gate_id IS NULL AND version_id = w.version_id AND since_seq = w.since_seq AND kind = 'escalate'))
         JOIN people p ON p.person_id = m.person_id AND p.left_at IS NULL
       WHERE w.review_id = NEW.review_id AND w.version_id = NEW.version_id
         AND m.person_id = COALESCE(NEW.on_behalf_of, NEW.person_id))
     OR (NEW.on_behalf_of IS NOT NULL AND NOT EXISTS (
       SELECT 1 FROM delegations
       WHERE principal_id = NEW.on_behalf_of AND delegate_id = NEW.person_id AND revoked_at IS NULL
         AND starts_at <= NEW.decided_at AND NEW.decided_at < ends_at))) THEN
    PERFORM signoff_say('rule 4: what waits is decided by who is asked, or who stands in for them');
  END IF;
  RETURN NEW;
END $$
--;
CREATE TRIGGER held_decisions_people BEFORE INSERT ON held_decisions
FOR EACH ROW EXECUTE FUNCTION signoff_check_held_people()
--;
CREATE FUNCTION signoff_check_left_quarantine() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (
       SELECT 1 FROM versions v
       WHERE v.version_id = NEW.version_id AND v.state = 'quarantined' AND v.round = NEW.round AND NOT EXISTS (
         SELECT 1 FROM review_versions w
           JOIN held_decisions d ON d.review_id = w.review_id AND d.version_id = w.version_id
           JOIN people p ON p.person_id = d.person_id AND p.left_at IS NULL
         WHERE w.version_id = v.version_id AND w.since_seq = v.state_seq AND d.counted AND d.verdict = NEW.action
           AND NEW.actor = 'person:' || d.person_id)) THEN
    PERFORM signoff_say('rule 2: what is held goes on as a person of its review said');
  END IF;
  RETURN NEW;
END $$
--;
CREATE TRIGGER events_held BEFORE INSERT ON events FOR EACH ROW
WHEN (NEW.from_state = 'quarantined' AND NEW.action IN ('release', 'reject') AND NEW.actor LIKE 'person:%'
  AND NEW.reason IS NOT NULL)
EXECUTE FUNCTION signoff_check_left_quarantine()
--;
DO $$
DECLARE
  name text;
BEGIN
  EXECUTE format('CREATE TRIGGER policy_signatures_no_truncate BEFORE TRUNCATE ON policy_signatures FOR EACH STATEMENT
                  EXECUTE FUNCTION signoff_refuse(%L)', 'rule 1: records are never truncated');
  CREATE TRIGGER policy_signatures_isolation BEFORE INSERT OR UPDATE OR DELETE ON policy_signatures FOR EACH STATEMENT
    EXECUTE FUNCTION signoff_check_isolation();
  FOREACH name IN ARRAY ARRAY['signoff_check_policy_signature()', 'signoff_check_held_signature()',
    'signoff_check_held_people()', 'signoff_check_left_quarantine()'] LOOP
    EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', name, current_schema());
  END LOOP;
END $$
