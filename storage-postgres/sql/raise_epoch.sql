-- Raises the epoch to max(stored + 1 ms, $1): `Epoch::raised`.
INSERT INTO mintage.epoch AS e (one, epoch)
VALUES (true, $1)
ON CONFLICT (one) DO UPDATE SET epoch = greatest(e.epoch + 1, excluded.epoch)
RETURNING epoch
