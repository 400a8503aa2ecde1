-- Since 0012, on SQLite: each round that waits to be parked gets a random token, which stays. The PostgreSQL file beside
-- this one says the same.
CREATE TRIGGER parkings_get_tokens AFTER INSERT ON parkings
WHEN NEW.status = 'to_park'
BEGIN
  INSERT INTO round_tokens (review_id, round, token) VALUES (NEW.review_id, NEW.round, lower(hex(randomblob(16))));
END
--;
CREATE TRIGGER round_tokens_come_once BEFORE INSERT ON round_tokens
WHEN EXISTS (SELECT 1 FROM round_tokens WHERE review_id = NEW.review_id AND round = NEW.round)
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: the token of a round stays'); END
--;
CREATE TRIGGER round_tokens_no_update BEFORE UPDATE ON round_tokens
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: the token of a round stays'); END
--;
CREATE TRIGGER round_tokens_no_delete BEFORE DELETE ON round_tokens
BEGIN SELECT RAISE(ABORT, 'signoff: rule 4: the token of a round stays'); END
