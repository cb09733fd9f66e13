"""The errors that engine raises.

EngineError
├── FrameError            a frame or file cannot be what it claims to be
│   ├── UnreadableFile    not an image, truncated, corrupt
│   ├── FrameTooLarge     more pixels or bytes than the limit allows
│   └── EmptyFrame        no finite pixel at all
├── NotApplicable         a pipeline has nothing to say about this frame
├── BitstreamError        a .cosmic file is damaged or from another world
└── ModelError            weights or their card are missing or do not fit
    └── CalibrationError  too little held-out data to calibrate on
"""


class EngineError(Exception):
    """Base of every error that engine raises on purpose."""


class FrameError(EngineError):
    """A frame or its file cannot be used as it is."""


class UnreadableFile(FrameError):
    """The file is not an image, is truncated, or is corrupt."""


class FrameTooLarge(FrameError):
    """The image declares more pixels or bytes than the limit allows."""


class EmptyFrame(FrameError):
    """The image holds no finite pixel."""


class NotApplicable(EngineError):
    """The pipeline has nothing to say about this frame; the message says why."""


class BitstreamError(EngineError):
    """A .cosmic bitstream is damaged, truncated or made by an unknown model."""


class ModelError(EngineError):
    """Weights or their model card are missing, or do not fit the code."""


class CalibrationError(ModelError):
    """There is too little held-out data to calibrate on."""
