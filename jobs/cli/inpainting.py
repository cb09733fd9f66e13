"""`skysieve train cosmicrays --inpainting`: the small network that fills masked pixels."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from jobs.cli.output import progress, report

LOG_EVERY = 500


def train_inpainting(steps: int | None, seed: int, out: Path | None, *, as_json: bool) -> None:
    """Train the fill network, measure it beside the other fills, write weights and card."""
    import torch

    from engine.cards import WEIGHTS
    from engine.cosmicrays.fill_publishing import publish_fill
    from engine.cosmicrays.fill_training import STEPS, described_fill_data, fill_source, train_fill
    from engine.cosmicrays.learned_fill import NAME
    from engine.cosmicrays.publishing import Training
    from jobs.settings import load_settings

    torch.set_num_threads(1)
    folder, root = out or WEIGHTS, load_settings().data
    data = root / "cosmicrays" if root is not None else None
    count = steps or STEPS

    def log(step: int, loss: float) -> None:
        if step % LOG_EVERY == 0 or step == count:
            progress(f"step {step} of {count}: Huber loss {loss:.4f} noise^2")

    net = train_fill(fill_source(seed, data), count, seed, log)
    progress("measuring the fills on the hold-outs")
    training = Training(
        name=NAME,
        data=described_fill_data(data),
        seed=seed,
        steps=count,
        command=f"skysieve train cosmicrays --inpainting --steps {count} --seed {seed}",
        device="CPU, one thread",
        trained_at=datetime.now(UTC),
    )
    card = publish_fill(net, training, folder, data)
    report({"digest": card.digest, **card.metrics}, as_json=as_json)
