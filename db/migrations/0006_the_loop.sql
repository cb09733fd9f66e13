-- What the loop needs to be left alone: schedules by interval or cron, a heartbeat, messages that go
-- out once, digests, versions of calibrations, models that are promoted and taken back, descriptions.

-- A schedule has an interval (every_s) or a cron line of five fields in UTC. `kind` is what it asks
-- for: 'scan', or 'learn'. With choice 'thompson' the source is a list "A | B | C" of which each turn
-- takes one. `policy` is the stated rate that candidates are judged by.
ALTER TABLE schedules ALTER COLUMN every_s DROP NOT NULL;
ALTER TABLE schedules ADD COLUMN cron VARCHAR;
ALTER TABLE schedules ADD COLUMN kind VARCHAR DEFAULT 'scan';
ALTER TABLE schedules ADD COLUMN policy VARCHAR DEFAULT 'normal';
ALTER TABLE schedules ADD COLUMN choice VARCHAR DEFAULT 'fixed';

-- The policy that a cycle judged by (NULL before this migration).
ALTER TABLE cycles ADD COLUMN policy VARCHAR;

-- Each owner of the store: when it started, when it was last alive, how it ended ('' while it lives,
-- or where nobody saw it end).
CREATE TABLE heartbeats (
    owner_id        VARCHAR PRIMARY KEY,
    pid             BIGINT NOT NULL,
    started_at      TIMESTAMPTZ NOT NULL,
    beat_at         TIMESTAMPTZ NOT NULL,
    ended           VARCHAR NOT NULL DEFAULT ''
);

-- A message is claimed (state 'sending') before it leaves, so that nothing is sent twice. One whose
-- owner ended in between is 'unknown' and is not sent again. 'failed' ones are tried again.
ALTER TABLE notifications ADD COLUMN kind VARCHAR DEFAULT 'candidates';
ALTER TABLE notifications ADD COLUMN target_key VARCHAR;
ALTER TABLE notifications ADD COLUMN attempts INTEGER DEFAULT 1;
ALTER TABLE notifications ADD COLUMN html_file VARCHAR;

-- Which detections a target was told of. `place` is the frame, kind and position, which stay when a
-- model or policy changes.
CREATE TABLE announcements (
    place           VARCHAR NOT NULL,
    target_key      VARCHAR NOT NULL,
    detection_id    VARCHAR NOT NULL,
    notification_id VARCHAR NOT NULL,
    PRIMARY KEY (place, target_key)
);

-- What a period brought, as one page.
CREATE TABLE digests (
    digest_id       VARCHAR PRIMARY KEY,
    since_at        TIMESTAMPTZ NOT NULL,
    until_at        TIMESTAMPTZ NOT NULL,
    subject         VARCHAR NOT NULL,
    body            VARCHAR NOT NULL,
    html_file       VARCHAR NOT NULL,
    frames          BIGINT NOT NULL,
    candidates      BIGINT NOT NULL,
    failures        BIGINT NOT NULL,
    made_at         TIMESTAMPTZ NOT NULL
);

-- Every calibration of a source, numbered; `cause` is 'person' or 'drift', with the report's reason.
CREATE TABLE calibrations (
    calibration_id  VARCHAR PRIMARY KEY,
    source          VARCHAR NOT NULL,
    version         BIGINT NOT NULL,
    reference       VARCHAR NOT NULL,
    model_digest    VARCHAR NOT NULL,
    fitted_on       BIGINT NOT NULL,
    calibrated_on   BIGINT NOT NULL,
    cause           VARCHAR NOT NULL CHECK (cause IN ('person', 'drift')),
    reason          VARCHAR NOT NULL DEFAULT '',
    made_at         TIMESTAMPTZ NOT NULL
);

-- Results of a source and model whose newest drift report says that the calibration does not hold.
CREATE VIEW expired_calibrations AS
SELECT source, model_digest, reference, reason, measured_at FROM (
    SELECT *, row_number() OVER (
        PARTITION BY source, model_digest ORDER BY measured_at DESC, report_id DESC) AS recency
    FROM drift_reports
) WHERE recency = 1 AND expired;

-- By how much near misses missed: log10 of p-value over the rate that candidates are allowed.
CREATE VIEW near_misses AS
SELECT d.detection_id, d.run_id, d.p_value,
       CAST(json_extract_string(p.policy, '$.false_positive_rate') AS DOUBLE) AS rate,
       log10(d.p_value / CAST(json_extract_string(p.policy, '$.false_positive_rate') AS DOUBLE))
           AS decades
FROM detections d JOIN runs r USING (run_id) JOIN policies p USING (policy_digest)
WHERE d.verdict = 'near_miss' AND d.p_value > 0
  AND json_extract_string(p.policy, '$.false_positive_rate') IS NOT NULL;

-- Which model has a role, as a log: the newest row of a role holds. A NULL digest is the state before
-- anything was learned.
CREATE SEQUENCE choice_number;

CREATE TABLE model_choices (
    choice_id       VARCHAR PRIMARY KEY,
    number          BIGINT NOT NULL DEFAULT nextval('choice_number'),
    role            VARCHAR NOT NULL,
    model_digest    VARCHAR,
    action          VARCHAR NOT NULL CHECK (action IN ('promote', 'roll_back')),
    training_id     VARCHAR,
    reason          VARCHAR NOT NULL DEFAULT '',
    chosen_by       VARCHAR NOT NULL,
    chosen_at       TIMESTAMPTZ NOT NULL
);

CREATE VIEW current_models AS
SELECT * FROM model_choices
QUALIFY row_number() OVER (PARTITION BY role ORDER BY number DESC) = 1;

ALTER TABLE training_runs ADD COLUMN role VARCHAR;
ALTER TABLE training_runs ADD COLUMN champion_digest VARCHAR;
ALTER TABLE training_runs ADD COLUMN reason VARCHAR DEFAULT '';

-- How interesting a learned model holds each detection: kept by model, so that a model taken back
-- brings back its very numbers.
CREATE TABLE interest (
    model_digest    VARCHAR NOT NULL,
    detection_id    VARCHAR NOT NULL,
    probability     DOUBLE NOT NULL,
    interest        DOUBLE NOT NULL,
    scored_at       TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (model_digest, detection_id)
);

CREATE VIEW current_interest AS
SELECT i.* FROM interest i
JOIN current_models m ON m.role = 'interest' AND m.model_digest = i.model_digest;

-- What a language model wrote about a detection: machine text, never a label.
CREATE TABLE descriptions (
    description_id  VARCHAR PRIMARY KEY,
    detection_id    VARCHAR NOT NULL,
    provider        VARCHAR NOT NULL,
    model           VARCHAR NOT NULL,
    prompt          VARCHAR NOT NULL,
    text            VARCHAR NOT NULL,
    made_at         TIMESTAMPTZ NOT NULL
);
