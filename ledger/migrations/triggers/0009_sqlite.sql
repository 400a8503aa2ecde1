-- Since 0009, on SQLite: a notice is born waiting and untried; its content stays; it is sent in a message over a channel,
-- or given up, once. The PostgreSQL file beside this one says the same.
CREATE TRIGGER notices_birth BEFORE INSERT ON notices
WHEN NEW.state <> 'waiting' OR NEW.attempts <> 0 OR NEW.message IS NOT NULL OR NEW.channel IS NOT NULL
  OR NEW.claimed_until IS NOT NULL OR EXISTS (
  SELECT 1 FROM notices WHERE notice_id = NEW.notice_id OR (person_id = NEW.person_id AND occasion = NEW.occasion))
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: a notice is written once and closed once'); END
--;
CREATE TRIGGER notices_change BEFORE UPDATE ON notices
WHEN NEW.notice_id <> OLD.notice_id OR NEW.person_id <> OLD.person_id OR NEW.kind <> OLD.kind
  OR NEW.occasion <> OLD.occasion OR NEW.review_id IS NOT OLD.review_id OR NEW.version_id IS NOT OLD.version_id
  OR NEW.body <> OLD.body OR NEW.created_at <> OLD.created_at OR OLD.state <> 'waiting'
  OR NEW.attempts < OLD.attempts
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: a notice is written once and closed once'); END
--;
CREATE TRIGGER notices_sent BEFORE UPDATE ON notices
WHEN NEW.state = 'sent' AND (NEW.message IS NULL OR NEW.channel IS NULL OR NEW.attempts = 0)
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: what was sent names its message and its channel'); END
--;
CREATE TRIGGER notices_no_delete BEFORE DELETE ON notices
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: a notice is written once and closed once'); END
