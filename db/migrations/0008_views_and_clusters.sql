-- Saved views of the lists; clusters of detections that people name; maps of search vectors.

-- One computation of clusters over the current anomalies of one embedder. The newest of an embedder
-- and vector length holds.
CREATE TABLE clusterings (
    clustering_id   VARCHAR PRIMARY KEY,
    embedder        VARCHAR NOT NULL,
    dimension       INTEGER NOT NULL,
    close           DOUBLE NOT NULL,
    fewest          INTEGER NOT NULL,
    verdicts        VARCHAR NOT NULL,
    detections      BIGINT NOT NULL,
    grouped         BIGINT NOT NULL,
    asked_by        VARCHAR NOT NULL,
    made_at         TIMESTAMPTZ NOT NULL
);

-- A cluster goes on under the key of the earlier cluster that most of its members were in, so that
-- a name outlives a new computation. `centre` has length 1: later detections join by their cosine.
CREATE TABLE clusters (
    cluster_id      VARCHAR PRIMARY KEY,
    clustering_id   VARCHAR NOT NULL,
    cluster_key     VARCHAR NOT NULL,
    number          INTEGER NOT NULL,
    example         VARCHAR NOT NULL,
    centre          FLOAT[] NOT NULL,
    UNIQUE (clustering_id, cluster_key)
);

-- Detections alone have no cluster (NULL), but a row: they were looked at.
CREATE TABLE cluster_members (
    clustering_id   VARCHAR NOT NULL,
    detection_id    VARCHAR NOT NULL,
    cluster_id      VARCHAR,
    cosine          DOUBLE,
    joined_at       TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (clustering_id, detection_id)
);

-- What people call a cluster: a log, the newest row of a key holds; an empty name takes it away.
CREATE TABLE cluster_names (
    naming_id       VARCHAR PRIMARY KEY,
    cluster_key     VARCHAR NOT NULL,
    name            VARCHAR NOT NULL,
    named_by        VARCHAR NOT NULL,
    named_at        TIMESTAMPTZ NOT NULL
);

CREATE VIEW current_clusterings AS
SELECT * FROM clusterings
QUALIFY row_number() OVER (
    PARTITION BY embedder, dimension ORDER BY made_at DESC, clustering_id DESC
) = 1;

CREATE VIEW current_cluster_names AS
SELECT cluster_key, name, named_by, named_at FROM (
    SELECT *, row_number() OVER (
        PARTITION BY cluster_key ORDER BY named_at DESC, naming_id DESC) AS recency
    FROM cluster_names
) WHERE recency = 1 AND name <> '';

CREATE VIEW current_cluster_members AS
SELECT m.detection_id, c.cluster_id, c.cluster_key, c.clustering_id, m.cosine
FROM cluster_members m
JOIN current_clusterings g ON g.clustering_id = m.clustering_id
JOIN clusters c ON c.cluster_id = m.cluster_id;

-- A plane that search vectors of one embedder were laid out on. `explained` is the share of their
-- variance that its axes keep (PCA), NULL where that means nothing.
CREATE TABLE maps (
    map_id          VARCHAR PRIMARY KEY,
    method          VARCHAR NOT NULL CHECK (method IN ('pca', 'tsne')),
    embedder        VARCHAR NOT NULL,
    dimension       INTEGER NOT NULL,
    seed            BIGINT NOT NULL,
    detections      BIGINT NOT NULL,
    left_out        BIGINT NOT NULL,
    explained       DOUBLE,
    asked_by        VARCHAR NOT NULL,
    made_at         TIMESTAMPTZ NOT NULL
);

CREATE TABLE map_points (
    map_id          VARCHAR NOT NULL,
    detection_id    VARCHAR NOT NULL,
    x               DOUBLE NOT NULL,
    y               DOUBLE NOT NULL,
    PRIMARY KEY (map_id, detection_id)
);

CREATE VIEW current_maps AS
SELECT * FROM maps
QUALIFY row_number() OVER (
    PARTITION BY method, embedder, dimension ORDER BY made_at DESC, map_id DESC
) = 1;

-- Views of a page that people saved: a log, the newest row of a page and name holds. `query` is
-- what follows the question mark in its address; NULL takes the view away.
CREATE TABLE saved_views (
    saving_id       VARCHAR PRIMARY KEY,
    page            VARCHAR NOT NULL,
    name            VARCHAR NOT NULL,
    query           VARCHAR,
    saved_by        VARCHAR NOT NULL,
    saved_at        TIMESTAMPTZ NOT NULL
);

CREATE VIEW current_saved_views AS
SELECT saving_id, page, name, query, saved_by, saved_at FROM (
    SELECT *, row_number() OVER (
        PARTITION BY page, name ORDER BY saved_at DESC, saving_id DESC) AS recency
    FROM saved_views
) WHERE recency = 1 AND query IS NOT NULL;
