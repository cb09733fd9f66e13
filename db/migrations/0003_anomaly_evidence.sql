-- What speaks for and against a detection beside its scores, and what a night's list may claim.

-- One row a detection: what a score may really be measuring (area, magnitude, edge), the p-value
-- among normals of like area, and what the artefact head and the cleaned frame say.
CREATE TABLE detection_evidence (
    detection_id            VARCHAR PRIMARY KEY,
    area_px                 BIGINT,
    magnitude               DOUBLE,
    elongation              DOUBLE,
    edge_px                 DOUBLE,
    good_share              DOUBLE NOT NULL,
    conditioned_p_value     DOUBLE,
    artefact_probability    DOUBLE CHECK (artefact_probability BETWEEN 0 AND 1),
    artefact_kind           VARCHAR,
    artefact_model          VARCHAR,
    vanishes                BOOLEAN NOT NULL DEFAULT false,
    perceptual_hash         VARCHAR NOT NULL,
    heat_map_file           VARCHAR,
    preprocessing           VARCHAR NOT NULL
);

-- The same place on the frame as it came, without cosmic rays, and decoded from the codec's bytes.
CREATE TABLE detection_versions (
    detection_id            VARCHAR NOT NULL,
    version                 VARCHAR NOT NULL CHECK (version IN ('raw', 'cleaned', 'decoded')),
    flux                    DOUBLE,
    snr                     DOUBLE,
    found                   BOOLEAN NOT NULL,
    PRIMARY KEY (detection_id, version)
);

CREATE TABLE version_scores (
    detection_id            VARCHAR NOT NULL,
    version                 VARCHAR NOT NULL CHECK (version IN ('raw', 'cleaned', 'decoded')),
    method                  VARCHAR NOT NULL,
    raw                     DOUBLE NOT NULL,
    percentile              DOUBLE,
    p_value                 DOUBLE,
    PRIMARY KEY (detection_id, version, method)
);

-- How much each method adds to the combined score; shares of one detection sum to 1.
CREATE TABLE score_contributions (
    detection_id            VARCHAR NOT NULL,
    method                  VARCHAR NOT NULL,
    share                   DOUBLE NOT NULL,
    PRIMARY KEY (detection_id, method)
);

-- Pictures made of a frame's time series: its stack, and how much every pixel varied.
CREATE TABLE frame_products (
    frame_digest            VARCHAR NOT NULL,
    kind                    VARCHAR NOT NULL,
    product_file            VARCHAR NOT NULL,
    cadences                BIGINT NOT NULL,
    note                    VARCHAR NOT NULL,
    made_at                 TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (frame_digest, kind)
);

-- Groups of pixels that brightened beyond their noise for a few cadences.
CREATE TABLE transients (
    transient_id            VARCHAR PRIMARY KEY,
    frame_digest            VARCHAR NOT NULL,
    x                       DOUBLE NOT NULL,
    y                       DOUBLE NOT NULL,
    pixels                  BIGINT NOT NULL,
    first_cadence           BIGINT NOT NULL,
    last_cadence            BIGINT NOT NULL,
    start_time              DOUBLE,
    peak_sigma              DOUBLE NOT NULL,
    reason                  VARCHAR NOT NULL,
    found_at                TIMESTAMPTZ NOT NULL
);

-- Whether a source still looks like what its reference was calibrated on.
CREATE TABLE drift_reports (
    report_id               VARCHAR PRIMARY KEY,
    source                  VARCHAR NOT NULL,
    reference               VARCHAR NOT NULL,
    model_digest            VARCHAR NOT NULL,
    n                       BIGINT NOT NULL,
    median_percentile       DOUBLE,
    most_shifted            VARCHAR,
    ks_p_value              DOUBLE,
    domain_auc              DOUBLE,
    expired                 BOOLEAN NOT NULL,
    reason                  VARCHAR NOT NULL,
    cycle_id                VARCHAR NOT NULL,
    measured_at             TIMESTAMPTZ NOT NULL
);

-- What can be claimed of one cycle's detections at a stated false-discovery rate.
CREATE TABLE night_lists (
    list_id                 VARCHAR PRIMARY KEY,
    cycle_id                VARCHAR NOT NULL,
    source                  VARCHAR NOT NULL,
    rate                    DOUBLE NOT NULL,
    tested                  BIGINT NOT NULL,
    claimed                 BIGINT NOT NULL,
    smallest_p_value        DOUBLE,
    calibrated_on           BIGINT,
    calibration_needed      BIGINT,
    message                 VARCHAR NOT NULL,
    made_at                 TIMESTAMPTZ NOT NULL
);

CREATE TABLE night_list_rows (
    list_id                 VARCHAR NOT NULL,
    place                   INTEGER NOT NULL,
    detection_id            VARCHAR NOT NULL,
    adjusted_p_value        DOUBLE NOT NULL,
    is_discovery            BOOLEAN NOT NULL,
    PRIMARY KEY (list_id, place)
);
