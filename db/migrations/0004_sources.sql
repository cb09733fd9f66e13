-- Where each source stands: its cursor, its health, what it may keep on disk.

-- How far a source has been listed. The cursor is the source's own, as JSON; seen_at is the last
-- listing that the service answered.
CREATE TABLE source_cursors (
    source          VARCHAR PRIMARY KEY,
    cursor          JSON NOT NULL,
    listed          BIGINT NOT NULL DEFAULT 0,
    pages           BIGINT NOT NULL DEFAULT 0,
    listed_at       TIMESTAMPTZ,
    last_error      VARCHAR NOT NULL DEFAULT '',
    failed_at       TIMESTAMPTZ
);

-- What an archive listed, kept until it is taken in, with what is needed to fetch it. A row waits
-- as long as intake has none for the same source, uri and fingerprint.
CREATE TABLE source_items (
    source          VARCHAR NOT NULL,
    uri             VARCHAR NOT NULL,
    fingerprint     VARCHAR NOT NULL,
    number          BIGINT NOT NULL,
    facts           JSON NOT NULL,
    listed_at       TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (source, uri, fingerprint)
);

-- How an outside service fares, so that a restart forgets neither a rest nor a quota.
CREATE TABLE service_health (
    service         VARCHAR PRIMARY KEY,
    url             VARCHAR NOT NULL,
    breaker         VARCHAR NOT NULL CHECK (breaker IN ('closed', 'open', 'half_open')),
    failures        INTEGER NOT NULL,
    rests           INTEGER NOT NULL,
    resting_until   TIMESTAMPTZ,
    asked           BIGINT NOT NULL,
    succeeded       BIGINT NOT NULL,
    failed          BIGINT NOT NULL,
    last_success_at TIMESTAMPTZ,
    last_failure_at TIMESTAMPTZ,
    last_error      VARCHAR NOT NULL DEFAULT '',
    changed_at      TIMESTAMPTZ NOT NULL
);

-- Questions counted against a quota: windows of period_s seconds, numbered since 1970.
CREATE TABLE service_quota (
    service         VARCHAR NOT NULL,
    period_s        BIGINT NOT NULL,
    window_number   BIGINT NOT NULL,
    used            BIGINT NOT NULL,
    allowed         BIGINT NOT NULL,
    PRIMARY KEY (service, period_s)
);

-- What a frame looks like: a perceptual hash of 64 bits and a small picture to compare by.
CREATE TABLE frame_likeness (
    frame_digest    VARCHAR PRIMARY KEY,
    hash            BIGINT NOT NULL,
    thumbnail       FLOAT[] NOT NULL
);

-- Frames that came in looking like a stored one: not stored again, but never forgotten.
CREATE TABLE near_duplicates (
    link_id         VARCHAR PRIMARY KEY,
    frame_digest    VARCHAR NOT NULL,
    other_digest    VARCHAR NOT NULL,
    source          VARCHAR NOT NULL,
    uri             VARCHAR NOT NULL,
    part            VARCHAR NOT NULL,
    object_id       VARCHAR NOT NULL,
    ra_deg          DOUBLE,
    dec_deg         DOUBLE,
    mjd             DOUBLE,
    distance_bits   INTEGER NOT NULL,
    correlation     DOUBLE NOT NULL,
    seen_at         TIMESTAMPTZ NOT NULL
);

-- Files given up to keep within the disk budget: their digests stay.
CREATE TABLE released_files (
    file_digest     VARCHAR PRIMARY KEY,
    frame_digest    VARCHAR NOT NULL,
    bytes           BIGINT NOT NULL,
    reason          VARCHAR NOT NULL,
    released_at     TIMESTAMPTZ NOT NULL
);
