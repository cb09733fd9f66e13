-- What the Compression page zooms into: packed arrays of the decoded frame's difference from the frame
-- and of the calibrated 90 % bound on it, and the error map that the bound comes from. NULL and '' on
-- runs that kept pictures alone, and where the weights carried no calibration.
ALTER TABLE codec_runs ADD COLUMN arrays_file VARCHAR;
ALTER TABLE codec_runs ADD COLUMN bound_map VARCHAR DEFAULT '';

-- The error of a tile that never arrives, for the Downlink page's quality after any byte; NULL before.
ALTER TABLE codec_tiles ADD COLUMN flat_rmse DOUBLE;
