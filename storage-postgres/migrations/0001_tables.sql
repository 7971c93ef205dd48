-- What the store keeps. Instants are milliseconds since 1970; a credential and an identity are
-- written as 'TYPE id'. A grant's id is its locator and its tail; a login and a successor have the
-- locator of the grant that names them, so only their tails are kept.
--
-- The locator leads every index, so that it can be the distribution column of a sharded database.
-- No other column is indexed: an update of a row touches no index (it is "heap only"), as long as
-- its page has room, for which the fill factor leaves space. Vacuum comes early, for rows are
-- short-lived.

CREATE TABLE mintage.heads (
    revoked_to  int8 NOT NULL,
    revoked_at  int8 NOT NULL,
    keep_until  int8 NOT NULL,
    version     int2 NOT NULL,
    locator     bytea NOT NULL,
    generation  bytea NOT NULL,
    tenant      text COLLATE "C" NOT NULL,
    credential  text COLLATE "C" NOT NULL,
    PRIMARY KEY (locator)
) WITH (
    fillfactor = 80,
    autovacuum_vacuum_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.1
);

CREATE TABLE mintage.grants (
    -- Fixed when it is issued; a step-up may change scope and claims.
    auth_time               int8 NOT NULL,
    epoch                   int8 NOT NULL,
    issued_at               int8 NOT NULL,
    -- Where it stands. 'issued': expires_at, identity (none: any) and stepped_up_until.
    -- 'active': all but successor; a login has no identity, a token that was not bought from a
    -- login has no login. 'superseded': attempt and successor. 'revoked': nothing.
    -- seen_at is the latest instant that the record has seen, whatever its state.
    -- minted holds what no statement looks into: key, issuer and audience.
    keep_until              int8 NOT NULL,
    expires_at              int8 NOT NULL,
    seen_at                 int8 NOT NULL,
    idle_until              int8,
    minted_at               int8,
    -- No value: STANDARD. The greatest: STEPPED_UP for as long as the grant lives.
    stepped_up_until        int8,
    minted_stepped_up_until int8,
    version                 int2 NOT NULL,
    state                   text COLLATE "C" NOT NULL,
    locator                 bytea NOT NULL,
    tail                    bytea NOT NULL,
    generation              bytea NOT NULL,
    secret                  bytea,
    tenant                  text COLLATE "C" NOT NULL,
    client                  text COLLATE "C" NOT NULL,
    credential              text COLLATE "C" NOT NULL,
    scope                   text COLLATE "C",
    claims                  text COLLATE "C",
    identity                text COLLATE "C",
    login                   bytea,
    successor               bytea,
    attempt                 bytea,
    minted_scope            text COLLATE "C",
    minted                  bytea,
    PRIMARY KEY (locator, tail)
) WITH (
    fillfactor = 40,
    autovacuum_vacuum_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.1
);

-- One row at most: the epoch below which every record is refused.
CREATE TABLE mintage.epoch (
    one    bool PRIMARY KEY CHECK (one),
    epoch  int8 NOT NULL
);
