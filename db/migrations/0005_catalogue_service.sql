-- Which catalogues there are, what they listed (used again while young), how likely a match is by
-- chance; and runs of an earlier policy that a later scan put in front again.

-- What the owner was configured with when it started: `unknown` takes an answer from each of them.
CREATE TABLE catalogue_services (
    service         VARCHAR PRIMARY KEY,
    title           VARCHAR NOT NULL,
    coverage        VARCHAR NOT NULL CHECK (coverage IN ('whole_sky', 'footprint', 'moving')),
    url             VARCHAR NOT NULL,
    configured      BOOLEAN NOT NULL,
    changed_at      TIMESTAMPTZ NOT NULL
);

-- One row for each cone that a service answered. `objects` are those within `near_arcsec` of the
-- cell's centre, `wide_objects` counts all within `wide_arcsec`; `covered` says that the service has
-- looked there at all, `gap` what may be missing (empty: nothing). `moment` is the epoch asked for,
-- where what is listed moves.
CREATE TABLE catalogue_cones (
    cone_id         VARCHAR PRIMARY KEY,
    service         VARCHAR NOT NULL,
    cell            VARCHAR NOT NULL,
    moment          VARCHAR NOT NULL,
    ra_deg          DOUBLE NOT NULL,
    dec_deg         DOUBLE NOT NULL,
    near_arcsec     DOUBLE NOT NULL,
    wide_arcsec     DOUBLE NOT NULL,
    wide_objects    BIGINT NOT NULL,
    covered         BOOLEAN NOT NULL,
    gap             VARCHAR NOT NULL DEFAULT '',
    objects         JSON NOT NULL,
    asked_at        TIMESTAMPTZ NOT NULL
);

-- asked_at is when the service was asked, recorded_at when its answer was used for this detection.
-- cause says why an answer is not determined: 'trouble' passes and is asked again, 'outside_coverage'
-- and 'no_date' do not. chance is the probability of an unrelated object as near as the nearest one.
ALTER TABLE catalogue_queries ADD COLUMN recorded_at TIMESTAMPTZ;
ALTER TABLE catalogue_queries ADD COLUMN cause VARCHAR DEFAULT '';
ALTER TABLE catalogue_queries ADD COLUMN cone_id VARCHAR;
ALTER TABLE catalogue_queries ADD COLUMN wide_arcsec DOUBLE;
ALTER TABLE catalogue_queries ADD COLUMN wide_objects BIGINT;
ALTER TABLE catalogue_queries ADD COLUMN chance DOUBLE;

-- The latest answer of each service on each detection.
CREATE VIEW current_answers AS
SELECT * REPLACE (CASE WHEN answer <> 'not_determined' THEN ''
                       WHEN coalesce(cause, '') = '' THEN 'trouble' ELSE cause END AS cause)
FROM catalogue_queries
WHERE detection_id IS NOT NULL
QUALIFY row_number() OVER (
    PARTITION BY detection_id, service
    ORDER BY coalesce(recorded_at, asked_at) DESC, query_id DESC
) = 1;

-- The services whose answers count: those configured, or all ever asked where none was named.
CREATE VIEW counted_services AS
SELECT service FROM catalogue_services WHERE configured
UNION
SELECT service FROM catalogue_queries
WHERE NOT EXISTS (SELECT 1 FROM catalogue_services WHERE configured);

-- What the answers on a detection add up to: a match of any service; no match if every service that
-- counts answered so; else not determined, `settled` when asking again cannot change that.
CREATE VIEW object_states AS
SELECT a.detection_id,
       CASE WHEN bool_or(a.answer = 'match') THEN 'match'
            WHEN count(*) FILTER (a.answer = 'no_match' AND a.counts) = any_value(n.services)
            THEN 'no_match' ELSE 'not_determined' END AS state,
       count(*) FILTER (a.counts AND a.cause <> 'trouble') = any_value(n.services) AS settled,
       count(*) FILTER (a.counts AND a.answer <> 'not_determined') AS answered,
       any_value(n.services) AS services,
       min(a.asked_at) AS oldest_at,
       max(coalesce(a.recorded_at, a.asked_at)) AS newest_at,
       max(a.radius_arcsec) AS radius_arcsec,
       string_agg(a.service || ': ' || a.reason, '; ' ORDER BY a.service)
           FILTER (a.answer = 'not_determined' AND a.counts) AS reason
FROM (SELECT *, service IN (SELECT service FROM counted_services) AS counts
      FROM current_answers) a
CROSS JOIN (SELECT count(*) AS services FROM counted_services) n
GROUP BY a.detection_id;

-- A scan with other models or policies than the last one finds some of its runs in the store. It
-- computes nothing twice: it calls them back, so that what it was asked for is what pages show.
CREATE TABLE run_recalls (
    recall_id       VARCHAR PRIMARY KEY,
    run_id          VARCHAR NOT NULL,
    cycle_id        VARCHAR NOT NULL,
    recalled_at     TIMESTAMPTZ NOT NULL
);

-- The run of each pipeline on each frame that was made or called back last.
CREATE OR REPLACE VIEW current_runs AS
SELECT r.* FROM runs r
LEFT JOIN (SELECT run_id, max(recalled_at) AS recalled_at FROM run_recalls GROUP BY run_id) c
       ON c.run_id = r.run_id
QUALIFY row_number() OVER (
    PARTITION BY r.frame_digest, r.pipeline
    ORDER BY greatest(r.finished_at, coalesce(c.recalled_at, r.finished_at)) DESC, r.run_id DESC
) = 1;
