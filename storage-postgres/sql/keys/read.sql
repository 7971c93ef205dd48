-- The ring as it stands: its revision beside every key, or beside none. No row: it was not set up.
SELECT revision, kid, signs_from, signs_until, version, algorithm, kek, sealed
FROM mintage.key_ring
LEFT JOIN mintage.keys ON true
