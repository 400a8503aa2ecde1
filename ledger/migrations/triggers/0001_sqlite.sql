-- What the ledger enforces by itself, on SQLite. The PostgreSQL file beside this one says the same.
-- Statements are separated by a line that holds only `--;`. Every refusal begins with "signoff:" and names the rule.
-- BEFORE INSERT refusals of existing keys are what stops REPLACE, which skips DELETE triggers.

-- Rule 1: the audit trail is append-only and gap-free -----------------------------------------------------------------
CREATE TRIGGER events_no_update BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'signoff: rule 1: the audit trail is append-only'); END
--;
CREATE TRIGGER events_no_delete BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'signoff: rule 1: the audit trail is append-only'); END
--;
CREATE TRIGGER events_in_sequence BEFORE INSERT ON events
WHEN NEW.seq IS NOT (SELECT seq + 1 FROM chain_head)
  OR instr(NEW.body, '"prev":"' || (SELECT hash FROM chain_head) || '"') = 0
  OR length(NEW.hash) <> 64
BEGIN SELECT RAISE(ABORT, 'signoff: rule 1: an event must follow the head of the chain'); END
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
-- Rule 2: a state changes only through an event of the lifecycle ------------------------------------------------------
CREATE TRIGGER lifecycle_no_insert BEFORE INSERT ON lifecycle
BEGIN SELECT RAISE(ABORT, 'signoff: rule 2: the lifecycle is immutable'); END
--;
CREATE TRIGGER lifecycle_no_update BEFORE UPDATE ON lifecycle
BEGIN SELECT RAISE(ABORT, 'signoff: rule 2: the lifecycle is immutable'); END
--;
CREATE TRIGGER lifecycle_no_delete BEFORE DELETE ON lifecycle
BEGIN SELECT RAISE(ABORT, 'signoff: rule 2: the lifecycle is immutable'); END
--;
CREATE TRIGGER versions_are_born_without_state BEFORE INSERT ON versions
WHEN NEW.state IS NOT NULL OR NEW.state_seq <> 0 OR NEW.state_since IS NOT NULL OR NEW.round <> 1
  OR NEW.archived_from IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'signoff: rule 2: a version is born without a state'); END
--;
CREATE TRIGGER versions_are_born_once BEFORE INSERT ON versions
WHEN EXISTS (SELECT 1 FROM versions WHERE version_id = NEW.version_id)
  OR EXISTS (SELECT 1 FROM versions WHERE asset_id = NEW.asset_id AND sha256 = NEW.sha256)
  OR NEW.number <> 1 + (SELECT COALESCE(MAX(number), 0) FROM versions WHERE asset_id = NEW.asset_id)
BEGIN SELECT RAISE(ABORT, 'signoff: rule 2: a version is new bytes and takes the next number'); END
--;
CREATE TRIGGER versions_are_pinned_to_an_active_policy BEFORE INSERT ON versions
WHEN NOT EXISTS (SELECT 1 FROM policy_activations WHERE policy_sha256 = NEW.policy_sha256)
BEGIN SELECT RAISE(ABORT, 'signoff: rule 2: a version is pinned to a policy that was activated'); END
--;
CREATE TRIGGER versions_keep_their_identity BEFORE UPDATE ON versions
WHEN NEW.version_id <> OLD.version_id OR NEW.asset_id <> OLD.asset_id OR NEW.number <> OLD.number
  OR NEW.sha256 <> OLD.sha256 OR NEW.size_bytes <> OLD.size_bytes OR NEW.submitter IS NOT OLD.submitter
  OR NEW.collection <> OLD.collection
BEGIN SELECT RAISE(ABORT, 'signoff: rule 2: the identity of a version is immutable'); END
--;
CREATE TRIGGER versions_change_only_by_event BEFORE UPDATE ON versions
WHEN NEW.state_seq <= OLD.state_seq OR NOT EXISTS (
  SELECT 1 FROM events
  WHERE seq = NEW.state_seq AND version_id = OLD.version_id AND from_state = COALESCE(OLD.state, '')
    AND to_state = NEW.state AND at = NEW.state_since AND round = NEW.round)
BEGIN SELECT RAISE(ABORT, 'signoff: rule 2: a state changes only through an event'); END
--;
CREATE TRIGGER versions_no_delete BEFORE DELETE ON versions
BEGIN SELECT RAISE(ABORT, 'signoff: rule 2: a version is never deleted'); END
--;
CREATE TRIGGER assets_keep_their_identity BEFORE UPDATE ON assets
BEGIN SELECT RAISE(ABORT, 'signoff: rule 2: the identity of an asset is immutable'); END
--;
CREATE TRIGGER assets_are_born_once BEFORE INSERT ON assets
WHEN EXISTS (SELECT 1 FROM assets WHERE asset_id = NEW.asset_id OR (bucket = NEW.bucket AND key = NEW.key))
BEGIN SELECT RAISE(ABORT, 'signoff: rule 2: an asset exists already'); END
--;
CREATE TRIGGER assets_no_delete BEFORE DELETE ON assets
BEGIN SELECT RAISE(ABORT, 'signoff: rule 2: an asset is never deleted'); END
--;
CREATE TRIGGER events_follow_the_lifecycle BEFORE INSERT ON events
WHEN NEW.to_state IS NOT NULL AND NOT EXISTS (
  SELECT 1 FROM lifecycle WHERE from_state = NEW.from_state AND action = NEW.action AND to_state = NEW.to_state)
BEGIN SELECT RAISE(ABORT, 'signoff: rule 2: this step is not in the lifecycle'); END
--;
CREATE TRIGGER events_name_both_states BEFORE INSERT ON events
WHEN (NEW.to_state IS NULL) <> (NEW.from_state IS NULL)
  OR (NEW.to_state IS NULL AND EXISTS (SELECT 1 FROM lifecycle WHERE action = NEW.action))
BEGIN SELECT RAISE(ABORT, 'signoff: rule 2: an action of the lifecycle names the states it leads from and to'); END
--;
CREATE TRIGGER events_start_from_the_present_state BEFORE INSERT ON events
WHEN NEW.to_state IS NOT NULL
  AND NEW.from_state IS NOT (SELECT COALESCE(state, '') FROM versions WHERE version_id = NEW.version_id)
BEGIN SELECT RAISE(ABORT, 'signoff: rule 2: stale: the version is not in the state that the event starts from'); END
--;
CREATE TRIGGER events_count_rounds BEFORE INSERT ON events
WHEN NEW.to_state IS NOT NULL AND NEW.round IS NOT
  (SELECT round + (NEW.action IN ('reopen', 'review_again')) FROM versions WHERE version_id = NEW.version_id)
BEGIN SELECT RAISE(ABORT, 'signoff: rule 2: only reopen and review_again begin a new round'); END
--;
CREATE TRIGGER events_submit_needs_custody BEFORE INSERT ON events
WHEN NEW.action = 'submit'
  AND NOT EXISTS (SELECT 1 FROM custody WHERE version_id = NEW.version_id AND released_at IS NULL)
BEGIN SELECT RAISE(ABORT, 'signoff: rule 2: submit needs the bytes in custody'); END
--;
CREATE TRIGGER events_say_why BEFORE INSERT ON events
WHEN (NEW.action IN ('withdraw', 'release', 'reopen', 'restore', 'review_again', 'quarantine')
      OR (NEW.action = 'reject' AND NEW.from_state <> 'in_review'))
  AND COALESCE(trim(NEW.reason), '') = ''
BEGIN SELECT RAISE(ABORT, 'signoff: rule 2: this action needs a reason'); END
--;
CREATE TRIGGER events_release_by_a_person BEFORE INSERT ON events
WHEN NEW.action = 'release' AND (NEW.actor NOT LIKE 'person:%' OR EXISTS (
  SELECT 1 FROM versions v JOIN versions n ON n.asset_id = v.asset_id AND n.number > v.number
  WHERE v.version_id = NEW.version_id))
BEGIN SELECT RAISE(ABORT, 'signoff: rule 2: release is for a person, while there is no newer version'); END
--;
CREATE TRIGGER events_supersede_needs_a_newer_version BEFORE INSERT ON events
WHEN NEW.action = 'supersede' AND NOT EXISTS (
  SELECT 1 FROM versions v JOIN versions n ON n.asset_id = v.asset_id AND n.number > v.number
  WHERE v.version_id = NEW.version_id AND n.state IS NOT NULL AND n.state NOT IN ('submitted', 'quarantined'))
BEGIN SELECT RAISE(ABORT, 'signoff: rule 2: supersede needs a newer version that has left screening'); END
--;
CREATE TRIGGER events_restore_to_where_it_was BEFORE INSERT ON events
WHEN NEW.action = 'restore'
  AND NEW.to_state IS NOT (SELECT archived_from FROM versions WHERE version_id = NEW.version_id)
BEGIN SELECT RAISE(ABORT, 'signoff: rule 2: restore leads to the state before archiving'); END
--;
-- Rule 3: approval needs every gate, or a recorded automatic rule of the pinned policy --------------------------------
CREATE TRIGGER events_approve_needs_gates BEFORE INSERT ON events
WHEN NEW.action = 'approve' AND NEW.from_state = 'in_review' AND (
  NOT EXISTS (SELECT 1 FROM gates WHERE version_id = NEW.version_id AND round = NEW.round)
  OR EXISTS (SELECT 1 FROM gates
             WHERE version_id = NEW.version_id AND round = NEW.round AND outcome IS NOT 'passed'))
BEGIN SELECT RAISE(ABORT, 'signoff: rule 3: approve needs every gate of the round passed'); END
--;
CREATE TRIGGER events_approve_needs_a_rule BEFORE INSERT ON events
WHEN NEW.action = 'approve' AND NEW.from_state = 'submitted' AND NOT EXISTS (
  SELECT 1 FROM versions v JOIN policy_rules r ON r.policy_sha256 = v.policy_sha256
  WHERE v.version_id = NEW.version_id AND r.rule = NEW.rule AND v.policy_sha256 = NEW.policy_sha256)
BEGIN SELECT RAISE(ABORT, 'signoff: rule 3: automatic approval needs a rule of the pinned policy'); END
--;
CREATE TRIGGER events_open_gates_needs_gates BEFORE INSERT ON events
WHEN NEW.to_state = 'in_review' AND NOT EXISTS (
  SELECT 1 FROM gates
  WHERE version_id = NEW.version_id AND round = NEW.round AND opened_at IS NOT NULL AND outcome IS NULL)
BEGIN SELECT RAISE(ABORT, 'signoff: rule 3: in_review needs an open gate of this round'); END
--;
CREATE TRIGGER events_negative_needs_a_gate BEFORE INSERT ON events
WHEN NEW.from_state = 'in_review' AND NEW.action IN ('reject', 'request_changes') AND NOT EXISTS (
  SELECT 1 FROM gates WHERE version_id = NEW.version_id AND round = NEW.round
    AND outcome = CASE NEW.action WHEN 'reject' THEN 'rejected' ELSE 'changes_requested' END)
BEGIN SELECT RAISE(ABORT, 'signoff: rule 3: a negative outcome needs the gate that gave it'); END
--;
CREATE TRIGGER policies_no_update BEFORE UPDATE ON policies
BEGIN SELECT RAISE(ABORT, 'signoff: rule 3: a stored policy is immutable'); END
--;
CREATE TRIGGER policies_no_delete BEFORE DELETE ON policies
BEGIN SELECT RAISE(ABORT, 'signoff: rule 3: a stored policy is immutable'); END
--;
CREATE TRIGGER policies_no_replace BEFORE INSERT ON policies
WHEN EXISTS (SELECT 1 FROM policies WHERE sha256 = NEW.sha256)
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
WHEN EXISTS (SELECT 1 FROM policy_activations WHERE activation_id = NEW.activation_id)
  OR (EXISTS (SELECT 1 FROM policy_activations)
      AND (NEW.seconded_by IS NULL OR NEW.seconded_by = NEW.activated_by))
BEGIN SELECT RAISE(ABORT, 'signoff: rule 3: after the first, activating a policy needs a second person'); END
--;
CREATE TRIGGER policy_activations_no_update BEFORE UPDATE ON policy_activations
BEGIN SELECT RAISE(ABORT, 'signoff: rule 3: an activation is history'); END
--;
CREATE TRIGGER policy_activations_no_delete BEFORE DELETE ON policy_activations
BEGIN SELECT RAISE(ABORT, 'signoff: rule 3: an activation is history'); END
--;
-- Rule 4: a gate passes only with its quorum of distinct, eligible people ----------------------------------------------
CREATE TRIGGER gates_are_born_open BEFORE INSERT ON gates
WHEN NEW.outcome IS NOT NULL OR NEW.closed_at IS NOT NULL
  OR EXISTS (SELECT 1 FROM gates WHERE gate_id = NEW.gate_id
             OR (version_id = NEW.version_id AND round = NEW.round AND stage = NEW.stage))
  OR NOT EXISTS (SELECT 1 FROM versions WHERE version_id = NEW.version_id AND (
                   (state = 'submitted' AND round = NEW.round)
                   OR (state IN ('approved', 'withdrawn') AND round + 1 = NEW.round)))
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: a gate is opened once, before the review, without an outcome'); END
--;
CREATE TRIGGER gates_unknown_submitter_needs_two BEFORE INSERT ON gates
WHEN NEW.four_eyes AND NEW.quorum < 2
  AND (SELECT submitter FROM versions WHERE version_id = NEW.version_id) IS NULL
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: a submitter who is not known needs a quorum of at least 2'); END
--;
CREATE TRIGGER gates_keep_their_terms BEFORE UPDATE ON gates
WHEN NEW.gate_id <> OLD.gate_id OR NEW.version_id <> OLD.version_id OR NEW.round <> OLD.round
  OR NEW.stage <> OLD.stage OR NEW.step <> OLD.step OR NEW.quorum <> OLD.quorum
  OR NEW.four_eyes <> OLD.four_eyes OR NEW.signature <> OLD.signature
  OR (OLD.opened_at IS NOT NULL AND NEW.opened_at IS NOT OLD.opened_at)
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: the terms of a gate are immutable'); END
--;
CREATE TRIGGER gates_outcome_locks BEFORE UPDATE ON gates
WHEN OLD.outcome IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: a gate with an outcome is closed'); END
--;
CREATE TRIGGER gates_pass_with_quorum BEFORE UPDATE ON gates
WHEN NEW.outcome = 'passed' AND (
  OLD.opened_at IS NULL
  OR (SELECT MIN(COUNT(DISTINCT d.person_id), COUNT(DISTINCT d.on_behalf_of))
      FROM decisions d JOIN gate_eligible e
        ON e.gate_id = d.gate_id AND e.person_id = d.person_id AND e.on_behalf_of = d.on_behalf_of
      WHERE d.gate_id = OLD.gate_id AND d.counted AND d.verdict = 'approve') < OLD.quorum
  OR EXISTS (SELECT 1 FROM decisions WHERE gate_id = OLD.gate_id AND counted AND verdict <> 'approve'))
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: a gate passes only with its quorum of approvals'); END
--;
CREATE TRIGGER gates_steps_in_order BEFORE UPDATE ON gates
WHEN NEW.opened_at IS NOT NULL AND OLD.opened_at IS NULL AND EXISTS (
  SELECT 1 FROM gates WHERE version_id = OLD.version_id AND round = OLD.round AND step < OLD.step
    AND outcome IS NOT 'passed')
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: a gate opens when the steps before it have passed'); END
--;
CREATE TRIGGER gates_no_delete BEFORE DELETE ON gates
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: a gate is never deleted'); END
--;
CREATE TRIGGER gate_eligible_before_outcome BEFORE INSERT ON gate_eligible
WHEN NEW.revoked_at IS NOT NULL
  OR EXISTS (SELECT 1 FROM gates WHERE gate_id = NEW.gate_id AND outcome IS NOT NULL)
  OR EXISTS (SELECT 1 FROM gate_eligible
             WHERE gate_id = NEW.gate_id AND person_id = NEW.person_id AND on_behalf_of = NEW.on_behalf_of)
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: eligibility is given once, to an open gate'); END
--;
CREATE TRIGGER gate_eligible_only_revoked BEFORE UPDATE ON gate_eligible
WHEN NEW.gate_id <> OLD.gate_id OR NEW.person_id <> OLD.person_id OR NEW.on_behalf_of <> OLD.on_behalf_of
  OR NEW.via <> OLD.via OR NEW.added_at <> OLD.added_at OR OLD.revoked_at IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: eligibility is only ever revoked'); END
--;
CREATE TRIGGER gate_eligible_no_delete BEFORE DELETE ON gate_eligible
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: eligibility is revoked, never deleted'); END
--;
CREATE TRIGGER decisions_on_open_gates BEFORE INSERT ON decisions
WHEN NEW.counted AND NOT EXISTS (
  SELECT 1 FROM gates g JOIN versions v ON v.version_id = g.version_id
  WHERE g.gate_id = NEW.gate_id AND g.outcome IS NULL AND g.opened_at IS NOT NULL
    AND v.state = 'in_review' AND v.round = g.round AND v.sha256 = NEW.sha256)
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: a decision counts only on an open gate of the round, for these bytes'); END
--;
CREATE TRIGGER decisions_by_the_eligible BEFORE INSERT ON decisions
WHEN NOT EXISTS (
  SELECT 1 FROM gate_eligible e
  JOIN people p ON p.person_id = e.person_id JOIN people b ON b.person_id = e.on_behalf_of
  WHERE e.gate_id = NEW.gate_id AND e.person_id = NEW.person_id AND e.on_behalf_of = NEW.on_behalf_of
    AND e.revoked_at IS NULL AND p.left_at IS NULL AND b.left_at IS NULL)
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: only an eligible person decides'); END
--;
CREATE TRIGGER decisions_four_eyes BEFORE INSERT ON decisions
WHEN EXISTS (
  SELECT 1 FROM gates g JOIN versions v ON v.version_id = g.version_id
  JOIN memberships m ON m.group_name = v.submitter
  WHERE g.gate_id = NEW.gate_id AND g.four_eyes AND m.person_id IN (NEW.person_id, NEW.on_behalf_of)
    AND (m.removed_at IS NULL OR m.removed_at > (SELECT at FROM events WHERE version_id = v.version_id ORDER BY seq LIMIT 1)))
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: four eyes: who submitted the version does not decide on it'); END
--;
CREATE TRIGGER decisions_signed_as_required BEFORE INSERT ON decisions
WHEN NEW.signature <> 'totp' AND (SELECT signature FROM gates WHERE gate_id = NEW.gate_id) = 'totp'
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: this gate wants a signature'); END
--;
CREATE TRIGGER decisions_once BEFORE INSERT ON decisions
WHEN EXISTS (SELECT 1 FROM decisions WHERE decision_id = NEW.decision_id)
  OR (NEW.counted AND EXISTS (
    SELECT 1 FROM decisions WHERE gate_id = NEW.gate_id AND counted
      AND (person_id IN (NEW.person_id, NEW.on_behalf_of) OR on_behalf_of IN (NEW.person_id, NEW.on_behalf_of))))
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: one person acts once and one principal counts once in a gate'); END
--;
CREATE TRIGGER decisions_no_update BEFORE UPDATE ON decisions
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: a decision is final'); END
--;
CREATE TRIGGER decisions_no_delete BEFORE DELETE ON decisions
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: a decision is final'); END
--;
-- Rules 5 and 7: storage changes through effects, one open at a time ---------------------------------------------------
CREATE TRIGGER events_wait_for_open_effects BEFORE INSERT ON events
WHEN NEW.to_state IS NOT NULL
  AND EXISTS (SELECT 1 FROM effects WHERE version_id = NEW.version_id AND status = 'open')
BEGIN SELECT RAISE(ABORT, 'signoff: rule 7: an open effect must be done or cancelled first'); END
--;
CREATE TRIGGER events_need_their_effect BEFORE INSERT ON events
WHEN (NEW.action IN ('publish', 'republish', 'archive', 'restore', 'dispose')
      OR (NEW.action = 'withdraw' AND NEW.reason <> 'superseded'))
  AND NOT EXISTS (
    SELECT 1 FROM effects e JOIN versions v ON v.version_id = e.version_id
    WHERE e.effect_id = NEW.effect_id AND e.version_id = NEW.version_id AND e.status = 'done'
      AND e.kind = CASE NEW.action WHEN 'republish' THEN 'publish' ELSE NEW.action END AND e.sha256 = v.sha256)
BEGIN SELECT RAISE(ABORT, 'signoff: rule 5: this action needs its own effect, done, for these bytes'); END
--;
CREATE TRIGGER events_use_an_effect_once BEFORE INSERT ON events
WHEN NEW.effect_id IS NOT NULL AND NEW.to_state IS NOT NULL
  AND EXISTS (SELECT 1 FROM events WHERE effect_id = NEW.effect_id AND to_state IS NOT NULL)
BEGIN SELECT RAISE(ABORT, 'signoff: rule 5: an effect brings one change of state'); END
--;
CREATE TRIGGER events_superseded_by_publication BEFORE INSERT ON events
WHEN NEW.action = 'withdraw' AND NEW.reason = 'superseded' AND NOT EXISTS (
  SELECT 1 FROM versions v JOIN versions n ON n.asset_id = v.asset_id AND n.number > v.number
  JOIN effects e ON e.version_id = n.version_id AND e.kind = 'publish' AND e.status = 'done'
  WHERE v.version_id = NEW.version_id AND n.state = 'approved')
BEGIN SELECT RAISE(ABORT, 'signoff: rule 5: superseded needs a newer version whose publish effect is done'); END
--;
CREATE TRIGGER effects_are_born_open BEFORE INSERT ON effects
WHEN NEW.status <> 'open' OR NEW.closed_at IS NOT NULL
  OR EXISTS (SELECT 1 FROM effects WHERE effect_id = NEW.effect_id)
  OR EXISTS (SELECT 1 FROM effects WHERE version_id = NEW.version_id AND status = 'open')
BEGIN SELECT RAISE(ABORT, 'signoff: rule 7: at most one open effect a version'); END
--;
CREATE TRIGGER effects_fit_the_state BEFORE INSERT ON effects
WHEN NOT EXISTS (
  SELECT 1 FROM versions v WHERE v.version_id = NEW.version_id AND v.sha256 = NEW.sha256 AND CASE NEW.kind
    WHEN 'publish' THEN v.state IN ('approved', 'withdrawn')
    WHEN 'withdraw' THEN v.state = 'published'
    WHEN 'archive' THEN EXISTS (SELECT 1 FROM lifecycle l WHERE l.from_state = v.state AND l.action = 'archive')
    WHEN 'restore' THEN v.state = 'archived'
    WHEN 'dispose' THEN EXISTS (SELECT 1 FROM lifecycle l WHERE l.from_state = v.state AND l.action = 'dispose')
    END)
BEGIN SELECT RAISE(ABORT, 'signoff: rule 5: this effect does not fit the state or the bytes of the version'); END
--;
CREATE TRIGGER effects_close_once BEFORE UPDATE ON effects
WHEN NEW.effect_id <> OLD.effect_id OR NEW.version_id <> OLD.version_id
  OR NEW.kind <> OLD.kind OR NEW.sha256 <> OLD.sha256 OR NEW.opened_at <> OLD.opened_at
  OR (OLD.status <> 'open' AND (NEW.status <> OLD.status OR NEW.closed_at IS NOT OLD.closed_at
                                OR NEW.attempts <> OLD.attempts OR OLD.result IS NOT NULL))
BEGIN SELECT RAISE(ABORT, 'signoff: rule 7: an effect is closed once and keeps its terms'); END
--;
CREATE TRIGGER effects_no_delete BEFORE DELETE ON effects
BEGIN SELECT RAISE(ABORT, 'signoff: rule 7: an effect is never deleted'); END
--;
-- People -----------------------------------------------------------------------------------------------------------
CREATE TRIGGER people_no_delete BEFORE DELETE ON people
BEGIN SELECT RAISE(ABORT, 'signoff: a person leaves; the record stays'); END
--;
CREATE TRIGGER people_no_replace BEFORE INSERT ON people
WHEN EXISTS (SELECT 1 FROM people WHERE person_id = NEW.person_id OR handle = NEW.handle)
BEGIN SELECT RAISE(ABORT, 'signoff: this person exists already'); END
--;
CREATE TRIGGER memberships_no_delete BEFORE DELETE ON memberships
BEGIN SELECT RAISE(ABORT, 'signoff: a membership ends; the record stays'); END
--;
-- What an event does ----------------------------------------------------------------------------------------------------
CREATE TRIGGER events_apply_head AFTER INSERT ON events
BEGIN UPDATE chain_head SET seq = NEW.seq, hash = NEW.hash WHERE one = 1; END
--;
CREATE TRIGGER events_apply_state AFTER INSERT ON events
WHEN NEW.to_state IS NOT NULL
BEGIN
  UPDATE versions SET
    state = NEW.to_state, state_seq = NEW.seq, state_since = NEW.at, round = NEW.round,
    policy_sha256 = CASE WHEN NEW.action IN ('reopen', 'review_again')
                         THEN COALESCE(NEW.policy_sha256, policy_sha256) ELSE policy_sha256 END,
    archived_from = CASE WHEN NEW.action = 'archive' THEN NEW.from_state END
  WHERE version_id = NEW.version_id;
END
