-- When a person last looked. `browser` is a random name in the browser's cookie, `person` the name
-- that was given in it ('' before that). A visit goes on while the gaps between two looks are short.
CREATE TABLE visits (
    visit_id        VARCHAR PRIMARY KEY,
    browser         VARCHAR NOT NULL,
    person          VARCHAR NOT NULL DEFAULT '',
    began_at        TIMESTAMPTZ NOT NULL,
    seen_at         TIMESTAMPTZ NOT NULL
);
