-- Since 0014, on PostgreSQL: a waiver stands beside an approval and names what may be waived, and nothing is published
-- whose rights block unless everybody who approved at the gate that answers for rights has waived all of it. The SQLite
-- file beside this one says the same. What people approved there before is taken as what it was: a waiver of what was
-- shown, as far as it may be waived.
INSERT INTO waivers (decision_id, codes)
SELECT d.decision_id, json_agg(r ->> 'code' ORDER BY r ->> 'code')::text
FROM decisions d JOIN gates g ON g.gate_id = d.gate_id
  JOIN screenings s ON s.version_id = g.version_id AND s.round = g.round
  JOIN clearances c ON c.clearance_id = s.clearance_id, jsonb_array_elements(c.reasons::jsonb) r
WHERE d.counted AND d.verdict = 'approve' AND s.clearance IN ('unknown', 'restricted')
  AND s.route::jsonb #>> '{blocked,result}' = 'true' AND s.route::jsonb #>> '{blocked,gate}' = g.stage
  AND r ->> 'code' IN ('no_licence', 'uses_not_counted', 'unknown_code', 'metadata_unparsed', 'credit_line_missing',
    'model_release_missing', 'property_release_missing')
GROUP BY d.decision_id
--;
CREATE FUNCTION signoff_check_waiver() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  named jsonb := '[]';
BEGIN
  PERFORM 1 FROM gates g JOIN decisions d ON d.gate_id = g.gate_id WHERE d.decision_id = NEW.decision_id FOR UPDATE OF g;
  IF NEW.codes IS JSON ARRAY THEN
    named := NEW.codes::jsonb;
  END IF;
  IF named = '[]'
     OR NOT EXISTS (
       SELECT 1 FROM decisions d JOIN gates g ON g.gate_id = d.gate_id
       WHERE d.decision_id = NEW.decision_id AND d.verdict = 'approve' AND (NOT d.counted OR g.outcome IS NULL))
     OR EXISTS (SELECT 1 FROM jsonb_array_elements(named) code WHERE code NOT IN ('"no_licence"',
       '"uses_not_counted"', '"unknown_code"', '"metadata_unparsed"', '"credit_line_missing"',
       '"model_release_missing"', '"property_release_missing"')) THEN
    PERFORM signoff_say('rule 5: a waiver stands beside an approval and names what may be waived');
  END IF;
  RETURN NEW;
END $$
--;
CREATE TRIGGER waivers_birth BEFORE INSERT ON waivers FOR EACH ROW EXECUTE FUNCTION signoff_check_waiver()
--;
CREATE TRIGGER waivers_final BEFORE UPDATE OR DELETE ON waivers
FOR EACH ROW EXECUTE FUNCTION signoff_refuse('rule 4: a decision is final')
--;
CREATE FUNCTION signoff_check_rights() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (
    SELECT 1 FROM versions v
      JOIN screenings s ON s.version_id = v.version_id AND s.round = v.round
      JOIN clearances c ON c.clearance_id = s.clearance_id
      JOIN clearances l ON l.clearance_id = (SELECT MAX(clearance_id) FROM clearances WHERE version_id = v.version_id)
    WHERE v.version_id = NEW.version_id
      AND (l.status IN ('conflict', 'expired') OR (
        s.route::jsonb #>> '{blocked,result}' = 'true' AND l.status = c.status AND (
          l.digest <> c.digest OR l.intent <> c.intent
          OR NOT EXISTS (
            SELECT 1 FROM gates g JOIN decisions d ON d.gate_id = g.gate_id AND d.counted AND d.verdict = 'approve'
            WHERE g.version_id = v.version_id AND g.round = v.round AND g.outcome = 'passed'
              AND g.stage = s.route::jsonb #>> '{blocked,gate}')
          OR EXISTS (
            SELECT 1 FROM gates g JOIN decisions d ON d.gate_id = g.gate_id AND d.counted AND d.verdict = 'approve'
              LEFT JOIN waivers w ON w.decision_id = d.decision_id, jsonb_array_elements(l.reasons::jsonb) r
            WHERE g.version_id = v.version_id AND g.round = v.round
              AND g.stage = s.route::jsonb #>> '{blocked,gate}'
              AND r ->> 'code' NOT IN ('licence_ending', 'file_expiring', 'licensed')
              AND NOT jsonb_exists(COALESCE(w.codes, '[]')::jsonb, r ->> 'code'))))))
  THEN
    PERFORM signoff_say('rule 5: what its rights block is published only as far as it was waived');
  END IF;
  RETURN NEW;
END $$
--;
CREATE TRIGGER events_rights BEFORE INSERT ON events FOR EACH ROW WHEN (NEW.to_state = 'published')
EXECUTE FUNCTION signoff_check_rights()
--;
DO $$
DECLARE
  name text;
BEGIN
  EXECUTE format('CREATE TRIGGER waivers_no_truncate BEFORE TRUNCATE ON waivers FOR EACH STATEMENT
                  EXECUTE FUNCTION signoff_refuse(%L)', 'rule 1: records are never truncated');
  CREATE TRIGGER waivers_isolation BEFORE INSERT OR UPDATE OR DELETE ON waivers FOR EACH STATEMENT
    EXECUTE FUNCTION signoff_check_isolation();
  FOREACH name IN ARRAY ARRAY['signoff_check_waiver()', 'signoff_check_rights()'] LOOP
    EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', name, current_schema());
  END LOOP;
END $$
