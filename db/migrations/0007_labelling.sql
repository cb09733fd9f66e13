-- What people say of a detection, in full; who was handed what; what is known for certain; and the
-- ranking that labels give.

-- `label` stays the judgement that everything else reads. `kind` says what the thing is (astrophysical,
-- cosmic_ray, codec_artefact, instrument, known_object, boring, unsure; NULL on rows that said only
-- accept or reject), `grade` how interesting it is (0 to 5), `queue` where it was handed out, `blind`
-- whether the machine's scores were hidden from the labeller.
ALTER TABLE labels ADD COLUMN kind VARCHAR;
ALTER TABLE labels ADD COLUMN grade INTEGER;
ALTER TABLE labels ADD COLUMN queue VARCHAR DEFAULT '';
ALTER TABLE labels ADD COLUMN blind BOOLEAN DEFAULT false;

-- The latest label of each labeller on each detection that was not taken back.
CREATE OR REPLACE VIEW current_labels AS
SELECT * EXCLUDE (recency) FROM (
    SELECT label_id, detection_id, label, labeller, comment, seconds, labelled_at, kind, grade,
           coalesce(queue, '') AS queue, coalesce(blind, false) AS blind,
           row_number() OVER (
               PARTITION BY detection_id, labeller ORDER BY labelled_at DESC, label_id DESC
           ) AS recency
    FROM labels
    WHERE label <> 'undo'
      AND label_id NOT IN (SELECT undoes FROM labels WHERE undoes IS NOT NULL)
)
WHERE recency = 1;

-- The labels that count: where somebody settled a disagreement, only what that person said.
CREATE VIEW counted_labels AS
SELECT * FROM current_labels
WHERE queue = 'adjudication'
   OR detection_id NOT IN (
          SELECT detection_id FROM current_labels WHERE queue = 'adjudication');

-- Who holds which detection on screen, and until when nobody else is handed it. A row is renewed
-- while its holder (one browser) has it, and keeps the time when its labeller skipped it.
CREATE TABLE handouts (
    detection_id    VARCHAR NOT NULL,
    holder          VARCHAR NOT NULL,
    labeller        VARCHAR NOT NULL,
    queue           VARCHAR NOT NULL,
    handed_at       TIMESTAMPTZ NOT NULL,
    held_until      TIMESTAMPTZ NOT NULL,
    skipped_at      TIMESTAMPTZ,
    PRIMARY KEY (detection_id, holder)
);

-- Detections of which the truth is known, to measure labellers and the pipeline by.
CREATE TABLE gold_items (
    detection_id    VARCHAR PRIMARY KEY,
    kind            VARCHAR NOT NULL,
    origin          VARCHAR NOT NULL CHECK (origin IN ('injection', 'expert')),
    note            VARCHAR NOT NULL DEFAULT '',
    set_by          VARCHAR NOT NULL,
    set_at          TIMESTAMPTZ NOT NULL
);

-- How a labeller likes the page: own keys and the look of the pictures, as JSON.
CREATE TABLE labeller_preferences (
    labeller        VARCHAR PRIMARY KEY,
    preferences     JSON NOT NULL,
    changed_at      TIMESTAMPTZ NOT NULL
);

-- Which columns of an embedder's stored vectors belong together; without rows they are one part.
CREATE TABLE vector_parts (
    embedder        VARCHAR NOT NULL,
    part            VARCHAR NOT NULL,
    first_column    INTEGER NOT NULL,
    end_column      INTEGER NOT NULL,
    PRIMARY KEY (embedder, part)
);

-- Each time the ranking was fitted anew on the labels of then.
CREATE SEQUENCE ranking_number;

CREATE TABLE rankings (
    ranking_id      VARCHAR PRIMARY KEY,
    number          BIGINT NOT NULL DEFAULT nextval('ranking_number'),
    cause           VARCHAR NOT NULL,
    candidates      BIGINT NOT NULL,
    labelled        BIGINT NOT NULL,
    liked           BIGINT NOT NULL,
    held_out        BIGINT NOT NULL,
    held_out_auc    DOUBLE,
    log_rows        BIGINT NOT NULL,
    duration_s      DOUBLE NOT NULL,
    made_at         TIMESTAMPTZ NOT NULL
);

-- The two newest rankings, row by row. `turn` is the place in the next batch to label, `reason` why it
-- is there: exploit (most interesting), explore (least like anything labelled), calibrate (drawn from
-- the frames that nothing is fitted on).
CREATE TABLE ranking_rows (
    ranking_id      VARCHAR NOT NULL,
    detection_id    VARCHAR NOT NULL,
    place           BIGINT NOT NULL,
    interest        DOUBLE NOT NULL,
    turn            INTEGER,
    reason          VARCHAR,
    PRIMARY KEY (ranking_id, detection_id)
);

CREATE VIEW current_ranking AS
SELECT r.* FROM ranking_rows r
WHERE r.ranking_id = (SELECT ranking_id FROM rankings ORDER BY number DESC LIMIT 1);
