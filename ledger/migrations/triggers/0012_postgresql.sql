-- Since 0012, on PostgreSQL: each round that waits to be parked gets a random token, which stays. The SQLite file beside
-- this one says the same.
CREATE FUNCTION signoff_give_token() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.status = 'to_park' THEN
    INSERT INTO round_tokens (review_id, round, token)
    VALUES (NEW.review_id, NEW.round, replace(gen_random_uuid()::text, '-', ''));
  END IF;
  RETURN NEW;
END $$
--;
CREATE TRIGGER parkings_get_tokens AFTER INSERT ON parkings FOR EACH ROW EXECUTE FUNCTION signoff_give_token()
--;
CREATE FUNCTION signoff_keep_token() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP <> 'INSERT'
     OR EXISTS (SELECT 1 FROM round_tokens WHERE review_id = NEW.review_id AND round = NEW.round) THEN
    PERFORM signoff_say('rule 4: the token of a round stays');
  END IF;
  RETURN NEW;
END $$
--;
CREATE TRIGGER round_tokens_come_once BEFORE INSERT ON round_tokens FOR EACH ROW EXECUTE FUNCTION signoff_keep_token()
--;
CREATE TRIGGER round_tokens_no_update BEFORE UPDATE ON round_tokens FOR EACH ROW EXECUTE FUNCTION signoff_keep_token()
--;
CREATE TRIGGER round_tokens_no_delete BEFORE DELETE ON round_tokens FOR EACH ROW EXECUTE FUNCTION signoff_keep_token()
