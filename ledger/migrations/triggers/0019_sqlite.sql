DROP TRIGGER gate_eligible_change
--;
CREATE TRIGGER gate_eligible_change BEFORE UPDATE ON gate_eligible
WHEN NEW.gate_id <> OLD.gate_id OR NEW.person_id <> OLD.person_id OR NEW.on_behalf_of <> OLD.on_behalf_of
  OR NEW.via <> OLD.via OR NEW.added_at <> OLD.added_at
  OR (OLD.revoked_at IS NOT NULL AND (NEW.revoked_at IS NOT NULL OR NOT CASE OLD.via
    WHEN 'delegation' THEN EXISTS (
      SELECT 1 FROM delegations
      WHERE principal_id = OLD.on_behalf_of AND delegate_id = OLD.person_id AND revoked_at IS NULL
        AND ends_at > OLD.revoked_at)
    ELSE EXISTS (
      SELECT 1 FROM memberships
      WHERE person_id = OLD.person_id AND removed_at IS NULL AND added_at > OLD.revoked_at) END))
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: eligibility is only ever revoked'); END
