-- Since 0011, on SQLite: what waits by itself is held or was sent back, and is decided once, by what a person said; a
-- person reopens what nothing newer has followed; a part is handed over for a time, to one person who keeps their own.
-- The PostgreSQL file beside this one says the same.
DROP TRIGGER review_versions_birth
--;
CREATE TRIGGER review_versions_birth BEFORE INSERT ON review_versions
WHEN NEW.outcome IS NOT NULL
  OR EXISTS (SELECT 1 FROM review_versions WHERE (review_id = NEW.review_id AND position = NEW.position)
               OR (version_id = NEW.version_id AND since_seq = NEW.since_seq))
  OR NOT EXISTS (SELECT 1 FROM versions v JOIN reviews r ON r.review_id = NEW.review_id
                 WHERE v.version_id = NEW.version_id AND v.state_seq = NEW.since_seq
                   AND v.state = CASE r.purpose WHEN 'quarantine' THEN 'quarantined'
                                                WHEN 'changes_requested' THEN 'changes_requested' END)
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: a version is put before its people once, while it waits'); END
--;
DROP TRIGGER review_versions_change
--;
CREATE TRIGGER review_versions_change BEFORE UPDATE ON review_versions
WHEN NEW.review_id <> OLD.review_id OR NEW.position <> OLD.position OR NEW.version_id <> OLD.version_id
  OR NEW.since_seq <> OLD.since_seq OR NEW.owner <> OLD.owner OR OLD.outcome IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: what waits is decided once'); END
--;
CREATE TRIGGER review_versions_outcome BEFORE UPDATE ON review_versions
WHEN OLD.outcome IS NULL AND NEW.outcome IS NOT NULL AND NOT EXISTS (
  SELECT 1 FROM held_decisions
  WHERE review_id = NEW.review_id AND version_id = NEW.version_id AND counted
    AND verdict = CASE NEW.outcome WHEN 'released' THEN 'release' WHEN 'reopened' THEN 'reopen' ELSE 'reject' END)
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: what waits ends as a person said'); END
--;
DROP TRIGGER review_versions_no_delete
--;
CREATE TRIGGER review_versions_no_delete BEFORE DELETE ON review_versions
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: what waits is decided once'); END
--;
DROP TRIGGER held_decisions_birth
--;
CREATE TRIGGER held_decisions_birth BEFORE INSERT ON held_decisions
WHEN NEW.decision_id IS NOT (SELECT COALESCE(MAX(decision_id), 0) + 1 FROM held_decisions)
  OR NOT EXISTS (
    SELECT 1 FROM review_versions w JOIN reviews r ON r.review_id = w.review_id
      JOIN versions v ON v.version_id = w.version_id
    WHERE w.review_id = NEW.review_id AND w.version_id = NEW.version_id
      AND (NEW.verdict = 'reject' OR (r.purpose = 'quarantine' AND NEW.verdict = 'release')
           OR (r.purpose = 'changes_requested' AND NEW.verdict = 'reopen'))
      AND (NOT NEW.counted OR (w.outcome IS NULL AND v.state_seq = w.since_seq AND v.sha256 = NEW.sha256)))
  OR (NEW.counted AND EXISTS (SELECT 1 FROM held_decisions
        WHERE review_id = NEW.review_id AND version_id = NEW.version_id AND counted))
  OR NOT EXISTS (SELECT 1 FROM people WHERE person_id = NEW.person_id AND left_at IS NULL)
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: a decision on what waits is final, by a person, on what was shown'); END
--;
CREATE TRIGGER events_sent_back BEFORE INSERT ON events
WHEN NEW.actor LIKE 'person:%' AND NEW.from_state = 'changes_requested' AND NEW.action IN ('reopen', 'reject')
  AND NOT EXISTS (
    SELECT 1 FROM versions v
      JOIN review_versions w ON w.version_id = v.version_id AND w.since_seq = v.state_seq
      JOIN held_decisions d ON d.review_id = w.review_id AND d.version_id = v.version_id
      JOIN people p ON p.person_id = d.person_id AND p.left_at IS NULL
    WHERE v.version_id = NEW.version_id AND d.counted AND d.verdict = NEW.action
      AND NEW.actor = 'person:' || d.person_id
      AND (NEW.action = 'reject' OR NOT EXISTS (
        SELECT 1 FROM versions n WHERE n.asset_id = v.asset_id AND n.arrived_seq > v.arrived_seq)))
BEGIN
  SELECT RAISE(ABORT, 'signoff: rule 2: what was sent back goes on as a person of its review said, if nothing is newer');
END
--;
CREATE TRIGGER delegations_birth BEFORE INSERT ON delegations
WHEN NEW.revoked_at IS NOT NULL OR NEW.principal_id = NEW.delegate_id OR NEW.starts_at >= NEW.ends_at
  OR NEW.delegation_id IS NOT (SELECT COALESCE(MAX(delegation_id), 0) + 1 FROM delegations)
  OR (SELECT COUNT(*) FROM people WHERE person_id IN (NEW.principal_id, NEW.delegate_id) AND left_at IS NULL) < 2
  OR EXISTS (
    SELECT 1 FROM delegations d
    WHERE d.revoked_at IS NULL AND d.starts_at < NEW.ends_at AND NEW.starts_at < d.ends_at
      AND (d.principal_id IN (NEW.principal_id, NEW.delegate_id) OR d.delegate_id = NEW.principal_id))
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: a part is handed to one person at a time, who keeps their own'); END
--;
CREATE TRIGGER delegations_end_once BEFORE UPDATE ON delegations
WHEN NEW.delegation_id <> OLD.delegation_id OR NEW.principal_id <> OLD.principal_id
  OR NEW.delegate_id <> OLD.delegate_id OR NEW.starts_at <> OLD.starts_at OR NEW.ends_at <> OLD.ends_at
  OR OLD.revoked_at IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: a delegation is ended once; the record stays'); END
--;
CREATE TRIGGER delegations_no_delete BEFORE DELETE ON delegations
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: a delegation is ended once; the record stays'); END
--;
CREATE TRIGGER gate_eligible_delegated BEFORE INSERT ON gate_eligible
WHEN (NEW.via = 'delegation') <> (NEW.person_id <> NEW.on_behalf_of)
  OR (NEW.via = 'delegation' AND NOT EXISTS (
    SELECT 1 FROM delegations
    WHERE principal_id = NEW.on_behalf_of AND delegate_id = NEW.person_id AND revoked_at IS NULL))
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: who stands for somebody was handed their part'); END
--;
DROP TRIGGER gate_eligible_change
--;
CREATE TRIGGER gate_eligible_change BEFORE UPDATE ON gate_eligible
WHEN NEW.gate_id <> OLD.gate_id OR NEW.person_id <> OLD.person_id OR NEW.on_behalf_of <> OLD.on_behalf_of
  OR NEW.via <> OLD.via OR NEW.added_at <> OLD.added_at
  OR (OLD.revoked_at IS NOT NULL AND (NEW.revoked_at IS NOT NULL OR OLD.via <> 'delegation' OR NOT EXISTS (
    SELECT 1 FROM delegations
    WHERE principal_id = OLD.on_behalf_of AND delegate_id = OLD.person_id AND revoked_at IS NULL
      AND ends_at > OLD.revoked_at)))
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: eligibility is only ever revoked'); END
