-- The first store: what was seen, what was computed, what people said, what happened.
-- Times are UTC. Digests are sha256 in hex; columns ending in _file are digests of stored files.

CREATE TABLE frames (
    frame_digest    VARCHAR PRIMARY KEY,
    height          INTEGER NOT NULL,
    width           INTEGER NOT NULL,
    planes          INTEGER NOT NULL,
    sample_type     VARCHAR NOT NULL,
    unit            VARCHAR NOT NULL,
    masked_pixels   BIGINT NOT NULL,
    median          DOUBLE,
    pixels_file     VARCHAR NOT NULL,
    preview_file    VARCHAR NOT NULL,
    stored_at       TIMESTAMPTZ NOT NULL
);

CREATE TABLE observations (
    observation_id  VARCHAR PRIMARY KEY,
    frame_digest    VARCHAR NOT NULL,
    source          VARCHAR NOT NULL,
    object_id       VARCHAR NOT NULL,
    part            VARCHAR NOT NULL,
    uri             VARCHAR NOT NULL,
    ra_deg          DOUBLE,
    dec_deg         DOUBLE,
    mjd             DOUBLE,
    band            VARCHAR,
    exposure_s      DOUBLE,
    instrument      VARCHAR,
    gain_e_per_adu  DOUBLE,
    read_noise_e    DOUBLE,
    header          VARCHAR NOT NULL,
    seen_at         TIMESTAMPTZ NOT NULL
);

-- One row for every item a source offered: nothing is dropped in silence.
CREATE TABLE intake (
    intake_id       VARCHAR PRIMARY KEY,
    source          VARCHAR NOT NULL,
    uri             VARCHAR NOT NULL,
    part            VARCHAR NOT NULL,
    fingerprint     VARCHAR NOT NULL,
    outcome         VARCHAR NOT NULL CHECK (outcome IN ('stored', 'duplicate', 'failed', 'ignored')),
    frame_digest    VARCHAR,
    reason          VARCHAR NOT NULL DEFAULT '',
    cycle_id        VARCHAR NOT NULL,
    seen_at         TIMESTAMPTZ NOT NULL
);

CREATE TABLE models (
    model_digest    VARCHAR PRIMARY KEY,
    name            VARCHAR NOT NULL,
    pipeline        VARCHAR NOT NULL,
    card            JSON NOT NULL,
    registered_at   TIMESTAMPTZ NOT NULL
);

CREATE TABLE policies (
    policy_digest   VARCHAR PRIMARY KEY,
    pipeline        VARCHAR NOT NULL,
    policy          JSON NOT NULL,
    registered_at   TIMESTAMPTZ NOT NULL
);

-- One row for one pipeline on one frame. run_id is made of frame, pipeline, model and policy.
CREATE TABLE runs (
    run_id          VARCHAR PRIMARY KEY,
    frame_digest    VARCHAR NOT NULL,
    pipeline        VARCHAR NOT NULL CHECK (pipeline IN ('codec', 'cosmicrays', 'anomaly')),
    model_digest    VARCHAR NOT NULL,
    policy_digest   VARCHAR NOT NULL,
    status          VARCHAR NOT NULL CHECK (status IN ('ok', 'not_applicable', 'failed')),
    reason          VARCHAR NOT NULL DEFAULT '',
    trace           VARCHAR NOT NULL DEFAULT '',
    duration_s      DOUBLE NOT NULL,
    cycle_id        VARCHAR NOT NULL,
    finished_at     TIMESTAMPTZ NOT NULL
);

CREATE TABLE codec_runs (
    run_id              VARCHAR PRIMARY KEY,
    bytes               BIGINT NOT NULL,
    bpp                 DOUBLE NOT NULL,
    sample_bits         INTEGER NOT NULL,
    compression_ratio   DOUBLE NOT NULL,
    psnr_db             DOUBLE,
    peak                DOUBLE NOT NULL,
    ms_ssim             DOUBLE,
    gradient_error      DOUBLE NOT NULL,
    rmse                DOUBLE NOT NULL,
    dropout_spearman    DOUBLE,
    predicted_spearman  DOUBLE,
    samples             INTEGER NOT NULL,
    bitstream_file      VARCHAR NOT NULL,
    reconstruction_file VARCHAR NOT NULL,
    confidence_file     VARCHAR NOT NULL,
    predicted_file      VARCHAR NOT NULL,
    error_file          VARCHAR NOT NULL
);

CREATE TABLE codec_tiles (
    run_id          VARCHAR NOT NULL,
    tile_row        INTEGER NOT NULL,
    tile_column     INTEGER NOT NULL,
    y0              INTEGER NOT NULL,
    x0              INTEGER NOT NULL,
    height          INTEGER NOT NULL,
    width           INTEGER NOT NULL,
    bytes           BIGINT NOT NULL,
    rmse            DOUBLE NOT NULL,
    predicted_rmse  DOUBLE NOT NULL,
    dropout_std     DOUBLE NOT NULL,
    PRIMARY KEY (run_id, tile_row, tile_column)
);

CREATE TABLE cosmic_ray_runs (
    run_id              VARCHAR PRIMARY KEY,
    method              VARCHAR NOT NULL,
    samples             INTEGER NOT NULL,
    threshold           DOUBLE NOT NULL,
    pixels              BIGINT NOT NULL,
    flagged_pixels      BIGINT NOT NULL,
    hits                INTEGER NOT NULL,
    mean_entropy        DOUBLE NOT NULL,
    mean_information    DOUBLE NOT NULL,
    probability_array   VARCHAR NOT NULL,
    probability_file    VARCHAR NOT NULL,
    entropy_file        VARCHAR NOT NULL,
    information_file    VARCHAR NOT NULL,
    mask_file           VARCHAR NOT NULL,
    cleaned_file        VARCHAR NOT NULL
);

CREATE TABLE calibration_reports (
    report_id       VARCHAR PRIMARY KEY,
    model_digest    VARCHAR NOT NULL,
    pipeline        VARCHAR NOT NULL,
    dataset         VARCHAR NOT NULL,
    n               BIGINT NOT NULL,
    positives       BIGINT NOT NULL,
    brier           DOUBLE NOT NULL,
    nll             DOUBLE NOT NULL,
    ece             DOUBLE NOT NULL,
    ece_equal_mass  DOUBLE,
    ece_by_class    DOUBLE,
    ece_bins        INTEGER NOT NULL,
    ece_norm        VARCHAR NOT NULL,
    aurc            DOUBLE NOT NULL,
    temperature     DOUBLE,
    measured_at     TIMESTAMPTZ NOT NULL
);

CREATE TABLE reliability_bins (
    report_id           VARCHAR NOT NULL,
    bin                 INTEGER NOT NULL,
    low                 DOUBLE NOT NULL,
    high                DOUBLE NOT NULL,
    n                   BIGINT NOT NULL,
    mean_probability    DOUBLE,
    observed_frequency  DOUBLE,
    PRIMARY KEY (report_id, bin)
);

CREATE TABLE risk_coverage_points (
    report_id       VARCHAR NOT NULL,
    coverage        DOUBLE NOT NULL,
    risk            DOUBLE NOT NULL,
    PRIMARY KEY (report_id, coverage)
);

CREATE TABLE detections (
    detection_id        VARCHAR PRIMARY KEY,
    run_id              VARCHAR NOT NULL,
    frame_digest        VARCHAR NOT NULL,
    kind                VARCHAR NOT NULL CHECK (kind IN ('source', 'image')),
    x                   DOUBLE NOT NULL,
    y                   DOUBLE NOT NULL,
    size_px             INTEGER NOT NULL,
    ra_deg              DOUBLE,
    dec_deg             DOUBLE,
    flux                DOUBLE,
    snr                 DOUBLE,
    cosmic_ray_share    DOUBLE,
    verdict             VARCHAR NOT NULL
        CHECK (verdict IN ('normal', 'near_miss', 'uncertain', 'candidate', 'artefact')),
    reason              VARCHAR NOT NULL,
    p_value             DOUBLE,
    rank_score          DOUBLE,
    class_name          VARCHAR,
    class_probability   DOUBLE,
    embedder            VARCHAR NOT NULL,
    reference           VARCHAR NOT NULL,
    cutout_file         VARCHAR NOT NULL,
    detected_at         TIMESTAMPTZ NOT NULL
);

CREATE TABLE scores (
    detection_id    VARCHAR NOT NULL,
    method          VARCHAR NOT NULL,
    raw             DOUBLE NOT NULL,
    percentile      DOUBLE,
    p_value         DOUBLE,
    PRIMARY KEY (detection_id, method)
);

CREATE TABLE embeddings (
    detection_id    VARCHAR NOT NULL,
    embedder        VARCHAR NOT NULL,
    vector          FLOAT[] NOT NULL,
    PRIMARY KEY (detection_id, embedder)
);

CREATE TABLE catalogue_queries (
    query_id        VARCHAR PRIMARY KEY,
    detection_id    VARCHAR,
    service         VARCHAR NOT NULL,
    ra_deg          DOUBLE NOT NULL,
    dec_deg         DOUBLE NOT NULL,
    radius_arcsec   DOUBLE NOT NULL,
    answer          VARCHAR NOT NULL CHECK (answer IN ('match', 'no_match', 'not_determined')),
    reason          VARCHAR NOT NULL DEFAULT '',
    asked_at        TIMESTAMPTZ NOT NULL
);

CREATE TABLE catalogue_matches (
    query_id            VARCHAR NOT NULL,
    rank                INTEGER NOT NULL,
    object_name         VARCHAR NOT NULL,
    object_type         VARCHAR NOT NULL,
    ra_deg              DOUBLE NOT NULL,
    dec_deg             DOUBLE NOT NULL,
    separation_arcsec   DOUBLE NOT NULL,
    PRIMARY KEY (query_id, rank)
);

-- What people said: an append-only log. An undo is a further row that names the label it takes back.
CREATE TABLE labels (
    label_id        VARCHAR PRIMARY KEY,
    detection_id    VARCHAR NOT NULL,
    label           VARCHAR NOT NULL,
    labeller        VARCHAR NOT NULL,
    comment         VARCHAR NOT NULL DEFAULT '',
    seconds         DOUBLE,
    undoes          VARCHAR,
    labelled_at     TIMESTAMPTZ NOT NULL,
    CHECK (label IN ('accept', 'reject', 'unsure', 'undo')),
    CHECK ((label = 'undo') = (undoes IS NOT NULL))
);

-- The latest label of each labeller on each detection that was not taken back.
CREATE VIEW current_labels AS
SELECT * EXCLUDE (recency) FROM (
    SELECT label_id, detection_id, label, labeller, comment, seconds, labelled_at,
           row_number() OVER (
               PARTITION BY detection_id, labeller ORDER BY labelled_at DESC, label_id DESC
           ) AS recency
    FROM labels
    WHERE label <> 'undo'
      AND label_id NOT IN (SELECT undoes FROM labels WHERE undoes IS NOT NULL)
)
WHERE recency = 1;

CREATE TABLE training_runs (
    training_id     VARCHAR PRIMARY KEY,
    pipeline        VARCHAR NOT NULL,
    model_digest    VARCHAR,
    command         VARCHAR NOT NULL,
    status          VARCHAR NOT NULL,
    metrics         JSON,
    started_at      TIMESTAMPTZ NOT NULL,
    finished_at     TIMESTAMPTZ
);

-- What was asked of the owner. Its state moves forward; the results that it leads to are append-only.
CREATE TABLE requests (
    request_id      VARCHAR PRIMARY KEY,
    kind            VARCHAR NOT NULL,
    payload         JSON NOT NULL,
    state           VARCHAR NOT NULL
        CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
    done            BIGINT NOT NULL DEFAULT 0,
    total           BIGINT,
    result          JSON,
    error           VARCHAR NOT NULL DEFAULT '',
    asked_by        VARCHAR NOT NULL DEFAULT '',
    asked_at        TIMESTAMPTZ NOT NULL,
    started_at      TIMESTAMPTZ,
    finished_at     TIMESTAMPTZ
);

-- One pass of the loop over one source.
CREATE TABLE cycles (
    cycle_id        VARCHAR PRIMARY KEY,
    request_id      VARCHAR,
    schedule_id     VARCHAR,
    source          VARCHAR NOT NULL,
    state           VARCHAR NOT NULL CHECK (state IN ('running', 'done', 'failed', 'cancelled')),
    asked           BIGINT NOT NULL DEFAULT 0,
    known           BIGINT NOT NULL DEFAULT 0,
    stored          BIGINT NOT NULL DEFAULT 0,
    duplicates      BIGINT NOT NULL DEFAULT 0,
    failed          BIGINT NOT NULL DEFAULT 0,
    ignored         BIGINT NOT NULL DEFAULT 0,
    error           VARCHAR NOT NULL DEFAULT '',
    started_at      TIMESTAMPTZ NOT NULL,
    finished_at     TIMESTAMPTZ
);

CREATE SEQUENCE event_number;

CREATE TABLE run_events (
    event_number    BIGINT PRIMARY KEY DEFAULT nextval('event_number'),
    cycle_id        VARCHAR,
    kind            VARCHAR NOT NULL,
    message         VARCHAR NOT NULL,
    happened_at     TIMESTAMPTZ NOT NULL
);

CREATE TABLE schedules (
    schedule_id     VARCHAR PRIMARY KEY,
    source          VARCHAR NOT NULL,
    every_s         DOUBLE NOT NULL CHECK (every_s > 0),
    frame_limit     INTEGER,
    paused          BOOLEAN NOT NULL DEFAULT false,
    created_at      TIMESTAMPTZ NOT NULL,
    changed_at      TIMESTAMPTZ NOT NULL
);

CREATE TABLE notifications (
    notification_id VARCHAR PRIMARY KEY,
    target          VARCHAR NOT NULL,
    subject         VARCHAR NOT NULL,
    body            VARCHAR NOT NULL,
    state           VARCHAR NOT NULL,
    sent_at         TIMESTAMPTZ NOT NULL
);

-- The latest run of each pipeline on each frame: what pages show when a model or policy changed.
CREATE VIEW current_runs AS
SELECT * FROM runs
QUALIFY row_number() OVER (
    PARTITION BY frame_digest, pipeline ORDER BY finished_at DESC, run_id DESC
) = 1;

-- The latest observation of each frame, which gives it the name that pages show.
CREATE VIEW current_observations AS
SELECT * FROM observations
QUALIFY row_number() OVER (PARTITION BY frame_digest ORDER BY seen_at DESC, observation_id DESC) = 1;
