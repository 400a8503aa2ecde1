-- What the ledger enforces by itself, on PostgreSQL. The SQLite file beside this one says the same.
-- Statements are separated by a line that holds only `--;`. Every refusal begins with "signoff:" and names the rule.
-- Rows that a rule depends on are locked before they are read: READ COMMITTED alone would let two transactions each see
-- the other's past. The head of the chain is locked first by every writer, so these locks rarely wait.

CREATE FUNCTION signoff_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'signoff: %', TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation';
END $$
--;
-- Rules 1, 2, 3, 5, 7: events -------------------------------------------------------------------------------------------
CREATE FUNCTION signoff_check_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  head chain_head%ROWTYPE;
  v versions%ROWTYPE;
  refusal text;
BEGIN
  SELECT * INTO head FROM chain_head WHERE one = 1 FOR UPDATE;
  IF NEW.seq IS DISTINCT FROM head.seq + 1
     OR position('"prev":"' || head.hash || '"' IN NEW.body) = 0
     OR NEW.hash IS DISTINCT FROM encode(sha256(convert_to(NEW.body, 'UTF8')), 'hex') THEN
    refusal := 'rule 1: an event must follow the head of the chain';
  ELSIF (NEW.to_state IS NULL) <> (NEW.from_state IS NULL)
     OR (NEW.to_state IS NULL AND EXISTS (SELECT 1 FROM lifecycle WHERE action = NEW.action)) THEN
    refusal := 'rule 2: an action of the lifecycle names the states it leads from and to';
  END IF;
  IF refusal IS NOT NULL THEN
    RAISE EXCEPTION 'signoff: %', refusal USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  IF NEW.to_state IS NULL THEN
    RETURN NEW;
  END IF;

  SELECT * INTO v FROM versions WHERE version_id = NEW.version_id FOR UPDATE;
  IF NOT EXISTS (SELECT 1 FROM lifecycle
                 WHERE from_state = NEW.from_state AND action = NEW.action AND to_state = NEW.to_state) THEN
    refusal := 'rule 2: this step is not in the lifecycle';
  ELSIF v.version_id IS NULL OR NEW.from_state IS DISTINCT FROM COALESCE(v.state, '') THEN
    refusal := 'rule 2: stale: the version is not in the state that the event starts from';
  ELSIF NEW.round IS DISTINCT FROM v.round + (CASE WHEN NEW.action IN ('reopen', 'review_again') THEN 1 ELSE 0 END) THEN
    refusal := 'rule 2: only reopen and review_again begin a new round';
  ELSIF NEW.action = 'submit'
     AND NOT EXISTS (SELECT 1 FROM custody WHERE version_id = NEW.version_id AND released_at IS NULL) THEN
    refusal := 'rule 2: submit needs the bytes in custody';
  ELSIF (NEW.action IN ('withdraw', 'release', 'reopen', 'restore', 'review_again', 'quarantine')
         OR (NEW.action = 'reject' AND NEW.from_state <> 'in_review'))
     AND COALESCE(trim(NEW.reason), '') = '' THEN
    refusal := 'rule 2: this action needs a reason';
  ELSIF NEW.action = 'release' AND (NEW.actor NOT LIKE 'person:%' OR EXISTS (
          SELECT 1 FROM versions n WHERE n.asset_id = v.asset_id AND n.number > v.number)) THEN
    refusal := 'rule 2: release is for a person, while there is no newer version';
  ELSIF NEW.action = 'supersede' AND NOT EXISTS (
          SELECT 1 FROM versions n WHERE n.asset_id = v.asset_id AND n.number > v.number
            AND n.state IS NOT NULL AND n.state NOT IN ('submitted', 'quarantined')) THEN
    refusal := 'rule 2: supersede needs a newer version that has left screening';
  ELSIF NEW.action = 'restore' AND NEW.to_state IS DISTINCT FROM v.archived_from THEN
    refusal := 'rule 2: restore leads to the state before archiving';
  ELSIF NEW.action = 'approve' AND NEW.from_state = 'in_review' AND (
          NOT EXISTS (SELECT 1 FROM gates WHERE version_id = NEW.version_id AND round = NEW.round)
          OR EXISTS (SELECT 1 FROM gates WHERE version_id = NEW.version_id AND round = NEW.round
                       AND outcome IS DISTINCT FROM 'passed')) THEN
    refusal := 'rule 3: approve needs every gate of the round passed';
  ELSIF NEW.action = 'approve' AND NEW.from_state = 'submitted' AND NOT EXISTS (
          SELECT 1 FROM policy_rules r WHERE r.policy_sha256 = v.policy_sha256 AND r.rule = NEW.rule
            AND v.policy_sha256 = NEW.policy_sha256) THEN
    refusal := 'rule 3: automatic approval needs a rule of the pinned policy';
  ELSIF NEW.to_state = 'in_review' AND NOT EXISTS (
          SELECT 1 FROM gates WHERE version_id = NEW.version_id AND round = NEW.round
            AND opened_at IS NOT NULL AND outcome IS NULL) THEN
    refusal := 'rule 3: in_review needs an open gate of this round';
  ELSIF NEW.from_state = 'in_review' AND NEW.action IN ('reject', 'request_changes') AND NOT EXISTS (
          SELECT 1 FROM gates WHERE version_id = NEW.version_id AND round = NEW.round
            AND outcome = CASE NEW.action WHEN 'reject' THEN 'rejected' ELSE 'changes_requested' END) THEN
    refusal := 'rule 3: a negative outcome needs the gate that gave it';
  ELSIF EXISTS (SELECT 1 FROM effects WHERE version_id = NEW.version_id AND status = 'open') THEN
    refusal := 'rule 7: an open effect must be done or cancelled first';
  ELSIF (NEW.action IN ('publish', 'republish', 'archive', 'restore', 'dispose')
         OR (NEW.action = 'withdraw' AND NEW.reason <> 'superseded'))
     AND NOT EXISTS (
          SELECT 1 FROM effects e
          WHERE e.effect_id = NEW.effect_id AND e.version_id = NEW.version_id AND e.status = 'done'
            AND e.kind = CASE NEW.action WHEN 'republish' THEN 'publish' ELSE NEW.action END
            AND e.sha256 = v.sha256) THEN
    refusal := 'rule 5: this action needs its own effect, done, for these bytes';
  ELSIF NEW.effect_id IS NOT NULL
     AND EXISTS (SELECT 1 FROM events WHERE effect_id = NEW.effect_id AND to_state IS NOT NULL) THEN
    refusal := 'rule 5: an effect brings one change of state';
  ELSIF NEW.action = 'withdraw' AND NEW.reason = 'superseded' AND NOT EXISTS (
          SELECT 1 FROM versions n JOIN effects e
            ON e.version_id = n.version_id AND e.kind = 'publish' AND e.status = 'done'
          WHERE n.asset_id = v.asset_id AND n.number > v.number AND n.state = 'approved') THEN
    refusal := 'rule 5: superseded needs a newer version whose publish effect is done';
  END IF;
  IF refusal IS NOT NULL THEN
    RAISE EXCEPTION 'signoff: %', refusal USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$
--;
CREATE TRIGGER events_check BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION signoff_check_event()
--;
CREATE FUNCTION signoff_apply_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE chain_head SET seq = NEW.seq, hash = NEW.hash WHERE one = 1;
  IF NEW.to_state IS NOT NULL THEN
    UPDATE versions SET
      state = NEW.to_state, state_seq = NEW.seq, state_since = NEW.at, round = NEW.round,
      policy_sha256 = CASE WHEN NEW.action IN ('reopen', 'review_again')
                           THEN COALESCE(NEW.policy_sha256, policy_sha256) ELSE policy_sha256 END,
      archived_from = CASE WHEN NEW.action = 'archive' THEN NEW.from_state END
    WHERE version_id = NEW.version_id;
  END IF;
  RETURN NULL;
END $$
--;
CREATE TRIGGER events_apply AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION signoff_apply_event()
--;
CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE ON events
FOR EACH ROW EXECUTE FUNCTION signoff_refuse('rule 1: the audit trail is append-only')
--;
CREATE FUNCTION signoff_check_head() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.one <> 1 OR NEW.seq <> OLD.seq + 1
     OR NEW.hash IS DISTINCT FROM (SELECT hash FROM events WHERE seq = NEW.seq) THEN
    RAISE EXCEPTION 'signoff: rule 1: the head of the chain follows its events'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$
--;
CREATE TRIGGER chain_head_follows_events BEFORE UPDATE ON chain_head
FOR EACH ROW EXECUTE FUNCTION signoff_check_head()
--;
CREATE TRIGGER chain_head_is_one BEFORE INSERT OR DELETE ON chain_head
FOR EACH ROW EXECUTE FUNCTION signoff_refuse('rule 1: the chain has one head')
--;
-- Rule 2: identities -----------------------------------------------------------------------------------------------------
CREATE TRIGGER lifecycle_immutable BEFORE INSERT OR UPDATE OR DELETE ON lifecycle
FOR EACH ROW EXECUTE FUNCTION signoff_refuse('rule 2: the lifecycle is immutable')
--;
CREATE FUNCTION signoff_check_birth() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  refusal text;
BEGIN
  PERFORM 1 FROM assets WHERE asset_id = NEW.asset_id FOR UPDATE;
  IF NEW.state IS NOT NULL OR NEW.state_seq <> 0 OR NEW.state_since IS NOT NULL OR NEW.round <> 1
     OR NEW.archived_from IS NOT NULL THEN
    refusal := 'rule 2: a version is born without a state';
  ELSIF EXISTS (SELECT 1 FROM versions WHERE version_id = NEW.version_id)
     OR EXISTS (SELECT 1 FROM versions WHERE asset_id = NEW.asset_id AND sha256 = NEW.sha256)
     OR NEW.number <> 1 + (SELECT COALESCE(MAX(number), 0) FROM versions WHERE asset_id = NEW.asset_id) THEN
    refusal := 'rule 2: a version is new bytes and takes the next number';
  ELSIF NOT EXISTS (SELECT 1 FROM policy_activations WHERE policy_sha256 = NEW.policy_sha256) THEN
    refusal := 'rule 2: a version is pinned to a policy that was activated';
  END IF;
  IF refusal IS NOT NULL THEN
    RAISE EXCEPTION 'signoff: %', refusal USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$
--;
CREATE TRIGGER versions_birth BEFORE INSERT ON versions FOR EACH ROW EXECUTE FUNCTION signoff_check_birth()
--;
CREATE FUNCTION signoff_check_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (NEW.version_id, NEW.asset_id, NEW.number, NEW.sha256, NEW.size_bytes, NEW.submitter, NEW.collection)
     IS DISTINCT FROM
     (OLD.version_id, OLD.asset_id, OLD.number, OLD.sha256, OLD.size_bytes, OLD.submitter, OLD.collection) THEN
    RAISE EXCEPTION 'signoff: rule 2: the identity of a version is immutable'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  IF NEW.state_seq <= OLD.state_seq OR NOT EXISTS (
       SELECT 1 FROM events
       WHERE seq = NEW.state_seq AND version_id = OLD.version_id AND from_state = COALESCE(OLD.state, '')
         AND to_state = NEW.state AND at = NEW.state_since AND round = NEW.round) THEN
    RAISE EXCEPTION 'signoff: rule 2: a state changes only through an event'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$
--;
CREATE TRIGGER versions_change BEFORE UPDATE ON versions FOR EACH ROW EXECUTE FUNCTION signoff_check_version()
--;
CREATE TRIGGER versions_no_delete BEFORE DELETE ON versions
FOR EACH ROW EXECUTE FUNCTION signoff_refuse('rule 2: a version is never deleted')
--;
CREATE TRIGGER assets_immutable BEFORE UPDATE OR DELETE ON assets
FOR EACH ROW EXECUTE FUNCTION signoff_refuse('rule 2: the identity of an asset is immutable')
--;
-- Rule 3: policies -------------------------------------------------------------------------------------------------------
CREATE TRIGGER policies_immutable BEFORE UPDATE OR DELETE ON policies
FOR EACH ROW EXECUTE FUNCTION signoff_refuse('rule 3: a stored policy is immutable')
--;
CREATE FUNCTION signoff_check_policy_rule() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM policies WHERE sha256 = NEW.policy_sha256 FOR SHARE;
  IF EXISTS (SELECT 1 FROM policy_activations WHERE policy_sha256 = NEW.policy_sha256) THEN
    RAISE EXCEPTION 'signoff: rule 3: an activated policy gets no further rules'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$
--;
CREATE TRIGGER policy_rules_before_activation BEFORE INSERT ON policy_rules
FOR EACH ROW EXECUTE FUNCTION signoff_check_policy_rule()
--;
CREATE TRIGGER policy_rules_immutable BEFORE UPDATE OR DELETE ON policy_rules
FOR EACH ROW EXECUTE FUNCTION signoff_refuse('rule 3: a stored policy is immutable')
--;
CREATE FUNCTION signoff_check_activation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  LOCK TABLE policy_activations IN SHARE ROW EXCLUSIVE MODE;
  IF EXISTS (SELECT 1 FROM policy_activations) AND (NEW.seconded_by IS NULL OR NEW.seconded_by = NEW.activated_by) THEN
    RAISE EXCEPTION 'signoff: rule 3: after the first, activating a policy needs a second person'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$
--;
CREATE TRIGGER policy_activations_need_two BEFORE INSERT ON policy_activations
FOR EACH ROW EXECUTE FUNCTION signoff_check_activation()
--;
CREATE TRIGGER policy_activations_immutable BEFORE UPDATE OR DELETE ON policy_activations
FOR EACH ROW EXECUTE FUNCTION signoff_refuse('rule 3: an activation is history')
--;
-- Rule 4: gates, eligibility, decisions -----------------------------------------------------------------------------------
CREATE FUNCTION signoff_check_new_gate() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  v versions%ROWTYPE;
BEGIN
  SELECT * INTO v FROM versions WHERE version_id = NEW.version_id FOR UPDATE;
  IF NEW.outcome IS NOT NULL OR NEW.closed_at IS NOT NULL
     OR NOT COALESCE((v.state = 'submitted' AND v.round = NEW.round)
                     OR (v.state IN ('approved', 'withdrawn') AND v.round + 1 = NEW.round), false) THEN
    RAISE EXCEPTION 'signoff: rule 4: a gate is opened once, before the review, without an outcome'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  IF NEW.four_eyes AND NEW.quorum < 2 AND v.submitter IS NULL THEN
    RAISE EXCEPTION 'signoff: rule 4: a submitter who is not known needs a quorum of at least 2'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$
--;
CREATE TRIGGER gates_birth BEFORE INSERT ON gates FOR EACH ROW EXECUTE FUNCTION signoff_check_new_gate()
--;
CREATE FUNCTION signoff_check_gate() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  refusal text;
BEGIN
  IF (NEW.gate_id, NEW.version_id, NEW.round, NEW.stage, NEW.step, NEW.quorum, NEW.four_eyes, NEW.signature)
     IS DISTINCT FROM
     (OLD.gate_id, OLD.version_id, OLD.round, OLD.stage, OLD.step, OLD.quorum, OLD.four_eyes, OLD.signature)
     OR (OLD.opened_at IS NOT NULL AND NEW.opened_at IS DISTINCT FROM OLD.opened_at) THEN
    refusal := 'rule 4: the terms of a gate are immutable';
  ELSIF OLD.outcome IS NOT NULL THEN
    refusal := 'rule 4: a gate with an outcome is closed';
  ELSIF NEW.outcome = 'passed' AND (
     OLD.opened_at IS NULL
     OR (SELECT LEAST(COUNT(DISTINCT d.person_id), COUNT(DISTINCT d.on_behalf_of))
         FROM decisions d JOIN gate_eligible e
           ON e.gate_id = d.gate_id AND e.person_id = d.person_id AND e.on_behalf_of = d.on_behalf_of
         WHERE d.gate_id = OLD.gate_id AND d.counted AND d.verdict = 'approve') < OLD.quorum
     OR EXISTS (SELECT 1 FROM decisions WHERE gate_id = OLD.gate_id AND counted AND verdict <> 'approve')) THEN
    refusal := 'rule 4: a gate passes only with its quorum of approvals';
  ELSIF NEW.opened_at IS NOT NULL AND OLD.opened_at IS NULL AND EXISTS (
     SELECT 1 FROM gates WHERE version_id = OLD.version_id AND round = OLD.round AND step < OLD.step
       AND outcome IS DISTINCT FROM 'passed') THEN
    refusal := 'rule 4: a gate opens when the steps before it have passed';
  END IF;
  IF refusal IS NOT NULL THEN
    RAISE EXCEPTION 'signoff: %', refusal USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$
--;
CREATE TRIGGER gates_change BEFORE UPDATE ON gates FOR EACH ROW EXECUTE FUNCTION signoff_check_gate()
--;
CREATE TRIGGER gates_no_delete BEFORE DELETE ON gates
FOR EACH ROW EXECUTE FUNCTION signoff_refuse('rule 4: a gate is never deleted')
--;
CREATE FUNCTION signoff_check_new_eligible() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM gates WHERE gate_id = NEW.gate_id FOR UPDATE;
  IF NEW.revoked_at IS NOT NULL
     OR EXISTS (SELECT 1 FROM gates WHERE gate_id = NEW.gate_id AND outcome IS NOT NULL) THEN
    RAISE EXCEPTION 'signoff: rule 4: eligibility is given once, to an open gate'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$
--;
CREATE TRIGGER gate_eligible_birth BEFORE INSERT ON gate_eligible
FOR EACH ROW EXECUTE FUNCTION signoff_check_new_eligible()
--;
CREATE FUNCTION signoff_check_eligible() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (NEW.gate_id, NEW.person_id, NEW.on_behalf_of, NEW.via, NEW.added_at)
     IS DISTINCT FROM (OLD.gate_id, OLD.person_id, OLD.on_behalf_of, OLD.via, OLD.added_at)
     OR OLD.revoked_at IS NOT NULL THEN
    RAISE EXCEPTION 'signoff: rule 4: eligibility is only ever revoked'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$
--;
CREATE TRIGGER gate_eligible_change BEFORE UPDATE ON gate_eligible
FOR EACH ROW EXECUTE FUNCTION signoff_check_eligible()
--;
CREATE TRIGGER gate_eligible_no_delete BEFORE DELETE ON gate_eligible
FOR EACH ROW EXECUTE FUNCTION signoff_refuse('rule 4: eligibility is revoked, never deleted')
--;
CREATE FUNCTION signoff_check_decision() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  g gates%ROWTYPE;
  v versions%ROWTYPE;
  refusal text;
BEGIN
  SELECT * INTO g FROM gates WHERE gate_id = NEW.gate_id FOR UPDATE;
  SELECT * INTO v FROM versions WHERE version_id = g.version_id FOR UPDATE;
  PERFORM 1 FROM gate_eligible WHERE gate_id = NEW.gate_id FOR SHARE;
  IF NEW.counted AND NOT COALESCE(
       g.outcome IS NULL AND g.opened_at IS NOT NULL AND v.state = 'in_review' AND v.round = g.round
       AND v.sha256 = NEW.sha256, false) THEN
    refusal := 'rule 4: a decision counts only on an open gate of the round, for these bytes';
  ELSIF NOT EXISTS (
       SELECT 1 FROM gate_eligible e
       JOIN people p ON p.person_id = e.person_id JOIN people b ON b.person_id = e.on_behalf_of
       WHERE e.gate_id = NEW.gate_id AND e.person_id = NEW.person_id AND e.on_behalf_of = NEW.on_behalf_of
         AND e.revoked_at IS NULL AND p.left_at IS NULL AND b.left_at IS NULL) THEN
    refusal := 'rule 4: only an eligible person decides';
  ELSIF g.four_eyes AND EXISTS (
       SELECT 1 FROM memberships m
       WHERE m.group_name = v.submitter AND m.person_id IN (NEW.person_id, NEW.on_behalf_of)
         AND (m.removed_at IS NULL
              OR m.removed_at > (SELECT at FROM events WHERE version_id = v.version_id ORDER BY seq LIMIT 1))) THEN
    refusal := 'rule 4: four eyes: who submitted the version does not decide on it';
  ELSIF NEW.signature <> 'totp' AND g.signature = 'totp' THEN
    refusal := 'rule 4: this gate wants a signature';
  ELSIF NEW.counted AND EXISTS (
       SELECT 1 FROM decisions WHERE gate_id = NEW.gate_id AND counted
         AND (person_id IN (NEW.person_id, NEW.on_behalf_of) OR on_behalf_of IN (NEW.person_id, NEW.on_behalf_of))) THEN
    refusal := 'rule 4: one person acts once and one principal counts once in a gate';
  END IF;
  IF refusal IS NOT NULL THEN
    RAISE EXCEPTION 'signoff: %', refusal USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$
--;
CREATE TRIGGER decisions_check BEFORE INSERT ON decisions FOR EACH ROW EXECUTE FUNCTION signoff_check_decision()
--;
CREATE TRIGGER decisions_final BEFORE UPDATE OR DELETE ON decisions
FOR EACH ROW EXECUTE FUNCTION signoff_refuse('rule 4: a decision is final')
--;
-- Rules 5 and 7: effects ----------------------------------------------------------------------------------------------------
CREATE FUNCTION signoff_check_new_effect() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  v versions%ROWTYPE;
BEGIN
  SELECT * INTO v FROM versions WHERE version_id = NEW.version_id FOR UPDATE;
  IF NEW.status <> 'open' OR NEW.closed_at IS NOT NULL
     OR EXISTS (SELECT 1 FROM effects WHERE version_id = NEW.version_id AND status = 'open') THEN
    RAISE EXCEPTION 'signoff: rule 7: at most one open effect a version'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  IF v.sha256 IS DISTINCT FROM NEW.sha256 OR NOT COALESCE(CASE NEW.kind
       WHEN 'publish' THEN v.state IN ('approved', 'withdrawn')
       WHEN 'withdraw' THEN v.state = 'published'
       WHEN 'archive' THEN EXISTS (SELECT 1 FROM lifecycle l WHERE l.from_state = v.state AND l.action = 'archive')
       WHEN 'restore' THEN v.state = 'archived'
       WHEN 'dispose' THEN EXISTS (SELECT 1 FROM lifecycle l WHERE l.from_state = v.state AND l.action = 'dispose')
       END, false) THEN
    RAISE EXCEPTION 'signoff: rule 5: this effect does not fit the state or the bytes of the version'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$
--;
CREATE TRIGGER effects_birth BEFORE INSERT ON effects FOR EACH ROW EXECUTE FUNCTION signoff_check_new_effect()
--;
CREATE FUNCTION signoff_check_effect() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (NEW.effect_id, NEW.version_id, NEW.kind, NEW.sha256, NEW.opened_at)
     IS DISTINCT FROM (OLD.effect_id, OLD.version_id, OLD.kind, OLD.sha256, OLD.opened_at)
     OR (OLD.status <> 'open' AND (
           (NEW.status, NEW.closed_at, NEW.attempts) IS DISTINCT FROM (OLD.status, OLD.closed_at, OLD.attempts)
           OR OLD.result IS NOT NULL)) THEN
    RAISE EXCEPTION 'signoff: rule 7: an effect is closed once and keeps its terms'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$
--;
CREATE TRIGGER effects_change BEFORE UPDATE ON effects FOR EACH ROW EXECUTE FUNCTION signoff_check_effect()
--;
CREATE TRIGGER effects_no_delete BEFORE DELETE ON effects
FOR EACH ROW EXECUTE FUNCTION signoff_refuse('rule 7: an effect is never deleted')
--;
CREATE TRIGGER people_no_delete BEFORE DELETE ON people
FOR EACH ROW EXECUTE FUNCTION signoff_refuse('a person leaves; the record stays')
--;
CREATE TRIGGER memberships_no_delete BEFORE DELETE ON memberships
FOR EACH ROW EXECUTE FUNCTION signoff_refuse('a membership ends; the record stays')
--;
-- TRUNCATE fires no row trigger, so each protected table refuses it by itself -----------------------------------------------
DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['events', 'chain_head', 'lifecycle', 'versions', 'assets', 'policies', 'policy_rules',
    'policy_activations', 'gates', 'gate_eligible', 'decisions', 'effects', 'people', 'memberships', 'custody'] LOOP
    EXECUTE format('CREATE TRIGGER %I_no_truncate BEFORE TRUNCATE ON %I FOR EACH STATEMENT
                    EXECUTE FUNCTION signoff_refuse(%L)', name, name, 'rule 1: records are never truncated');
  END LOOP;
END $$
