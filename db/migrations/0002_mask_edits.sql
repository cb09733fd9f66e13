-- Masks that people edited, what a calibration report is about, and the values behind two maps.

-- What people said about pixels of a frame: an append-only log, applied in order of edited_at over
-- the mask that a model gives at a threshold. 'add' and 'remove' are about the region, 'confirm'
-- says that the whole frame was looked at and the region's pixels are its cosmic rays. A region is
-- a rectangle of pixels (0-based); region_file names a bit for each of its pixels, and without one
-- all of them count. An undo is a further row that names the edit it takes back.
CREATE TABLE mask_edits (
    edit_id         VARCHAR PRIMARY KEY,
    frame_digest    VARCHAR NOT NULL,
    action          VARCHAR NOT NULL CHECK (action IN ('add', 'remove', 'confirm', 'undo')),
    y0              INTEGER,
    x0              INTEGER,
    height          INTEGER,
    width           INTEGER,
    region_file     VARCHAR,
    run_id          VARCHAR,
    threshold       DOUBLE,
    editor          VARCHAR NOT NULL,
    comment         VARCHAR NOT NULL DEFAULT '',
    undoes          VARCHAR,
    edited_at       TIMESTAMPTZ NOT NULL,
    CHECK ((action = 'undo') = (undoes IS NOT NULL)),
    CHECK ((action = 'undo') = (y0 IS NULL)),
    CHECK (action = 'undo' OR (x0 IS NOT NULL AND height > 0 AND width > 0)),
    CHECK (action <> 'confirm' OR region_file IS NOT NULL)
);

-- The edits that were not taken back.
CREATE VIEW current_mask_edits AS
SELECT * FROM mask_edits
WHERE action <> 'undo'
  AND edit_id NOT IN (SELECT undoes FROM mask_edits WHERE undoes IS NOT NULL);

-- One measurement is several reports: over all pixels ('all') and over those where the question is
-- open ('p >= 0.01'), with the model's temperature ('shipped') and as if it had none
-- ('untempered'). A series joins the data sets whose reports make one line over time.
ALTER TABLE calibration_reports ADD COLUMN measurement_id VARCHAR;
ALTER TABLE calibration_reports ADD COLUMN series VARCHAR;
ALTER TABLE calibration_reports ADD COLUMN frames INTEGER;
ALTER TABLE calibration_reports ADD COLUMN pixels VARCHAR DEFAULT 'all';
ALTER TABLE calibration_reports ADD COLUMN stage VARCHAR DEFAULT 'shipped';
ALTER TABLE calibration_reports ADD COLUMN applied_temperature DOUBLE;

-- The mutual information (float16) and the inpainted pixels (index, value), where a run has them.
ALTER TABLE cosmic_ray_runs ADD COLUMN information_values_file VARCHAR;
ALTER TABLE cosmic_ray_runs ADD COLUMN cleaned_values_file VARCHAR;
