-- What the ledger enforces by itself, on SQLite. The PostgreSQL file beside this one says the same, in the same order.
-- Statements are separated by a line that holds only `--;`. Every refusal begins with "signoff:" and names the rule.
-- BEFORE INSERT refusals of existing keys are what stops REPLACE, which skips DELETE triggers. The conflict clause of a
-- statement (OR REPLACE, OR IGNORE) also rules inside the triggers that it fires: what a trigger writes must be checked
-- before, so that no constraint is left to decide.

-- Rules 1, 2, 3, 5, 6, 7: events ----------------------------------------------------------------------------------------
CREATE TRIGGER events_check BEFORE INSERT ON events
BEGIN
  SELECT CASE
    WHEN NEW.seq IS NOT (SELECT seq + 1 FROM chain_head)
      OR instr(NEW.body, '"prev":"' || (SELECT hash FROM chain_head) || '"') = 0
      OR length(NEW.hash) <> 64
    THEN RAISE(ABORT, 'signoff: rule 1: an event must follow the head of the chain')
    WHEN (NEW.to_state IS NULL) <> (NEW.from_state IS NULL)
      OR (NEW.to_state IS NULL AND EXISTS (SELECT 1 FROM lifecycle WHERE action = NEW.action))
    THEN RAISE(ABORT, 'signoff: rule 2: an action of the lifecycle names the states it leads from and to')
  END;
  SELECT CASE
    WHEN NOT EXISTS (
      SELECT 1 FROM lifecycle WHERE from_state = NEW.from_state AND action = NEW.action AND to_state = NEW.to_state)
    THEN RAISE(ABORT, 'signoff: rule 2: this step is not in the lifecycle')
    WHEN v.version_id IS NULL OR NEW.from_state <> COALESCE(v.state, '')
    THEN RAISE(ABORT, 'signoff: rule 2: stale: the version is not in the state that the event starts from')
    WHEN NEW.round IS NOT v.round + (NEW.action IN ('reopen', 'review_again'))
    THEN RAISE(ABORT, 'signoff: rule 2: only reopen and review_again begin a new round')
    WHEN COALESCE(NEW.policy_sha256, v.policy_sha256) <> v.policy_sha256 AND (
      NEW.action NOT IN ('reopen', 'review_again')
      OR NOT EXISTS (SELECT 1 FROM policy_activations WHERE policy_sha256 = NEW.policy_sha256))
    THEN RAISE(ABORT, 'signoff: rule 2: only reopen and review_again pin another policy, one that was activated')
    WHEN NEW.action = 'submit'
      AND NOT EXISTS (SELECT 1 FROM custody WHERE version_id = v.version_id AND released_at IS NULL)
    THEN RAISE(ABORT, 'signoff: rule 2: submit needs the bytes in custody')
    WHEN (NEW.action IN ('withdraw', 'release', 'reopen', 'restore', 'review_again', 'quarantine')
          OR (NEW.action = 'reject' AND NEW.from_state <> 'in_review'))
      AND COALESCE(trim(NEW.reason), '') = ''
    THEN RAISE(ABORT, 'signoff: rule 2: this action needs a reason')
    WHEN NEW.action = 'reopen' AND EXISTS (
      SELECT 1 FROM decisions d JOIN gates g ON g.gate_id = d.gate_id
      WHERE g.version_id = v.version_id AND g.round = v.round AND d.counted AND d.verdict = 'reject'
        AND NEW.actor = 'person:' || d.person_id)
    THEN RAISE(ABORT, 'signoff: rule 2: who rejected a version does not reopen it')
    WHEN NEW.action = 'release' AND (
      NOT EXISTS (SELECT 1 FROM people WHERE NEW.actor = 'person:' || person_id AND left_at IS NULL)
      OR EXISTS (SELECT 1 FROM versions n WHERE n.asset_id = v.asset_id AND n.arrived_seq > v.arrived_seq))
    THEN RAISE(ABORT, 'signoff: rule 2: release is for a person, while there is no newer version')
    WHEN NEW.action = 'supersede' AND NOT EXISTS (
      SELECT 1 FROM versions n WHERE n.asset_id = v.asset_id AND n.arrived_seq > v.arrived_seq
        AND n.state NOT IN ('submitted', 'quarantined'))
    THEN RAISE(ABORT, 'signoff: rule 2: supersede needs a newer version that has left screening')
    WHEN NEW.action = 'review_again' AND EXISTS (
      SELECT 1 FROM versions n WHERE n.asset_id = v.asset_id AND n.arrived_seq > v.arrived_seq
        AND n.state IN ('in_review', 'approved', 'published'))
    THEN RAISE(ABORT, 'signoff: rule 2: a version is not reviewed again once a newer one has left screening')
    WHEN NEW.action = 'restore' AND NEW.to_state IS NOT v.archived_from
    THEN RAISE(ABORT, 'signoff: rule 2: restore leads to the state before archiving')
    WHEN NEW.action = 'approve' AND NEW.from_state = 'in_review' AND (
      NOT EXISTS (SELECT 1 FROM gates WHERE version_id = v.version_id AND round = v.round)
      OR EXISTS (SELECT 1 FROM gates WHERE version_id = v.version_id AND round = v.round AND outcome IS NOT 'passed'))
    THEN RAISE(ABORT, 'signoff: rule 3: approve needs every gate of the round passed')
    WHEN NEW.action = 'approve' AND NEW.from_state = 'submitted' AND (
      NEW.policy_sha256 IS NOT v.policy_sha256
      OR NOT EXISTS (SELECT 1 FROM policy_rules WHERE policy_sha256 = v.policy_sha256 AND rule = NEW.rule))
    THEN RAISE(ABORT, 'signoff: rule 3: automatic approval needs a rule of the pinned policy')
    WHEN NEW.to_state = 'in_review' AND NOT EXISTS (
      SELECT 1 FROM gates WHERE version_id = v.version_id AND round = NEW.round
        AND opened_at IS NOT NULL AND outcome IS NULL)
    THEN RAISE(ABORT, 'signoff: rule 3: in_review needs an open gate of this round')
    WHEN NEW.from_state = 'in_review' AND NEW.action IN ('reject', 'request_changes') AND NOT EXISTS (
      SELECT 1 FROM gates WHERE version_id = v.version_id AND round = v.round
        AND outcome = CASE NEW.action WHEN 'reject' THEN 'rejected' ELSE 'changes_requested' END)
    THEN RAISE(ABORT, 'signoff: rule 3: a negative outcome needs the gate that gave it')
    WHEN EXISTS (SELECT 1 FROM effects WHERE version_id = v.version_id AND status = 'open')
    THEN RAISE(ABORT, 'signoff: rule 7: an open effect must be done or cancelled first')
    WHEN NEW.action = 'dispose' AND (
      EXISTS (SELECT 1 FROM holds WHERE version_id = v.version_id AND released_at IS NULL)
      OR EXISTS (SELECT 1 FROM retentions WHERE version_id = v.version_id AND until_at > NEW.at))
    THEN RAISE(ABORT, 'signoff: rule 6: what is held or retained is not disposed of')
    WHEN (NEW.action IN ('publish', 'republish', 'archive', 'restore', 'dispose')
          OR (NEW.action = 'withdraw' AND NEW.reason <> 'superseded'))
      AND NOT EXISTS (
        SELECT 1 FROM effects
        WHERE effect_id = NEW.effect_id AND version_id = v.version_id AND status = 'done' AND sha256 = v.sha256
          AND kind = CASE NEW.action WHEN 'republish' THEN 'publish' ELSE NEW.action END)
    THEN RAISE(ABORT, 'signoff: rule 5: this action needs its own effect, done, for these bytes')
    WHEN NEW.effect_id IS NOT NULL
      AND EXISTS (SELECT 1 FROM events WHERE effect_id = NEW.effect_id AND to_state IS NOT NULL)
    THEN RAISE(ABORT, 'signoff: rule 5: an effect brings one change of state')
    WHEN NEW.action = 'withdraw' AND NEW.reason = 'superseded' AND NOT EXISTS (
      SELECT 1 FROM versions n JOIN effects e
        ON e.version_id = n.version_id AND e.kind = 'publish' AND e.status = 'done'
      WHERE n.asset_id = v.asset_id AND n.arrived_seq > v.arrived_seq AND n.state = 'approved')
    THEN RAISE(ABORT, 'signoff: rule 5: superseded needs a newer version whose publish effect is done')
    WHEN NEW.action = 'republish' AND COALESCE((
      SELECT reason FROM events WHERE version_id = v.version_id AND action = 'withdraw' ORDER BY seq DESC LIMIT 1), '')
      NOT LIKE 'rights%'
    THEN RAISE(ABORT, 'signoff: rule 5: only what was withdrawn for its rights is published again')
    WHEN NEW.to_state = 'published'
      AND EXISTS (SELECT 1 FROM versions n WHERE n.asset_id = v.asset_id AND n.state = 'published')
    THEN RAISE(ABORT, 'signoff: rule 5: at most one version of an asset is published')
  END
  FROM (SELECT 1) LEFT JOIN versions v ON v.version_id = NEW.version_id
  WHERE NEW.to_state IS NOT NULL;
END
--;
CREATE TRIGGER events_apply AFTER INSERT ON events
BEGIN
  UPDATE chain_head SET seq = NEW.seq, hash = NEW.hash WHERE one = 1;
  UPDATE versions SET
    state = NEW.to_state, state_seq = NEW.seq, state_since = NEW.at, round = NEW.round,
    arrived_seq = CASE WHEN NEW.action IN ('submit', 'reopen') THEN NEW.seq ELSE arrived_seq END,
    policy_sha256 = COALESCE(NEW.policy_sha256, policy_sha256),
    archived_from = CASE WHEN NEW.action = 'archive' THEN NEW.from_state END
  WHERE version_id = NEW.version_id AND NEW.to_state IS NOT NULL;
END
--;
CREATE TRIGGER events_no_update BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'signoff: rule 1: the audit trail is append-only'); END
--;
CREATE TRIGGER events_no_delete BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'signoff: rule 1: the audit trail is append-only'); END
--;
CREATE TRIGGER chain_head_follows_events BEFORE UPDATE ON chain_head
WHEN NEW.one <> 1 OR NEW.seq <> OLD.seq + 1 OR NEW.hash IS NOT (SELECT hash FROM events WHERE seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'signoff: rule 1: the head of the chain follows its events'); END
--;
CREATE TRIGGER chain_head_no_insert BEFORE INSERT ON chain_head
BEGIN SELECT RAISE(ABORT, 'signoff: rule 1: the chain has one head'); END
--;
CREATE TRIGGER chain_head_no_delete BEFORE DELETE ON chain_head
BEGIN SELECT RAISE(ABORT, 'signoff: rule 1: the chain has one head'); END
--;
CREATE TRIGGER notes_are_written_once BEFORE INSERT ON notes
WHEN EXISTS (SELECT 1 FROM notes WHERE note_id = NEW.note_id)
BEGIN SELECT RAISE(ABORT, 'signoff: rule 1: what people said is only ever erased'); END
--;
CREATE TRIGGER notes_are_only_erased BEFORE UPDATE ON notes
WHEN NEW.note_id <> OLD.note_id OR NEW.salt <> OLD.salt OR NEW.body IS NOT NULL OR NEW.erased_at IS NULL
BEGIN SELECT RAISE(ABORT, 'signoff: rule 1: what people said is only ever erased'); END
--;
CREATE TRIGGER notes_no_delete BEFORE DELETE ON notes
BEGIN SELECT RAISE(ABORT, 'signoff: rule 1: what people said is only ever erased'); END
--;
-- Rule 2: identities ----------------------------------------------------------------------------------------------------
CREATE TRIGGER lifecycle_no_insert BEFORE INSERT ON lifecycle
BEGIN SELECT RAISE(ABORT, 'signoff: rule 2: the lifecycle is immutable'); END
--;
CREATE TRIGGER lifecycle_no_update BEFORE UPDATE ON lifecycle
BEGIN SELECT RAISE(ABORT, 'signoff: rule 2: the lifecycle is immutable'); END
--;
CREATE TRIGGER lifecycle_no_delete BEFORE DELETE ON lifecycle
BEGIN SELECT RAISE(ABORT, 'signoff: rule 2: the lifecycle is immutable'); END
--;
CREATE TRIGGER versions_birth BEFORE INSERT ON versions
BEGIN
  SELECT CASE
    WHEN NEW.state IS NOT NULL OR NEW.state_seq <> 0 OR NEW.state_since IS NOT NULL OR NEW.round <> 1
      OR NEW.arrived_seq <> 0 OR NEW.archived_from IS NOT NULL
    THEN RAISE(ABORT, 'signoff: rule 2: a version is born without a state')
    WHEN EXISTS (SELECT 1 FROM versions WHERE version_id = NEW.version_id)
      OR EXISTS (SELECT 1 FROM versions WHERE asset_id = NEW.asset_id AND sha256 = NEW.sha256)
      OR NOT EXISTS (SELECT 1 FROM assets WHERE asset_id = NEW.asset_id)
      OR NEW.number <> 1 + (SELECT COALESCE(MAX(number), 0) FROM versions WHERE asset_id = NEW.asset_id)
    THEN RAISE(ABORT, 'signoff: rule 2: a version is new bytes and takes the next number')
    WHEN NOT EXISTS (SELECT 1 FROM policy_activations WHERE policy_sha256 = NEW.policy_sha256)
    THEN RAISE(ABORT, 'signoff: rule 2: a version is pinned to a policy that was activated')
  END;
END
--;
CREATE TRIGGER versions_change BEFORE UPDATE ON versions
BEGIN
  SELECT CASE
    WHEN NEW.version_id <> OLD.version_id OR NEW.asset_id <> OLD.asset_id OR NEW.number <> OLD.number
      OR NEW.sha256 <> OLD.sha256 OR NEW.size_bytes <> OLD.size_bytes OR NEW.submitter IS NOT OLD.submitter
      OR NEW.collection <> OLD.collection
    THEN RAISE(ABORT, 'signoff: rule 2: the identity of a version is immutable')
    WHEN NEW.state_seq <= OLD.state_seq OR NOT EXISTS (
      SELECT 1 FROM events
      WHERE seq = NEW.state_seq AND version_id = OLD.version_id AND from_state = COALESCE(OLD.state, '')
        AND to_state = NEW.state AND at = NEW.state_since AND round = NEW.round)
    THEN RAISE(ABORT, 'signoff: rule 2: a state changes only through an event')
  END;
END
--;
CREATE TRIGGER versions_no_delete BEFORE DELETE ON versions
BEGIN SELECT RAISE(ABORT, 'signoff: rule 2: a version is never deleted'); END
--;
CREATE TRIGGER assets_are_born_once BEFORE INSERT ON assets
WHEN EXISTS (SELECT 1 FROM assets WHERE asset_id = NEW.asset_id OR (bucket = NEW.bucket AND key = NEW.key))
BEGIN SELECT RAISE(ABORT, 'signoff: rule 2: the identity of an asset is immutable'); END
--;
CREATE TRIGGER assets_no_update BEFORE UPDATE ON assets
BEGIN SELECT RAISE(ABORT, 'signoff: rule 2: the identity of an asset is immutable'); END
--;
CREATE TRIGGER assets_no_delete BEFORE DELETE ON assets
BEGIN SELECT RAISE(ABORT, 'signoff: rule 2: the identity of an asset is immutable'); END
--;
CREATE TRIGGER custody_is_taken_once BEFORE INSERT ON custody
WHEN NEW.released_at IS NOT NULL OR EXISTS (SELECT 1 FROM custody WHERE custody_id = NEW.custody_id)
BEGIN SELECT RAISE(ABORT, 'signoff: rule 2: a place of custody is only ever released'); END
--;
CREATE TRIGGER custody_is_only_released BEFORE UPDATE ON custody
BEGIN
  SELECT CASE
    WHEN NEW.custody_id <> OLD.custody_id OR NEW.version_id <> OLD.version_id OR NEW.form <> OLD.form
      OR NEW.bucket <> OLD.bucket OR NEW.key <> OLD.key OR NEW.object_version IS NOT OLD.object_version
      OR NEW.etag <> OLD.etag OR NEW.verified_at <> OLD.verified_at OR OLD.released_at IS NOT NULL
    THEN RAISE(ABORT, 'signoff: rule 2: a place of custody is only ever released')
    WHEN NOT EXISTS (
      SELECT 1 FROM custody
      WHERE version_id = OLD.version_id AND custody_id <> OLD.custody_id AND released_at IS NULL)
      AND (SELECT state FROM versions WHERE version_id = OLD.version_id) IS NOT 'disposed'
    THEN RAISE(ABORT, 'signoff: rule 2: the bytes of a version stay in custody until it is disposed of')
  END;
END
--;
CREATE TRIGGER custody_no_delete BEFORE DELETE ON custody
BEGIN SELECT RAISE(ABORT, 'signoff: rule 2: a place of custody is only ever released'); END
--;
-- Rule 3: policies ------------------------------------------------------------------------------------------------------
CREATE TRIGGER policies_no_replace BEFORE INSERT ON policies
WHEN EXISTS (SELECT 1 FROM policies WHERE sha256 = NEW.sha256)
BEGIN SELECT RAISE(ABORT, 'signoff: rule 3: a stored policy is immutable'); END
--;
CREATE TRIGGER policies_no_update BEFORE UPDATE ON policies
BEGIN SELECT RAISE(ABORT, 'signoff: rule 3: a stored policy is immutable'); END
--;
CREATE TRIGGER policies_no_delete BEFORE DELETE ON policies
BEGIN SELECT RAISE(ABORT, 'signoff: rule 3: a stored policy is immutable'); END
--;
CREATE TRIGGER policy_rules_before_activation BEFORE INSERT ON policy_rules
WHEN EXISTS (SELECT 1 FROM policy_activations WHERE policy_sha256 = NEW.policy_sha256)
BEGIN SELECT RAISE(ABORT, 'signoff: rule 3: an activated policy gets no further rules'); END
--;
CREATE TRIGGER policy_rules_no_update BEFORE UPDATE ON policy_rules
BEGIN SELECT RAISE(ABORT, 'signoff: rule 3: a stored policy is immutable'); END
--;
CREATE TRIGGER policy_rules_no_delete BEFORE DELETE ON policy_rules
BEGIN SELECT RAISE(ABORT, 'signoff: rule 3: a stored policy is immutable'); END
--;
CREATE TRIGGER policy_activations_need_two BEFORE INSERT ON policy_activations
BEGIN
  SELECT CASE
    WHEN EXISTS (SELECT 1 FROM policy_activations WHERE activation_id = NEW.activation_id)
    THEN RAISE(ABORT, 'signoff: rule 3: an activation is history')
    WHEN NOT EXISTS (SELECT 1 FROM policies WHERE sha256 = NEW.policy_sha256)
    THEN RAISE(ABORT, 'signoff: rule 3: only a stored policy is activated')
    WHEN EXISTS (SELECT 1 FROM policy_activations)
      AND lower(trim(COALESCE(NEW.seconded_by, ''))) IN ('', lower(trim(NEW.activated_by)))
    THEN RAISE(ABORT, 'signoff: rule 3: after the first, activating a policy needs a second person')
  END;
END
--;
CREATE TRIGGER policy_activations_no_update BEFORE UPDATE ON policy_activations
BEGIN SELECT RAISE(ABORT, 'signoff: rule 3: an activation is history'); END
--;
CREATE TRIGGER policy_activations_no_delete BEFORE DELETE ON policy_activations
BEGIN SELECT RAISE(ABORT, 'signoff: rule 3: an activation is history'); END
--;
-- Rule 4: people, gates, eligibility, decisions -------------------------------------------------------------------------
CREATE TRIGGER people_join_once BEFORE INSERT ON people
WHEN EXISTS (SELECT 1 FROM people WHERE person_id = NEW.person_id OR handle = NEW.handle)
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: a person leaves; the record stays'); END
--;
CREATE TRIGGER people_keep_their_identity BEFORE UPDATE ON people
WHEN NEW.person_id <> OLD.person_id OR NEW.handle <> OLD.handle OR NEW.joined_at <> OLD.joined_at
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: a person leaves; the record stays'); END
--;
CREATE TRIGGER people_no_delete BEFORE DELETE ON people
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: a person leaves; the record stays'); END
--;
CREATE TRIGGER memberships_begin_once BEFORE INSERT ON memberships
WHEN NEW.removed_at IS NOT NULL OR EXISTS (
  SELECT 1 FROM memberships WHERE membership_id = NEW.membership_id
    OR (group_name = NEW.group_name AND person_id = NEW.person_id AND removed_at IS NULL))
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: a membership ends once, now; the record stays'); END
--;
CREATE TRIGGER memberships_end_once BEFORE UPDATE ON memberships
WHEN NEW.membership_id <> OLD.membership_id OR NEW.group_name <> OLD.group_name OR NEW.person_id <> OLD.person_id
  OR NEW.added_at <> OLD.added_at OR OLD.removed_at IS NOT NULL
  OR NEW.removed_at < (SELECT at FROM events ORDER BY seq DESC LIMIT 1)
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: a membership ends once, now; the record stays'); END
--;
CREATE TRIGGER memberships_no_delete BEFORE DELETE ON memberships
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: a membership ends once, now; the record stays'); END
--;
CREATE TRIGGER gates_birth BEFORE INSERT ON gates
BEGIN
  SELECT CASE
    WHEN NEW.outcome IS NOT NULL OR NEW.closed_at IS NOT NULL
      OR EXISTS (SELECT 1 FROM gates WHERE gate_id = NEW.gate_id
                 OR (version_id = NEW.version_id AND round = NEW.round AND stage = NEW.stage))
      OR NOT EXISTS (SELECT 1 FROM versions WHERE version_id = NEW.version_id AND (
                       (state = 'submitted' AND round = NEW.round)
                       OR (state IN ('approved', 'withdrawn') AND round + 1 = NEW.round)))
    THEN RAISE(ABORT, 'signoff: rule 4: a gate is opened once, before the review, without an outcome')
    WHEN EXISTS (SELECT 1 FROM gates WHERE version_id = NEW.version_id AND round = NEW.round AND (
                   (NEW.opened_at IS NOT NULL AND step < NEW.step) OR (opened_at IS NOT NULL AND step > NEW.step)))
    THEN RAISE(ABORT, 'signoff: rule 4: a gate opens when the steps before it have passed')
    WHEN NEW.four_eyes AND NEW.quorum < 2
      AND COALESCE((SELECT trim(submitter) FROM versions WHERE version_id = NEW.version_id), '') = ''
    THEN RAISE(ABORT, 'signoff: rule 4: a submitter who is not known needs a quorum of at least 2')
  END;
END
--;
CREATE TRIGGER gates_change BEFORE UPDATE ON gates
BEGIN
  SELECT CASE
    WHEN NEW.gate_id <> OLD.gate_id OR NEW.version_id <> OLD.version_id OR NEW.round <> OLD.round
      OR NEW.stage <> OLD.stage OR NEW.step <> OLD.step OR NEW.quorum <> OLD.quorum
      OR NEW.four_eyes <> OLD.four_eyes OR NEW.signature <> OLD.signature
      OR (OLD.opened_at IS NOT NULL AND NEW.opened_at IS NOT OLD.opened_at)
    THEN RAISE(ABORT, 'signoff: rule 4: the terms of a gate are immutable')
    WHEN OLD.outcome IS NOT NULL
    THEN RAISE(ABORT, 'signoff: rule 4: a gate with an outcome is closed')
    WHEN NEW.outcome = 'passed' AND (
      OLD.opened_at IS NULL
      OR (SELECT MIN(COUNT(DISTINCT d.person_id), COUNT(DISTINCT d.on_behalf_of))
          FROM decisions d JOIN gate_eligible e
            ON e.gate_id = d.gate_id AND e.person_id = d.person_id AND e.on_behalf_of = d.on_behalf_of
          WHERE d.gate_id = OLD.gate_id AND d.counted AND d.verdict = 'approve') < OLD.quorum
      OR EXISTS (SELECT 1 FROM decisions WHERE gate_id = OLD.gate_id AND counted AND verdict <> 'approve'))
    THEN RAISE(ABORT, 'signoff: rule 4: a gate passes only with its quorum of approvals')
    WHEN NEW.opened_at IS NOT NULL AND OLD.opened_at IS NULL AND EXISTS (
      SELECT 1 FROM gates WHERE version_id = OLD.version_id AND round = OLD.round AND step < OLD.step
        AND outcome IS NOT 'passed')
    THEN RAISE(ABORT, 'signoff: rule 4: a gate opens when the steps before it have passed')
  END;
END
--;
CREATE TRIGGER gates_no_delete BEFORE DELETE ON gates
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: a gate is never deleted'); END
--;
CREATE TRIGGER gate_eligible_birth BEFORE INSERT ON gate_eligible
WHEN NEW.revoked_at IS NOT NULL
  OR NOT EXISTS (SELECT 1 FROM gates WHERE gate_id = NEW.gate_id AND outcome IS NULL)
  OR EXISTS (SELECT 1 FROM gate_eligible
             WHERE gate_id = NEW.gate_id AND person_id = NEW.person_id AND on_behalf_of = NEW.on_behalf_of)
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: eligibility is given once, to a gate without an outcome'); END
--;
CREATE TRIGGER gate_eligible_change BEFORE UPDATE ON gate_eligible
WHEN NEW.gate_id <> OLD.gate_id OR NEW.person_id <> OLD.person_id OR NEW.on_behalf_of <> OLD.on_behalf_of
  OR NEW.via <> OLD.via OR NEW.added_at <> OLD.added_at OR OLD.revoked_at IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: eligibility is only ever revoked'); END
--;
CREATE TRIGGER gate_eligible_no_delete BEFORE DELETE ON gate_eligible
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: eligibility is only ever revoked'); END
--;
CREATE TRIGGER decisions_check BEFORE INSERT ON decisions
BEGIN
  SELECT CASE
    WHEN EXISTS (SELECT 1 FROM decisions WHERE decision_id = NEW.decision_id)
    THEN RAISE(ABORT, 'signoff: rule 4: a decision is final')
    WHEN NEW.counted AND NOT COALESCE(
      g.outcome IS NULL AND g.opened_at IS NOT NULL AND v.state = 'in_review' AND v.round = g.round
      AND v.sha256 = NEW.sha256, 0)
    THEN RAISE(ABORT, 'signoff: rule 4: a decision counts only on an open gate of the round, for these bytes')
    WHEN NOT EXISTS (
      SELECT 1 FROM gate_eligible e
      JOIN people p ON p.person_id = e.person_id JOIN people b ON b.person_id = e.on_behalf_of
      WHERE e.gate_id = NEW.gate_id AND e.person_id = NEW.person_id AND e.on_behalf_of = NEW.on_behalf_of
        AND e.revoked_at IS NULL AND p.left_at IS NULL AND b.left_at IS NULL)
    THEN RAISE(ABORT, 'signoff: rule 4: only an eligible person decides')
    WHEN g.four_eyes AND EXISTS (
      SELECT 1 FROM memberships m
      WHERE m.group_name = v.submitter AND m.person_id IN (NEW.person_id, NEW.on_behalf_of)
        AND (m.removed_at IS NULL OR m.removed_at > (
          SELECT at FROM events WHERE version_id = v.version_id AND action = 'submit')))
    THEN RAISE(ABORT, 'signoff: rule 4: four eyes: who submitted the version does not decide on it')
    WHEN NEW.signature <> 'totp' AND g.signature = 'totp'
    THEN RAISE(ABORT, 'signoff: rule 4: this gate wants a signature')
    WHEN NEW.counted AND EXISTS (
      SELECT 1 FROM decisions WHERE gate_id = NEW.gate_id AND counted
        AND (person_id IN (NEW.person_id, NEW.on_behalf_of) OR on_behalf_of IN (NEW.person_id, NEW.on_behalf_of)))
    THEN RAISE(ABORT, 'signoff: rule 4: one person acts once and one principal counts once in a gate')
  END
  FROM (SELECT 1) LEFT JOIN gates g ON g.gate_id = NEW.gate_id LEFT JOIN versions v ON v.version_id = g.version_id;
END
--;
CREATE TRIGGER decisions_no_update BEFORE UPDATE ON decisions
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: a decision is final'); END
--;
CREATE TRIGGER decisions_no_delete BEFORE DELETE ON decisions
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: a decision is final'); END
--;
-- Rules 5, 6 and 7: effects, holds, retentions --------------------------------------------------------------------------
CREATE TRIGGER effects_birth BEFORE INSERT ON effects
BEGIN
  SELECT CASE
    WHEN NEW.status <> 'open' OR NEW.closed_at IS NOT NULL
      OR EXISTS (SELECT 1 FROM effects WHERE effect_id = NEW.effect_id)
      OR EXISTS (SELECT 1 FROM effects WHERE version_id = NEW.version_id AND status = 'open')
    THEN RAISE(ABORT, 'signoff: rule 7: at most one open effect a version')
    WHEN v.sha256 IS NOT NEW.sha256 OR NOT COALESCE(CASE NEW.kind
      WHEN 'publish' THEN v.state IN ('approved', 'withdrawn')
      WHEN 'withdraw' THEN v.state = 'published'
      WHEN 'archive' THEN EXISTS (SELECT 1 FROM lifecycle WHERE from_state = v.state AND action = 'archive')
      WHEN 'restore' THEN v.state = 'archived'
      WHEN 'dispose' THEN EXISTS (SELECT 1 FROM lifecycle WHERE from_state = v.state AND action = 'dispose')
      END, 0)
    THEN RAISE(ABORT, 'signoff: rule 5: this effect does not fit the state or the bytes of the version')
    WHEN NEW.kind = 'dispose' AND (
      EXISTS (SELECT 1 FROM holds WHERE version_id = NEW.version_id AND released_at IS NULL)
      OR EXISTS (SELECT 1 FROM retentions WHERE version_id = NEW.version_id AND until_at > NEW.opened_at))
    THEN RAISE(ABORT, 'signoff: rule 6: what is held or retained is not disposed of')
  END
  FROM (SELECT 1) LEFT JOIN versions v ON v.version_id = NEW.version_id;
END
--;
CREATE TRIGGER effects_change BEFORE UPDATE ON effects
WHEN NEW.effect_id <> OLD.effect_id OR NEW.version_id <> OLD.version_id
  OR NEW.kind <> OLD.kind OR NEW.sha256 <> OLD.sha256 OR NEW.opened_at <> OLD.opened_at
  OR NEW.reason IS NOT OLD.reason OR NEW.rule IS NOT OLD.rule OR NEW.storage_class IS NOT OLD.storage_class
  OR (NEW.status = 'open') <> (NEW.closed_at IS NULL)
  OR (OLD.status <> 'open' AND (NEW.status <> OLD.status OR NEW.closed_at IS NOT OLD.closed_at
                                OR NEW.attempts <> OLD.attempts OR OLD.result IS NOT NULL))
BEGIN SELECT RAISE(ABORT, 'signoff: rule 7: an effect is closed once and keeps its terms'); END
--;
CREATE TRIGGER effects_no_delete BEFORE DELETE ON effects
BEGIN SELECT RAISE(ABORT, 'signoff: rule 7: an effect is never deleted'); END
--;
CREATE TRIGGER holds_are_placed_once BEFORE INSERT ON holds
BEGIN
  SELECT CASE
    WHEN NEW.released_at IS NOT NULL OR EXISTS (SELECT 1 FROM holds WHERE hold_id = NEW.hold_id)
    THEN RAISE(ABORT, 'signoff: rule 6: a hold is placed once and released once')
    WHEN EXISTS (SELECT 1 FROM effects WHERE version_id = NEW.version_id AND kind = 'dispose' AND status = 'open')
    THEN RAISE(ABORT, 'signoff: rule 6: a hold cancels an open disposal before it is placed')
    WHEN NOT EXISTS (SELECT 1 FROM versions WHERE version_id = NEW.version_id AND state <> 'disposed')
    THEN RAISE(ABORT, 'signoff: rule 6: what is disposed of cannot be kept')
  END;
END
--;
CREATE TRIGGER holds_are_released_once BEFORE UPDATE ON holds
WHEN NEW.hold_id <> OLD.hold_id OR NEW.version_id <> OLD.version_id OR NEW.matter <> OLD.matter
  OR NEW.placed_by <> OLD.placed_by OR NEW.placed_at <> OLD.placed_at OR OLD.released_at IS NOT NULL
  OR NEW.released_at IS NULL OR COALESCE(trim(NEW.released_by), '') = ''
BEGIN SELECT RAISE(ABORT, 'signoff: rule 6: a hold is placed once and released once'); END
--;
CREATE TRIGGER holds_no_delete BEFORE DELETE ON holds
BEGIN SELECT RAISE(ABORT, 'signoff: rule 6: a hold is placed once and released once'); END
--;
CREATE TRIGGER retentions_only_lengthen BEFORE INSERT ON retentions
BEGIN
  SELECT CASE
    WHEN EXISTS (SELECT 1 FROM retentions WHERE retention_id = NEW.retention_id)
    THEN RAISE(ABORT, 'signoff: rule 6: a retention is never shortened')
    WHEN EXISTS (SELECT 1 FROM effects WHERE version_id = NEW.version_id AND kind = 'dispose' AND status = 'open')
    THEN RAISE(ABORT, 'signoff: rule 6: a retention cancels an open disposal before it is set')
    WHEN NOT EXISTS (SELECT 1 FROM versions WHERE version_id = NEW.version_id AND state <> 'disposed')
    THEN RAISE(ABORT, 'signoff: rule 6: what is disposed of cannot be kept')
  END;
END
--;
CREATE TRIGGER retentions_no_update BEFORE UPDATE ON retentions
BEGIN SELECT RAISE(ABORT, 'signoff: rule 6: a retention is never shortened'); END
--;
CREATE TRIGGER retentions_no_delete BEFORE DELETE ON retentions
BEGIN SELECT RAISE(ABORT, 'signoff: rule 6: a retention is never shortened'); END
