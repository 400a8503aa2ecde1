-- What the ledger enforces by itself, on PostgreSQL. The SQLite file beside this one says the same, in the same order.
-- Statements are separated by a line that holds only `--;`. Every refusal begins with "signoff:" and names the rule.
-- Rows that a rule depends on are locked before they are read: READ COMMITTED alone would let two transactions each see
-- the other's past. Stricter levels would read from a snapshot older than those locks, so they are refused. The head of
-- the chain is locked first by every writer of ours, so the other locks rarely wait.

CREATE FUNCTION signoff_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'signoff: %', TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation';
END $$
--;
CREATE FUNCTION signoff_say(refusal text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'signoff: %', refusal USING ERRCODE = 'integrity_constraint_violation';
END $$
--;
CREATE FUNCTION signoff_check_isolation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'signoff: rule 1: the ledger is written in READ COMMITTED, where checks see what others committed'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NULL;
END $$
--;
-- Rules 1, 2, 3, 5, 6, 7: events ----------------------------------------------------------------------------------------
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
CREATE TRIGGER events_check BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION signoff_check_event()
--;
CREATE FUNCTION signoff_apply_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE chain_head SET seq = NEW.seq, hash = NEW.hash WHERE one = 1;
  IF NEW.to_state IS NOT NULL THEN
    UPDATE versions SET
      state = NEW.to_state, state_seq = NEW.seq, state_since = NEW.at, round = NEW.round,
      arrived_seq = CASE WHEN NEW.action IN ('submit', 'reopen') THEN NEW.seq ELSE arrived_seq END,
      policy_sha256 = COALESCE(NEW.policy_sha256, policy_sha256),
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
    PERFORM signoff_say('rule 1: the head of the chain follows its events');
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
CREATE FUNCTION signoff_check_note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (NEW.note_id, NEW.salt) IS DISTINCT FROM (OLD.note_id, OLD.salt)
     OR NEW.body IS NOT NULL OR NEW.erased_at IS NULL THEN
    PERFORM signoff_say('rule 1: what people said is only ever erased');
  END IF;
  RETURN NEW;
END $$
--;
CREATE TRIGGER notes_are_only_erased BEFORE UPDATE ON notes FOR EACH ROW EXECUTE FUNCTION signoff_check_note()
--;
CREATE TRIGGER notes_no_delete BEFORE DELETE ON notes
FOR EACH ROW EXECUTE FUNCTION signoff_refuse('rule 1: what people said is only ever erased')
--;
-- Rule 2: identities ----------------------------------------------------------------------------------------------------
CREATE TRIGGER lifecycle_immutable BEFORE INSERT OR UPDATE OR DELETE ON lifecycle
FOR EACH ROW EXECUTE FUNCTION signoff_refuse('rule 2: the lifecycle is immutable')
--;
CREATE FUNCTION signoff_check_birth() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  refusal text;
BEGIN
  PERFORM 1 FROM assets WHERE asset_id = NEW.asset_id FOR UPDATE;
  IF NEW.state IS NOT NULL OR NEW.state_seq <> 0 OR NEW.state_since IS NOT NULL OR NEW.round <> 1
     OR NEW.arrived_seq <> 0 OR NEW.archived_from IS NOT NULL THEN
    refusal := 'rule 2: a version is born without a state';
  ELSIF EXISTS (SELECT 1 FROM versions WHERE version_id = NEW.version_id)
     OR EXISTS (SELECT 1 FROM versions WHERE asset_id = NEW.asset_id AND sha256 = NEW.sha256)
     OR NOT EXISTS (SELECT 1 FROM assets WHERE asset_id = NEW.asset_id)
     OR NEW.number <> 1 + (SELECT COALESCE(MAX(number), 0) FROM versions WHERE asset_id = NEW.asset_id) THEN
    refusal := 'rule 2: a version is new bytes and takes the next number';
  ELSIF NOT EXISTS (SELECT 1 FROM policy_activations WHERE policy_sha256 = NEW.policy_sha256) THEN
    refusal := 'rule 2: a version is pinned to a policy that was activated';
  END IF;
  IF refusal IS NOT NULL THEN PERFORM signoff_say(refusal); END IF;
  RETURN NEW;
END $$
--;
CREATE TRIGGER versions_birth BEFORE INSERT ON versions FOR EACH ROW EXECUTE FUNCTION signoff_check_birth()
--;
CREATE FUNCTION signoff_check_version() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  refusal text;
BEGIN
  IF (NEW.version_id, NEW.asset_id, NEW.number, NEW.sha256, NEW.size_bytes, NEW.submitter, NEW.collection)
     IS DISTINCT FROM
     (OLD.version_id, OLD.asset_id, OLD.number, OLD.sha256, OLD.size_bytes, OLD.submitter, OLD.collection) THEN
    refusal := 'rule 2: the identity of a version is immutable';
  ELSIF NEW.state_seq <= OLD.state_seq OR NOT EXISTS (
       SELECT 1 FROM events
       WHERE seq = NEW.state_seq AND version_id = OLD.version_id AND from_state = COALESCE(OLD.state, '')
         AND to_state = NEW.state AND at = NEW.state_since AND round = NEW.round) THEN
    refusal := 'rule 2: a state changes only through an event';
  END IF;
  IF refusal IS NOT NULL THEN PERFORM signoff_say(refusal); END IF;
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
CREATE FUNCTION signoff_check_custody() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  refusal text;
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF NEW.released_at IS NOT NULL THEN
      refusal := 'rule 2: a place of custody is only ever released';
    END IF;
    IF refusal IS NOT NULL THEN PERFORM signoff_say(refusal); END IF;
    RETURN NEW;
  END IF;
  PERFORM 1 FROM versions WHERE version_id = OLD.version_id FOR UPDATE;
  IF (NEW.custody_id, NEW.version_id, NEW.form, NEW.bucket, NEW.key, NEW.object_version, NEW.etag, NEW.verified_at)
     IS DISTINCT FROM
     (OLD.custody_id, OLD.version_id, OLD.form, OLD.bucket, OLD.key, OLD.object_version, OLD.etag, OLD.verified_at)
     OR OLD.released_at IS NOT NULL THEN
    refusal := 'rule 2: a place of custody is only ever released';
  ELSIF NOT EXISTS (
       SELECT 1 FROM custody
       WHERE version_id = OLD.version_id AND custody_id <> OLD.custody_id AND released_at IS NULL)
     AND (SELECT state FROM versions WHERE version_id = OLD.version_id) IS DISTINCT FROM 'disposed' THEN
    refusal := 'rule 2: the bytes of a version stay in custody until it is disposed of';
  END IF;
  IF refusal IS NOT NULL THEN PERFORM signoff_say(refusal); END IF;
  RETURN NEW;
END $$
--;
CREATE TRIGGER custody_is_only_released BEFORE INSERT OR UPDATE ON custody
FOR EACH ROW EXECUTE FUNCTION signoff_check_custody()
--;
CREATE TRIGGER custody_no_delete BEFORE DELETE ON custody
FOR EACH ROW EXECUTE FUNCTION signoff_refuse('rule 2: a place of custody is only ever released')
--;
-- Rule 3: policies ------------------------------------------------------------------------------------------------------
CREATE TRIGGER policies_immutable BEFORE UPDATE OR DELETE ON policies
FOR EACH ROW EXECUTE FUNCTION signoff_refuse('rule 3: a stored policy is immutable')
--;
CREATE FUNCTION signoff_check_policy_rule() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM policies WHERE sha256 = NEW.policy_sha256 FOR SHARE;
  IF EXISTS (SELECT 1 FROM policy_activations WHERE policy_sha256 = NEW.policy_sha256) THEN
    PERFORM signoff_say('rule 3: an activated policy gets no further rules');
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
DECLARE
  refusal text;
BEGIN
  LOCK TABLE policy_activations IN SHARE ROW EXCLUSIVE MODE;
  PERFORM 1 FROM policies WHERE sha256 = NEW.policy_sha256 FOR UPDATE;  -- waits for rules that are being added
  IF NOT EXISTS (SELECT 1 FROM policies WHERE sha256 = NEW.policy_sha256) THEN
    refusal := 'rule 3: only a stored policy is activated';
  ELSIF EXISTS (SELECT 1 FROM policy_activations)
     AND lower(trim(COALESCE(NEW.seconded_by, ''))) IN ('', lower(trim(NEW.activated_by))) THEN
    refusal := 'rule 3: after the first, activating a policy needs a second person';
  END IF;
  IF refusal IS NOT NULL THEN PERFORM signoff_say(refusal); END IF;
  RETURN NEW;
END $$
--;
CREATE TRIGGER policy_activations_need_two BEFORE INSERT ON policy_activations
FOR EACH ROW EXECUTE FUNCTION signoff_check_activation()
--;
CREATE TRIGGER policy_activations_immutable BEFORE UPDATE OR DELETE ON policy_activations
FOR EACH ROW EXECUTE FUNCTION signoff_refuse('rule 3: an activation is history')
--;
-- Rule 4: people, gates, eligibility, decisions -------------------------------------------------------------------------
CREATE FUNCTION signoff_check_person() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (NEW.person_id, NEW.handle, NEW.joined_at) IS DISTINCT FROM (OLD.person_id, OLD.handle, OLD.joined_at) THEN
    PERFORM signoff_say('rule 4: a person leaves; the record stays');
  END IF;
  RETURN NEW;
END $$
--;
CREATE TRIGGER people_keep_their_identity BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION signoff_check_person()
--;
CREATE TRIGGER people_no_delete BEFORE DELETE ON people
FOR EACH ROW EXECUTE FUNCTION signoff_refuse('rule 4: a person leaves; the record stays')
--;
CREATE FUNCTION signoff_check_membership() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  refused boolean;
BEGIN
  IF TG_OP = 'INSERT' THEN
    refused := NEW.removed_at IS NOT NULL;
  ELSE
    refused := (NEW.membership_id, NEW.group_name, NEW.person_id, NEW.added_at)
               IS DISTINCT FROM (OLD.membership_id, OLD.group_name, OLD.person_id, OLD.added_at)
               OR OLD.removed_at IS NOT NULL
               OR NEW.removed_at < (SELECT at FROM events ORDER BY seq DESC LIMIT 1);
  END IF;
  IF refused THEN
    PERFORM signoff_say('rule 4: a membership ends once, now; the record stays');
  END IF;
  RETURN NEW;
END $$
--;
CREATE TRIGGER memberships_end_once BEFORE INSERT OR UPDATE ON memberships
FOR EACH ROW EXECUTE FUNCTION signoff_check_membership()
--;
CREATE TRIGGER memberships_no_delete BEFORE DELETE ON memberships
FOR EACH ROW EXECUTE FUNCTION signoff_refuse('rule 4: a membership ends once, now; the record stays')
--;
CREATE FUNCTION signoff_check_new_gate() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  v versions%ROWTYPE;
  refusal text;
BEGIN
  SELECT * INTO v FROM versions WHERE version_id = NEW.version_id FOR UPDATE;
  IF NEW.outcome IS NOT NULL OR NEW.closed_at IS NOT NULL
     OR EXISTS (SELECT 1 FROM gates WHERE gate_id = NEW.gate_id
                OR (version_id = NEW.version_id AND round = NEW.round AND stage = NEW.stage))
     OR NOT COALESCE((v.state = 'submitted' AND v.round = NEW.round)
                     OR (v.state IN ('approved', 'withdrawn') AND v.round + 1 = NEW.round), false) THEN
    refusal := 'rule 4: a gate is opened once, before the review, without an outcome';
  ELSIF EXISTS (SELECT 1 FROM gates WHERE version_id = NEW.version_id AND round = NEW.round AND (
                  (NEW.opened_at IS NOT NULL AND step < NEW.step) OR (opened_at IS NOT NULL AND step > NEW.step))) THEN
    refusal := 'rule 4: a gate opens when the steps before it have passed';
  ELSIF NEW.four_eyes AND NEW.quorum < 2 AND COALESCE(trim(v.submitter), '') = '' THEN
    refusal := 'rule 4: a submitter who is not known needs a quorum of at least 2';
  END IF;
  IF refusal IS NOT NULL THEN PERFORM signoff_say(refusal); END IF;
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
  IF refusal IS NOT NULL THEN PERFORM signoff_say(refusal); END IF;
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
     OR NOT EXISTS (SELECT 1 FROM gates WHERE gate_id = NEW.gate_id AND outcome IS NULL)
     OR EXISTS (SELECT 1 FROM gate_eligible
                WHERE gate_id = NEW.gate_id AND person_id = NEW.person_id AND on_behalf_of = NEW.on_behalf_of) THEN
    PERFORM signoff_say('rule 4: eligibility is given once, to a gate without an outcome');
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
    PERFORM signoff_say('rule 4: eligibility is only ever revoked');
  END IF;
  RETURN NEW;
END $$
--;
CREATE TRIGGER gate_eligible_change BEFORE UPDATE ON gate_eligible
FOR EACH ROW EXECUTE FUNCTION signoff_check_eligible()
--;
CREATE TRIGGER gate_eligible_no_delete BEFORE DELETE ON gate_eligible
FOR EACH ROW EXECUTE FUNCTION signoff_refuse('rule 4: eligibility is only ever revoked')
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
  IF EXISTS (SELECT 1 FROM decisions WHERE decision_id = NEW.decision_id) THEN
    refusal := 'rule 4: a decision is final';
  ELSIF NEW.counted AND NOT COALESCE(
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
         AND (m.removed_at IS NULL OR m.removed_at > (
           SELECT at FROM events WHERE version_id = v.version_id AND action = 'submit'))) THEN
    refusal := 'rule 4: four eyes: who submitted the version does not decide on it';
  ELSIF NEW.signature <> 'totp' AND g.signature = 'totp' THEN
    refusal := 'rule 4: this gate wants a signature';
  ELSIF NEW.counted AND EXISTS (
       SELECT 1 FROM decisions WHERE gate_id = NEW.gate_id AND counted
         AND (person_id IN (NEW.person_id, NEW.on_behalf_of) OR on_behalf_of IN (NEW.person_id, NEW.on_behalf_of))) THEN
    refusal := 'rule 4: one person acts once and one principal counts once in a gate';
  END IF;
  IF refusal IS NOT NULL THEN PERFORM signoff_say(refusal); END IF;
  RETURN NEW;
END $$
--;
CREATE TRIGGER decisions_check BEFORE INSERT ON decisions FOR EACH ROW EXECUTE FUNCTION signoff_check_decision()
--;
CREATE TRIGGER decisions_final BEFORE UPDATE OR DELETE ON decisions
FOR EACH ROW EXECUTE FUNCTION signoff_refuse('rule 4: a decision is final')
--;
-- Rules 5, 6 and 7: effects, holds, retentions --------------------------------------------------------------------------
CREATE FUNCTION signoff_check_new_effect() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  v versions%ROWTYPE;
  refusal text;
BEGIN
  SELECT * INTO v FROM versions WHERE version_id = NEW.version_id FOR UPDATE;
  IF NEW.status <> 'open' OR NEW.closed_at IS NOT NULL
     OR EXISTS (SELECT 1 FROM effects WHERE effect_id = NEW.effect_id)
     OR EXISTS (SELECT 1 FROM effects WHERE version_id = NEW.version_id AND status = 'open') THEN
    refusal := 'rule 7: at most one open effect a version';
  ELSIF v.sha256 IS DISTINCT FROM NEW.sha256 OR NOT COALESCE(CASE NEW.kind
       WHEN 'publish' THEN v.state IN ('approved', 'withdrawn')
       WHEN 'withdraw' THEN v.state = 'published'
       WHEN 'archive' THEN EXISTS (SELECT 1 FROM lifecycle l WHERE l.from_state = v.state AND l.action = 'archive')
       WHEN 'restore' THEN v.state = 'archived'
       WHEN 'dispose' THEN EXISTS (SELECT 1 FROM lifecycle l WHERE l.from_state = v.state AND l.action = 'dispose')
       END, false) THEN
    refusal := 'rule 5: this effect does not fit the state or the bytes of the version';
  ELSIF NEW.kind = 'dispose' AND (
       EXISTS (SELECT 1 FROM holds WHERE version_id = NEW.version_id AND released_at IS NULL)
       OR EXISTS (SELECT 1 FROM retentions WHERE version_id = NEW.version_id AND until_at > NEW.opened_at)) THEN
    refusal := 'rule 6: what is held or retained is not disposed of';
  END IF;
  IF refusal IS NOT NULL THEN PERFORM signoff_say(refusal); END IF;
  RETURN NEW;
END $$
--;
CREATE TRIGGER effects_birth BEFORE INSERT ON effects FOR EACH ROW EXECUTE FUNCTION signoff_check_new_effect()
--;
CREATE FUNCTION signoff_check_effect() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (NEW.effect_id, NEW.version_id, NEW.kind, NEW.sha256, NEW.opened_at, NEW.reason, NEW.rule, NEW.storage_class)
     IS DISTINCT FROM
     (OLD.effect_id, OLD.version_id, OLD.kind, OLD.sha256, OLD.opened_at, OLD.reason, OLD.rule, OLD.storage_class)
     OR (NEW.status = 'open') <> (NEW.closed_at IS NULL)
     OR (OLD.status <> 'open' AND (
           (NEW.status, NEW.closed_at, NEW.attempts) IS DISTINCT FROM (OLD.status, OLD.closed_at, OLD.attempts)
           OR OLD.result IS NOT NULL)) THEN
    PERFORM signoff_say('rule 7: an effect is closed once and keeps its terms');
  END IF;
  RETURN NEW;
END $$
--;
CREATE TRIGGER effects_change BEFORE UPDATE ON effects FOR EACH ROW EXECUTE FUNCTION signoff_check_effect()
--;
CREATE TRIGGER effects_no_delete BEFORE DELETE ON effects
FOR EACH ROW EXECUTE FUNCTION signoff_refuse('rule 7: an effect is never deleted')
--;
CREATE FUNCTION signoff_check_keeping() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  v versions%ROWTYPE;
  refusal text;
BEGIN
  SELECT * INTO v FROM versions WHERE version_id = NEW.version_id FOR UPDATE;
  IF EXISTS (SELECT 1 FROM effects WHERE version_id = NEW.version_id AND kind = 'dispose' AND status = 'open') THEN
    refusal := 'rule 6: ' || TG_ARGV[0];
  ELSIF v.state IS NULL OR v.state = 'disposed' THEN
    refusal := 'rule 6: what is disposed of cannot be kept';
  END IF;
  IF refusal IS NOT NULL THEN PERFORM signoff_say(refusal); END IF;
  RETURN NEW;
END $$
--;
CREATE TRIGGER holds_before_disposal BEFORE INSERT ON holds
FOR EACH ROW EXECUTE FUNCTION signoff_check_keeping('a hold cancels an open disposal before it is placed')
--;
CREATE TRIGGER retentions_before_disposal BEFORE INSERT ON retentions
FOR EACH ROW EXECUTE FUNCTION signoff_check_keeping('a retention cancels an open disposal before it is set')
--;
CREATE FUNCTION signoff_check_hold() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  refused boolean;
BEGIN
  IF TG_OP = 'INSERT' THEN
    refused := NEW.released_at IS NOT NULL;
  ELSE
    refused := (NEW.hold_id, NEW.version_id, NEW.matter, NEW.placed_by, NEW.placed_at)
               IS DISTINCT FROM (OLD.hold_id, OLD.version_id, OLD.matter, OLD.placed_by, OLD.placed_at)
               OR OLD.released_at IS NOT NULL OR NEW.released_at IS NULL OR COALESCE(trim(NEW.released_by), '') = '';
  END IF;
  IF refused THEN
    PERFORM signoff_say('rule 6: a hold is placed once and released once');
  END IF;
  RETURN NEW;
END $$
--;
CREATE TRIGGER holds_are_released_once BEFORE INSERT OR UPDATE ON holds
FOR EACH ROW EXECUTE FUNCTION signoff_check_hold()
--;
CREATE TRIGGER holds_no_delete BEFORE DELETE ON holds
FOR EACH ROW EXECUTE FUNCTION signoff_refuse('rule 6: a hold is placed once and released once')
--;
CREATE TRIGGER retentions_immutable BEFORE UPDATE OR DELETE ON retentions
FOR EACH ROW EXECUTE FUNCTION signoff_refuse('rule 6: a retention is never shortened')
--;
-- Every protected table: no TRUNCATE, which fires no row trigger, and no level at which checks read an old snapshot --------
DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['events', 'chain_head', 'notes', 'lifecycle', 'versions', 'assets', 'custody', 'policies',
    'policy_rules', 'policy_activations', 'people', 'memberships', 'gates', 'gate_eligible', 'decisions', 'effects',
    'holds', 'retentions'] LOOP
    EXECUTE format('CREATE TRIGGER %I BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION signoff_refuse(%L)',
                   name || '_no_truncate', name, 'rule 1: records are never truncated');
    EXECUTE format('CREATE TRIGGER %I BEFORE INSERT OR UPDATE OR DELETE ON %I FOR EACH STATEMENT
                    EXECUTE FUNCTION signoff_check_isolation()', name || '_isolation', name);
  END LOOP;
END $$
--;
-- The functions mean these tables, whatever search path or temporary tables a session has --------------------------------
DO $$
DECLARE
  f regprocedure;
BEGIN
  FOR f IN SELECT oid::regprocedure FROM pg_proc
           WHERE pronamespace = current_schema()::regnamespace AND proname LIKE 'signoff\_%' LOOP
    EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', f, current_schema());
  END LOOP;
END $$
