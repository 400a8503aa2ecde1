-- Since 0018, on SQLite: what is held is signed where its policy says so, decided by those who are asked or who stand in
-- for them at that moment, and leaves the quarantine as one of them said. The PostgreSQL file beside this one says the
-- same.
CREATE TRIGGER policy_signatures_before_activation BEFORE INSERT ON policy_signatures
WHEN EXISTS (SELECT 1 FROM policy_activations WHERE policy_sha256 = NEW.policy_sha256)
BEGIN SELECT RAISE(ABORT, 'signoff: rule 3: an activated policy is signed as it was'); END
--;
CREATE TRIGGER policy_signatures_no_update BEFORE UPDATE ON policy_signatures
BEGIN SELECT RAISE(ABORT, 'signoff: rule 3: a stored policy is immutable'); END
--;
CREATE TRIGGER policy_signatures_no_delete BEFORE DELETE ON policy_signatures
BEGIN SELECT RAISE(ABORT, 'signoff: rule 3: a stored policy is immutable'); END
--;
CREATE TRIGGER held_decisions_unsigned BEFORE INSERT ON held_decisions
WHEN NEW.signature <> 'totp' AND EXISTS (
  SELECT 1 FROM versions v JOIN reviews r ON r.review_id = NEW.review_id AND r.purpose = 'quarantine'
    JOIN policy_signatures s ON s.policy_sha256 = v.policy_sha256 AND s.place = 'quarantine'
  WHERE v.version_id = NEW.version_id)
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: the quarantine of this policy wants a signature'); END
--;
CREATE TRIGGER held_decisions_people BEFORE INSERT ON held_decisions
WHEN EXISTS (SELECT 1 FROM review_versions WHERE review_id = NEW.review_id AND version_id = NEW.version_id)
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
      AND starts_at <= NEW.decided_at AND NEW.decided_at < ends_at)))
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: what waits is decided by who is asked, or who stands in for them'); END
--;
CREATE TRIGGER events_held BEFORE INSERT ON events
WHEN NEW.from_state = 'quarantined' AND NEW.action IN ('release', 'reject') AND NEW.actor LIKE 'person:%'
  AND (NEW.action = 'reject' OR EXISTS (SELECT 1 FROM people WHERE NEW.actor = 'person:' || person_id))
  AND NEW.reason IS NOT NULL AND EXISTS (
    SELECT 1 FROM versions v
    WHERE v.version_id = NEW.version_id AND v.state = 'quarantined' AND v.round = NEW.round AND NOT EXISTS (
      SELECT 1 FROM review_versions w
        JOIN held_decisions d ON d.review_id = w.review_id AND d.version_id = w.version_id
        JOIN people p ON p.person_id = d.person_id AND p.left_at IS NULL
      WHERE w.version_id = v.version_id AND w.since_seq = v.state_seq AND d.counted AND d.verdict = NEW.action
        AND NEW.actor = 'person:' || d.person_id))
BEGIN SELECT RAISE(ABORT, 'signoff: rule 2: what is held goes on as a person of its review said'); END
