-- Since 0010, on SQLite: secrets begin unconfirmed and end once; a code is used up once, by somebody enrolled; wrong codes
-- are forgotten only for a right one; what is signed stands beside the code that was used up for it. The PostgreSQL file
-- beside this one says the same.
CREATE TRIGGER signing_secrets_birth BEFORE INSERT ON signing_secrets
WHEN NEW.secret_id IS NOT (SELECT COALESCE(MAX(secret_id), 0) + 1 FROM signing_secrets)
  OR NEW.state <> 'pending' OR NEW.confirmed_at IS NOT NULL
  OR EXISTS (SELECT 1 FROM signing_secrets WHERE person_id = NEW.person_id AND state = 'pending')
  OR NOT EXISTS (SELECT 1 FROM people WHERE person_id = NEW.person_id AND left_at IS NULL)
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: a secret begins unconfirmed, for somebody of the roster'); END
--;
CREATE TRIGGER signing_secrets_change BEFORE UPDATE ON signing_secrets
WHEN NEW.secret_id <> OLD.secret_id OR NEW.person_id <> OLD.person_id OR NEW.made_at <> OLD.made_at
  OR (OLD.confirmed_at IS NOT NULL AND NEW.confirmed_at IS NOT OLD.confirmed_at)
  OR (OLD.state = 'active' AND NEW.state = 'pending')
  OR (OLD.state = 'pending' AND NEW.state = 'active' AND EXISTS (
        SELECT 1 FROM signing_secrets WHERE person_id = OLD.person_id AND state = 'active'))
  OR (OLD.state = 'ended' AND NOT (
        NEW.state = 'ended' AND NEW.ended_at = OLD.ended_at AND OLD.ended_for = 'disowned'
        AND NEW.ended_for = 'recovered'))
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: a secret is confirmed once and ended once'); END
--;
CREATE TRIGGER signing_secrets_no_delete BEFORE DELETE ON signing_secrets
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: a secret is confirmed once and ended once'); END
--;
CREATE TRIGGER used_codes_birth BEFORE INSERT ON used_codes
WHEN EXISTS (SELECT 1 FROM used_codes WHERE person_id = NEW.person_id AND step = NEW.step)
  OR NOT EXISTS (SELECT 1 FROM signing_secrets WHERE person_id = NEW.person_id AND state = 'active')
  OR NOT EXISTS (SELECT 1 FROM people WHERE person_id = NEW.person_id AND left_at IS NULL)
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: a code is used up once, by somebody who is enrolled'); END
--;
CREATE TRIGGER used_codes_no_update BEFORE UPDATE ON used_codes
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: a code is used up once, by somebody who is enrolled'); END
--;
CREATE TRIGGER used_codes_no_delete BEFORE DELETE ON used_codes
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: a code is used up once, by somebody who is enrolled'); END
--;
CREATE TRIGGER code_failures_birth BEFORE INSERT ON code_failures
WHEN NEW.failures <> 1 OR EXISTS (SELECT 1 FROM code_failures WHERE person_id = NEW.person_id)
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: wrong codes are counted, and forgotten for a right one only'); END
--;
CREATE TRIGGER code_failures_change BEFORE UPDATE ON code_failures
WHEN NEW.person_id <> OLD.person_id
  OR NOT (NEW.failures = OLD.failures + 1 AND NEW.looks_again_at >= OLD.looks_again_at)
  AND NOT (NEW.failures = 0 AND EXISTS (
        SELECT 1 FROM used_codes WHERE person_id = NEW.person_id AND used_at = NEW.last_at))
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: wrong codes are counted, and forgotten for a right one only'); END
--;
CREATE TRIGGER code_failures_no_delete BEFORE DELETE ON code_failures
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: wrong codes are counted, and forgotten for a right one only'); END
--;
CREATE TRIGGER decisions_signed BEFORE INSERT ON decisions
WHEN NEW.signature = 'totp' AND NOT EXISTS (
  SELECT 1 FROM used_codes u JOIN review_gates r ON r.review_id = u.review_id
  WHERE u.person_id = NEW.person_id AND u.used_at = NEW.decided_at AND r.gate_id = NEW.gate_id)
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: a signature is a code that was used up for this very review'); END
--;
CREATE TRIGGER held_decisions_signed BEFORE INSERT ON held_decisions
WHEN NEW.signature = 'totp' AND NOT EXISTS (
  SELECT 1 FROM used_codes
  WHERE person_id = NEW.person_id AND used_at = NEW.decided_at AND review_id = NEW.review_id)
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: a signature is a code that was used up for this very review'); END
