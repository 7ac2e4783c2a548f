"""LeNet-5 as defined by its paper: section II.B, figure 2, table I, appendix A."""

from repronet.papers.releases.notation import Release, chain, conv, linear, rbf, scaled_tanh, subsampling, uniform

_SQUASH = scaled_tanh(1.7159, 2 / 3)
_START = uniform("2.4/fan-in")

RELEASES = {
    "lenet5_1998": Release(
        "LeCun et al. 1998, section II.B and appendix A",
        chain(
            *(conv(6, 5, bias=True, start=_START), _SQUASH, subsampling(2), _SQUASH),
            *(conv(16, 5, bias=True, table=60), _SQUASH, subsampling(2), _SQUASH),  # the fan-in F differs between maps
            *(conv(120, 5, bias=True, start=_START), _SQUASH),
            *(linear(84, start=_START), _SQUASH, rbf(10)),
        ),
        note="the paper's text; no program of its authors is known",
    ),
}
