-- The key ring that nodes share. Instants are milliseconds since 1970; no `signs_until`: the key has
-- no successor yet. `sealed` is a nonce and the key's seed under the key-encryption key named `kek`,
-- with every other column and the ring's revision bound to it: a row is read as it was written, in
-- the revision in which it was written, or not at all.
CREATE TABLE mintage.keys (
    kid          bytea PRIMARY KEY,
    signs_from   int8 NOT NULL,
    signs_until  int8,
    version      int2 NOT NULL,
    algorithm    text COLLATE "C" NOT NULL,
    kek          text COLLATE "C" NOT NULL,
    sealed       bytea NOT NULL
);

-- The one row that every change of the ring raises, and on which it waits for any other.
CREATE TABLE mintage.key_ring (
    one       bool PRIMARY KEY CHECK (one),
    revision  int8 NOT NULL
);
INSERT INTO mintage.key_ring (one, revision) VALUES (true, 0);
