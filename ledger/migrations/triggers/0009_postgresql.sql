-- Since 0009, on PostgreSQL: a notice is born waiting and untried; its content stays; it is sent in a message over a
-- channel, or given up, once. The SQLite file beside this one says the same.
CREATE OR REPLACE FUNCTION signoff_check_notice() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (CASE TG_OP WHEN 'INSERT' THEN NEW.state <> 'waiting' OR NEW.attempts <> 0 OR NEW.message IS NOT NULL
        OR NEW.channel IS NOT NULL OR NEW.claimed_until IS NOT NULL
     ELSE (NEW.notice_id, NEW.person_id, NEW.kind, NEW.occasion, NEW.review_id, NEW.version_id, NEW.body, NEW.created_at)
          IS DISTINCT FROM
          (OLD.notice_id, OLD.person_id, OLD.kind, OLD.occasion, OLD.review_id, OLD.version_id, OLD.body, OLD.created_at)
          OR OLD.state <> 'waiting' OR NEW.attempts < OLD.attempts END) THEN
    PERFORM signoff_say('rule 4: a notice is written once and closed once');
  END IF;
  RETURN NEW;
END $$
--;
CREATE FUNCTION signoff_check_sent() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.state = 'sent' AND (NEW.message IS NULL OR NEW.channel IS NULL OR NEW.attempts = 0) THEN
    PERFORM signoff_say('rule 4: what was sent names its message and its channel');
  END IF;
  RETURN NEW;
END $$
--;
CREATE TRIGGER notices_sent BEFORE UPDATE ON notices FOR EACH ROW EXECUTE FUNCTION signoff_check_sent()
--;
DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['signoff_check_notice()', 'signoff_check_sent()'] LOOP
    EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', name, current_schema());
  END LOOP;
END $$
