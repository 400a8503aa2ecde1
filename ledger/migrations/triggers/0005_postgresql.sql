-- Since 0005, on PostgreSQL:
-- 1. A statement may append many events. They are checked one by one against the last event, and applied together when
--    all are in; so after one that moves a version only births may follow in the same statement, for whose checks it
--    does not matter what the others of the statement change.
-- 2. Each update of a row leaves a dead one behind, which every later look within the transaction has to pass: the head
--    of the chain is therefore moved by the first statement of a transaction, and by its last event when it commits.
-- 3. People can be forgotten: words are erased with their salts, and who has left may lose name, address and handle.
CREATE OR REPLACE FUNCTION signoff_check_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  last_event record;
  v versions%ROWTYPE;
  refusal text;
BEGIN
  PERFORM 1 FROM chain_head WHERE one = 1 FOR UPDATE;
  SELECT seq, hash, version_id, to_state INTO last_event FROM events ORDER BY seq DESC LIMIT 1;
  IF NEW.seq IS DISTINCT FROM COALESCE(last_event.seq, 0) + 1
     OR position('"prev":"' || COALESCE(last_event.hash, repeat('0', 64)) || '"' IN NEW.body) = 0
     OR NEW.hash IS DISTINCT FROM encode(sha256(convert_to(NEW.body, 'UTF8')), 'hex') THEN
    refusal := 'rule 1: an event must follow the head of the chain';
  ELSIF (NEW.to_state IS NULL) <> (NEW.from_state IS NULL)
     OR (NEW.to_state IS NULL AND EXISTS (SELECT 1 FROM lifecycle WHERE action = NEW.action)) THEN
    refusal := 'rule 2: an action of the lifecycle names the states it leads from and to';
  ELSIF last_event.to_state IS NOT NULL AND NEW.action <> 'submit' AND EXISTS (
          SELECT 1 FROM versions WHERE version_id = last_event.version_id AND state_seq < last_event.seq) THEN
    refusal := 'rule 2: a statement that moves a version moves no other, unless all are submitted';
  END IF;
  IF refusal IS NOT NULL THEN PERFORM signoff_say(refusal); END IF;
  IF NEW.to_state IS NULL THEN
    RETURN NEW;
  END IF;

  SELECT * INTO v FROM versions WHERE version_id = NEW.version_id FOR UPDATE;
  IF NOT EXISTS (SELECT 1 FROM lifecycle
                 WHERE from_state = NEW.from_state AND action = NEW.action AND to_state = NEW.to_state) THEN
    refusal := 'rule 2: this step is not in the lifecycle';
  ELSIF v.version_id IS NULL OR NEW.from_state <> COALESCE(v.state, '') THEN
    refusal := 'rule 2: stale: the version is not in the state that the event starts from';
  ELSIF NEW.round IS DISTINCT FROM v.round + (CASE WHEN NEW.action IN ('reopen', 'review_again') THEN 1 ELSE 0 END) THEN
    refusal := 'rule 2: only reopen and review_again begin a new round';
  ELSIF COALESCE(NEW.policy_sha256, v.policy_sha256) <> v.policy_sha256 AND (
          NEW.action NOT IN ('reopen', 'review_again')
          OR NOT EXISTS (SELECT 1 FROM policy_activations WHERE policy_sha256 = NEW.policy_sha256)) THEN
    refusal := 'rule 2: only reopen and review_again pin another policy, one that was activated';
  ELSIF NEW.action = 'submit'
     AND NOT EXISTS (SELECT 1 FROM custody WHERE version_id = v.version_id AND released_at IS NULL) THEN
    refusal := 'rule 2: submit needs the bytes in custody';
  ELSIF (NEW.action IN ('withdraw', 'release', 'reopen', 'restore', 'review_again', 'quarantine')
         OR (NEW.action = 'reject' AND NEW.from_state <> 'in_review'))
     AND COALESCE(trim(NEW.reason), '') = '' THEN
    refusal := 'rule 2: this action needs a reason';
  ELSIF NEW.action = 'reopen' AND EXISTS (
          SELECT 1 FROM decisions d JOIN gates g ON g.gate_id = d.gate_id
          WHERE g.version_id = v.version_id AND g.round = v.round AND d.counted AND d.verdict = 'reject'
            AND NEW.actor = 'person:' || d.person_id) THEN
    refusal := 'rule 2: who rejected a version does not reopen it';
  ELSIF NEW.action = 'release' AND (
          NOT EXISTS (SELECT 1 FROM people WHERE NEW.actor = 'person:' || person_id AND left_at IS NULL)
          OR EXISTS (SELECT 1 FROM versions n WHERE n.asset_id = v.asset_id AND n.arrived_seq > v.arrived_seq)) THEN
    refusal := 'rule 2: release is for a person, while there is no newer version';
  ELSIF NEW.action = 'supersede' AND NOT EXISTS (
          SELECT 1 FROM versions n WHERE n.asset_id = v.asset_id AND n.arrived_seq > v.arrived_seq
            AND n.state NOT IN ('submitted', 'quarantined')) THEN
    refusal := 'rule 2: supersede needs a newer version that has left screening';
  ELSIF NEW.action = 'review_again' AND EXISTS (
          SELECT 1 FROM versions n WHERE n.asset_id = v.asset_id AND n.arrived_seq > v.arrived_seq
            AND n.state IN ('in_review', 'approved', 'published')) THEN
    refusal := 'rule 2: a version is not reviewed again once a newer one has left screening';
  ELSIF NEW.action = 'restore' AND NEW.to_state IS DISTINCT FROM v.archived_from THEN
    refusal := 'rule 2: restore leads to the state before archiving';
  ELSIF NEW.action = 'approve' AND NEW.from_state = 'in_review' AND (
          NOT EXISTS (SELECT 1 FROM gates WHERE version_id = v.version_id AND round = v.round)
          OR EXISTS (SELECT 1 FROM gates WHERE version_id = v.version_id AND round = v.round
                       AND outcome IS DISTINCT FROM 'passed')) THEN
    refusal := 'rule 3: approve needs every gate of the round passed';
  ELSIF NEW.action = 'approve' AND NEW.from_state = 'submitted' AND (
          NEW.policy_sha256 IS DISTINCT FROM v.policy_sha256
          OR NOT EXISTS (SELECT 1 FROM policy_rules WHERE policy_sha256 = v.policy_sha256 AND rule = NEW.rule)) THEN
    refusal := 'rule 3: automatic approval needs a rule of the pinned policy';
  ELSIF NEW.to_state = 'in_review' AND NOT EXISTS (
          SELECT 1 FROM gates WHERE version_id = v.version_id AND round = NEW.round
            AND opened_at IS NOT NULL AND outcome IS NULL) THEN
    refusal := 'rule 3: in_review needs an open gate of this round';
  ELSIF NEW.from_state = 'in_review' AND NEW.action IN ('reject', 'request_changes') AND NOT EXISTS (
          SELECT 1 FROM gates WHERE version_id = v.version_id AND round = v.round
            AND outcome = CASE NEW.action WHEN 'reject' THEN 'rejected' ELSE 'changes_requested' END) THEN
    refusal := 'rule 3: a negative outcome needs the gate that gave it';
  ELSIF EXISTS (SELECT 1 FROM effects WHERE version_id = v.version_id AND status = 'open') THEN
    refusal := 'rule 7: an open effect must be done or cancelled first';
  ELSIF NEW.action = 'dispose' AND (
          EXISTS (SELECT 1 FROM holds WHERE version_id = v.version_id AND released_at IS NULL)
          OR EXISTS (SELECT 1 FROM retentions WHERE version_id = v.version_id AND until_at > NEW.at)) THEN
    refusal := 'rule 6: what is held or retained is not disposed of';
  ELSIF (NEW.action IN ('publish', 'republish', 'archive', 'restore', 'dispose')
         OR (NEW.action = 'withdraw' AND NEW.reason <> 'superseded'))
     AND NOT EXISTS (
          SELECT 1 FROM effects
          WHERE effect_id = NEW.effect_id AND version_id = v.version_id AND status = 'done' AND sha256 = v.sha256
            AND kind = CASE NEW.action WHEN 'republish' THEN 'publish' ELSE NEW.action END) THEN
    refusal := 'rule 5: this action needs its own effect, done, for these bytes';
  ELSIF NEW.effect_id IS NOT NULL
     AND EXISTS (SELECT 1 FROM events WHERE effect_id = NEW.effect_id AND to_state IS NOT NULL) THEN
    refusal := 'rule 5: an effect brings one change of state';
  ELSIF NEW.action = 'withdraw' AND NEW.reason = 'superseded' AND NOT EXISTS (
          SELECT 1 FROM versions n JOIN effects e
            ON e.version_id = n.version_id AND e.kind = 'publish' AND e.status = 'done'
          WHERE n.asset_id = v.asset_id AND n.arrived_seq > v.arrived_seq AND n.state = 'approved') THEN
    refusal := 'rule 5: superseded needs a newer version whose publish effect is done';
  ELSIF NEW.action = 'republish' AND COALESCE((
          SELECT reason FROM events WHERE version_id = v.version_id AND action = 'withdraw'
          ORDER BY seq DESC LIMIT 1), '') NOT ILIKE 'rights%' THEN
    refusal := 'rule 5: only what was withdrawn for its rights is published again';
  ELSIF NEW.to_state = 'published'
     AND EXISTS (SELECT 1 FROM versions n WHERE n.asset_id = v.asset_id AND n.state = 'published') THEN
    refusal := 'rule 5: at most one version of an asset is published';
  END IF;
  IF refusal IS NOT NULL THEN PERFORM signoff_say(refusal); END IF;
  RETURN NEW;
END $$
--;
CREATE OR REPLACE FUNCTION signoff_apply_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE chain_head SET
    (seq, hash) = (SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1), touched_by = txid_current()
  WHERE one = 1 AND touched_by <> txid_current() AND EXISTS (SELECT 1 FROM appended);
  UPDATE versions v SET
    state = e.to_state, state_seq = e.seq, state_since = e.at, round = e.round,
    arrived_seq = CASE WHEN e.action IN ('submit', 'reopen') THEN e.seq ELSE v.arrived_seq END,
    policy_sha256 = COALESCE(e.policy_sha256, v.policy_sha256),
    archived_from = CASE WHEN e.action = 'archive' THEN e.from_state END
  FROM appended e
  WHERE v.version_id = e.version_id AND e.to_state IS NOT NULL;
  RETURN NULL;
END $$
--;
DROP TRIGGER events_apply ON events
--;
CREATE TRIGGER events_apply AFTER INSERT ON events REFERENCING NEW TABLE AS appended
FOR EACH STATEMENT EXECUTE FUNCTION signoff_apply_event()
--;
CREATE OR REPLACE FUNCTION signoff_check_head() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.one <> 1
     OR NOT EXISTS (SELECT 1 FROM events WHERE seq = NEW.seq AND hash = NEW.hash)
     OR EXISTS (SELECT 1 FROM events WHERE seq > NEW.seq) THEN
    PERFORM signoff_say('rule 1: the head of the chain follows its events');
  END IF;
  RETURN NEW;
END $$
--;
CREATE FUNCTION signoff_settle_head() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE chain_head SET touched_by = 0, (seq, hash) = (SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1)
  WHERE one = 1;
  RETURN NULL;
END $$
--;
CREATE CONSTRAINT TRIGGER chain_head_settles AFTER UPDATE ON chain_head DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW WHEN (NEW.touched_by <> 0) EXECUTE FUNCTION signoff_settle_head()
--;
CREATE OR REPLACE FUNCTION signoff_check_note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.note_id IS DISTINCT FROM OLD.note_id OR NEW.salt <> '' OR NEW.body IS NOT NULL OR NEW.erased_at IS NULL THEN
    PERFORM signoff_say('rule 1: what people said is only ever erased');
  END IF;
  RETURN NEW;
END $$
--;
CREATE OR REPLACE FUNCTION signoff_check_person() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (NEW.person_id, NEW.joined_at) IS DISTINCT FROM (OLD.person_id, OLD.joined_at)
     OR OLD.handle = 'forgotten person ' || OLD.person_id
     OR (NEW.handle IS DISTINCT FROM OLD.handle AND NOT (
           NEW.handle = 'forgotten person ' || OLD.person_id
           AND NEW.name IS NULL AND NEW.email IS NULL AND NEW.left_at IS NOT NULL)) THEN
    PERFORM signoff_say('rule 4: a person leaves; the record stays');
  END IF;
  RETURN NEW;
END $$
--;
DO $$
DECLARE
  f regprocedure;
BEGIN
  FOR f IN SELECT oid::regprocedure FROM pg_proc
           WHERE pronamespace = current_schema()::regnamespace AND proname LIKE 'signoff\_%' LOOP
    EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', f, current_schema());
  END LOOP;
END $$
