-- Since 0014, on SQLite: a waiver stands beside an approval and names what may be waived, and nothing is published whose
-- rights block unless everybody who approved at the gate that answers for rights has waived all of it. The PostgreSQL
-- file beside this one says the same. What people approved there before is taken as what it was: a waiver of what was
-- shown, as far as it may be waived.
INSERT INTO waivers (decision_id, codes)
SELECT decision_id, json_group_array(code) FROM (
  SELECT d.decision_id, json_extract(r.value, '$.code') AS code
  FROM decisions d JOIN gates g ON g.gate_id = d.gate_id
    JOIN screenings s ON s.version_id = g.version_id AND s.round = g.round
    JOIN clearances c ON c.clearance_id = s.clearance_id, json_each(c.reasons) r
  WHERE d.counted AND d.verdict = 'approve' AND s.clearance IN ('unknown', 'restricted')
    AND json_extract(s.route, '$.blocked.result') AND json_extract(s.route, '$.blocked.gate') = g.stage
    AND json_extract(r.value, '$.code') IN ('no_licence', 'uses_not_counted', 'unknown_code', 'metadata_unparsed',
      'credit_line_missing', 'model_release_missing', 'property_release_missing')
  ORDER BY 1, 2)
GROUP BY decision_id
--;
CREATE TRIGGER waivers_birth BEFORE INSERT ON waivers
WHEN EXISTS (SELECT 1 FROM waivers WHERE decision_id = NEW.decision_id)
  OR NOT EXISTS (
    SELECT 1 FROM decisions d JOIN gates g ON g.gate_id = d.gate_id
    WHERE d.decision_id = NEW.decision_id AND d.verdict = 'approve' AND (NOT d.counted OR g.outcome IS NULL))
  OR CASE WHEN json_valid(NEW.codes) THEN json_type(NEW.codes) <> 'array' OR json_array_length(NEW.codes) = 0
       OR EXISTS (SELECT 1 FROM json_each(NEW.codes) WHERE value NOT IN ('no_licence', 'uses_not_counted',
            'unknown_code', 'metadata_unparsed', 'credit_line_missing', 'model_release_missing',
            'property_release_missing')) ELSE 1 END
BEGIN SELECT RAISE(ABORT, 'signoff: rule 5: a waiver stands beside an approval and names what may be waived'); END
--;
CREATE TRIGGER waivers_no_update BEFORE UPDATE ON waivers
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: a decision is final'); END
--;
CREATE TRIGGER waivers_no_delete BEFORE DELETE ON waivers
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: a decision is final'); END
--;
CREATE TRIGGER events_rights BEFORE INSERT ON events
WHEN NEW.to_state = 'published' AND EXISTS (
  SELECT 1 FROM versions v
    JOIN screenings s ON s.version_id = v.version_id AND s.round = v.round
    JOIN clearances c ON c.clearance_id = s.clearance_id
    JOIN clearances l ON l.clearance_id = (SELECT MAX(clearance_id) FROM clearances WHERE version_id = v.version_id)
  WHERE v.version_id = NEW.version_id
    AND (l.status IN ('conflict', 'expired') OR (
      json_extract(s.route, '$.blocked.result') AND l.status = c.status AND (
        l.digest <> c.digest OR l.intent <> c.intent
        OR NOT EXISTS (
          SELECT 1 FROM gates g JOIN decisions d ON d.gate_id = g.gate_id AND d.counted AND d.verdict = 'approve'
          WHERE g.version_id = v.version_id AND g.round = v.round AND g.outcome = 'passed'
            AND g.stage = json_extract(s.route, '$.blocked.gate'))
        OR EXISTS (
          SELECT 1 FROM gates g JOIN decisions d ON d.gate_id = g.gate_id AND d.counted AND d.verdict = 'approve'
            LEFT JOIN waivers w ON w.decision_id = d.decision_id, json_each(l.reasons) r
          WHERE g.version_id = v.version_id AND g.round = v.round
            AND g.stage = json_extract(s.route, '$.blocked.gate')
            AND json_extract(r.value, '$.code') NOT IN ('licence_ending', 'file_expiring', 'licensed')
            AND json_extract(r.value, '$.code') NOT IN (SELECT value FROM json_each(COALESCE(w.codes, '[]'))))))))
BEGIN SELECT RAISE(ABORT, 'signoff: rule 5: what its rights block is published only as far as it was waived'); END
