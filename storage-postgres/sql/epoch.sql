-- The epoch; where there is none it becomes the instant $1. No row: another has just made it.
WITH made AS (
    INSERT INTO mintage.epoch (one, epoch)
    SELECT true, $1::int8 WHERE NOT EXISTS (SELECT FROM mintage.epoch)
    ON CONFLICT DO NOTHING
    RETURNING epoch
)
SELECT epoch FROM made
UNION ALL
SELECT epoch FROM mintage.epoch
