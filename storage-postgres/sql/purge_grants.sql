-- Drops at most $4 grants of the pages from $1 on and before $2 that need not be kept at $3. What
-- another operation is at is left for the next sweep.
DELETE FROM mintage.grants
WHERE keep_until <= $3
  AND ctid = ANY (ARRAY(
    SELECT ctid FROM mintage.grants
    WHERE ctid >= $1::tid AND ctid < $2::tid AND keep_until <= $3
    LIMIT $4
    FOR UPDATE SKIP LOCKED
  ))
