"""The Bayesian network: every convolution has a Gaussian over its weights instead of one value."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.cosmicrays.unet import UNet2Sigmoid

START_SIGMA = 0.1
SMALLEST_VARIANCE = 1e-10


class VariationalLayer(nn.Module):
    """A linear layer with weights w ~ N(mean, softplus(rho)^2), independent, and a plain bias.

    In training the layer samples its output instead of its weights (local reparameterisation:
    out ~ N(x * mean, x^2 * sigma^2), Kingma, Salimans & Welling 2015), in evaluation it uses the
    means. The prior is N(0, prior_sigma^2) with one `prior_sigma` for the layer.
    """

    def __init__(self, shape: tuple[int, ...], biases: int, noise: torch.Generator) -> None:
        super().__init__()
        fan_in = shape[1] * shape[2] * shape[3]
        self.noise = noise
        self.mean = nn.Parameter(torch.empty(shape).normal_(0, fan_in**-0.5, generator=noise))
        self.rho = nn.Parameter(torch.empty(shape))
        self.bias = nn.Parameter(torch.zeros(biases))
        self.register_buffer("prior_sigma", torch.ones(()))
        self.centre_prior()

    def _linear(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        raise NotImplementedError

    @property
    def sigma(self) -> Tensor:
        """Standard deviation of every weight, softplus(rho)."""
        return functional.softplus(self.rho)

    @torch.no_grad()
    def centre_prior(self) -> None:
        """Set prior_sigma to the root mean square of the means, and sigma to a tenth of it."""
        root_mean_square = self.mean.square().mean().sqrt()
        self.get_buffer("prior_sigma").copy_(root_mean_square)
        self.rho.copy_(torch.log(torch.expm1(START_SIGMA * root_mean_square)).expand_as(self.rho))

    def forward(self, x: Tensor) -> Tensor:
        centre = self._linear(x, self.mean, self.bias)
        if not self.training:
            return centre
        variance = self._linear(x.square(), self.sigma.square(), None)
        spread = variance.clamp_min(SMALLEST_VARIANCE).sqrt()
        return centre + spread * self._standard_normal(centre)

    def _standard_normal(self, like: Tensor) -> Tensor:
        """Noise made in channels-last order, which torch fills faster than a strided tensor."""
        batch, channels, height, width = like.shape
        flat = torch.empty(batch, height, width, channels).normal_(generator=self.noise)
        return flat.permute(0, 3, 1, 2).to(like.dtype)

    def kl(self) -> Tensor:
        """KL(posterior || prior) in nats, summed over the weights.

        sum log(prior_sigma / sigma) + (sigma^2 + mean^2) / (2 prior_sigma^2) - 1/2
        (Kingma & Welling 2014, appendix B, for a prior of any width).
        """
        prior = self.get_buffer("prior_sigma")
        sigma = self.sigma
        scaled = (sigma.square() + self.mean.square()) / (2 * prior.square())
        return (torch.log(prior / sigma) + scaled - 0.5).sum()

    @torch.no_grad()
    def drawn_weight(self, generator: torch.Generator) -> Tensor:
        """One draw of the weights from the posterior."""
        noise = torch.empty(self.mean.shape).normal_(generator=generator)
        return self.mean + self.sigma * noise


class VariationalConv2d(VariationalLayer):
    """A Bayesian convolution with an odd kernel that keeps the size."""

    def __init__(self, inputs: int, outputs: int, kernel: int, noise: torch.Generator) -> None:
        super().__init__((outputs, inputs, kernel, kernel), outputs, noise)
        self.padding = kernel // 2

    def _linear(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return functional.conv2d(x, weight, bias, padding=self.padding)


class VariationalUpConv2d(VariationalLayer):
    """A Bayesian transposed convolution of kernel 2 and stride 2."""

    def __init__(self, inputs: int, outputs: int, noise: torch.Generator) -> None:
        super().__init__((inputs, outputs, 2, 2), outputs, noise)

    def _linear(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return functional.conv_transpose2d(x, weight, bias, stride=2)


class UNet2SigmoidVI(UNet2Sigmoid):
    """UNet2Sigmoid with a mean-field Gaussian posterior over every convolution's weights.

    Trained on BCE + beta * KL / N (Graves 2011; Blundell et al. 2015), N the number of training
    pixels. `draw` gives a plain network with frozen weights: use one per sample for a whole frame,
    so that its tiles agree.
    """

    def __init__(self, hidden: int = 32) -> None:
        self._noise = torch.Generator().manual_seed(0)
        super().__init__(hidden)

    def _conv(self, inputs: int, outputs: int, *, kernel: int) -> nn.Module:
        return VariationalConv2d(inputs, outputs, kernel, self._noise)

    def _up(self, inputs: int, outputs: int) -> nn.Module:
        return VariationalUpConv2d(inputs, outputs, self._noise)

    def seed_noise(self, seed: int) -> None:
        """Restart the noise that training draws its activations from."""
        self._noise.manual_seed(seed)

    def variational_layers(self) -> Iterator[tuple[str, VariationalLayer]]:
        """Every Bayesian layer with its name, in the order of the forward pass."""
        for name, layer in self.named_modules():
            if isinstance(layer, VariationalLayer):
                yield name, layer

    def kl(self) -> Tensor:
        """KL(posterior || prior) of the whole network, in nats."""
        return torch.stack([layer.kl() for _, layer in self.variational_layers()]).sum()

    @torch.no_grad()
    def start_from(self, net: UNet2Sigmoid) -> None:
        """Take a plain network's weights as means, and centre every layer's prior on them."""
        trained = net.state_dict()
        for name, layer in self.variational_layers():
            layer.mean.copy_(trained[f"{name}.weight"])
            layer.bias.copy_(trained[f"{name}.bias"])
            layer.centre_prior()

    def draw(self, generator: torch.Generator) -> UNet2Sigmoid:
        """A plain network with weights drawn once from the posterior."""
        return self._plain(
            {name: layer.drawn_weight(generator) for name, layer in self.variational_layers()}
        )

    def at_mean(self) -> UNet2Sigmoid:
        """The plain network at the posterior's means."""
        return self._plain({name: layer.mean for name, layer in self.variational_layers()})

    @torch.no_grad()
    def _plain(self, weights: dict[str, Tensor]) -> UNet2Sigmoid:
        state = {f"{name}.weight": weight for name, weight in weights.items()}
        state |= {f"{name}.bias": layer.bias for name, layer in self.variational_layers()}
        net = UNet2Sigmoid(self.hidden)
        net.load_state_dict(state)
        return net.eval()


def build_unet(hidden: int = 32, *, bayesian: bool = False) -> UNet2Sigmoid:
    """Build an untrained network; `bayesian` chooses the one with a posterior over its weights."""
    return UNet2SigmoidVI(hidden) if bayesian else UNet2Sigmoid(hidden)
