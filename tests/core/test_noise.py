"""The noise of an image: what it is drawn from, variations, seed resizing, and going on later."""

import itertools
import math

import numpy as np
import pytest
import torch
import torchsde
from torchsde._brownian import brownian_interval

from webbduck_gradio.core.sampling.noise import (
    BrownianNoise,
    CpuGenerator,
    ImageNoise,
    Seeds,
    Source,
    StepNoise,
    image_noise,
    pasted,
    slerp,
)
from webbduck_gradio.core.sampling.philox import PhiloxGenerator, normal, philox
from webbduck_gradio.core.sampling.samplers import SOLVERS
from webbduck_gradio.core.sampling.samplers.base import NoiseSource, Options, Prediction, State, run

SHAPE = (4, 6, 8)
SIGMAS = (14.614641, 8.3, 3.9, 1.6, 0.62, 0.2, 0.0291672, 0.0)
SOURCES: tuple[Source, ...] = ("cpu", "nv")

KNOWN_ANSWERS = (
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
)
"""Of Random123, the generator's reference implementation: counter, key, words."""


def words(text: str) -> tuple[int, ...]:
    return tuple(int(word, 16) for word in text.split())


@pytest.mark.parametrize(("counter", "key", "wanted"), KNOWN_ANSWERS)
def test_philox_gives_the_published_words(counter: str, key: str, wanted: str) -> None:
    first, second = words(key)
    found = philox(np.array([words(counter)] * 3, dtype=np.uint32).T, (first, second))
    assert found.dtype == np.uint32
    assert found.T.tolist() == [list(words(wanted))] * 3


def test_nv_noise_is_what_a_card_draws() -> None:
    """The first is AUTOMATIC1111's example for seed 0, the second torch's on CUDA for seed 1234."""
    published = [
        -0.92466259, -0.42534415, -2.6438457, 0.14518388, -0.12086647, -0.57972564, -0.62285122,
        -0.32838709, -1.07454231, -0.36314407, -1.67105067, 2.26550497,
    ]  # fmt: skip
    drawn = PhiloxGenerator(0).randn((3, 4))
    assert drawn.shape == (3, 4) and drawn.dtype == torch.float32
    assert drawn.flatten().tolist() == pytest.approx(published, abs=5e-7)
    on_a_card = [-1.6165, 0.5685, -0.5102, -0.9113]
    assert PhiloxGenerator(1234).randn((4,)).tolist() == pytest.approx(on_a_card, abs=6e-5)


def test_each_call_and_each_element_has_a_counter_of_its_own() -> None:
    seed = 0x0123456789ABCDEF
    generator = PhiloxGenerator(seed)
    drawn = [generator.randn((2, 3)).flatten().tolist() for _ in range(3)]
    for call, element in itertools.product(range(3), range(6)):
        counter = np.array([[call], [0], [element], [0]], dtype=np.uint32)
        found = philox(counter, (0x89ABCDEF, 0x01234567))
        assert drawn[call][element] == normal(found[0], found[1])[0]
    assert PhiloxGenerator(seed + 2**64).randn((6,)).tolist() == drawn[0]
    assert PhiloxGenerator(-1).randn((3,)).tolist() == PhiloxGenerator(2**64 - 1).randn((3,)).tolist()


def test_box_muller_stays_finite_at_both_ends() -> None:
    ends = np.array([0, 2**32 - 1], dtype=np.uint32)
    assert np.isfinite(normal(ends, ends[::-1])).all()
    quarter = np.array([2**30], dtype=np.uint32)  # a sine of 1
    assert normal(ends[:1], quarter)[0] == pytest.approx(math.sqrt(2 * 33 * math.log(2)), rel=1e-6)


@pytest.mark.parametrize("source", SOURCES)
def test_the_noise_is_normal(source: Source) -> None:
    noise = image_noise(Seeds(seed=3, source=source), (4, 96, 96))
    assert float(noise.mean()) == pytest.approx(0, abs=0.02) and float(noise.std()) == pytest.approx(
        1, abs=0.02
    )
    assert float((noise.abs() < 1).float().mean()) == pytest.approx(0.6827, abs=0.01)
    assert float((noise**4).mean()) == pytest.approx(3, abs=0.15)


def test_cpu_noise_is_torchs() -> None:
    wanted = torch.Generator().manual_seed(99)
    assert torch.equal(image_noise(Seeds(seed=99), SHAPE), torch.randn(SHAPE, generator=wanted))
    steps = StepNoise(Seeds(seed=99), SHAPE)
    for _ in range(3):
        drawn = steps(torch.zeros(1, *SHAPE, dtype=torch.float16), 2.0, 1.0)
        assert torch.equal(drawn, torch.randn(1, *SHAPE, generator=wanted).half())


@pytest.mark.parametrize("source", SOURCES)
def test_ensd_moves_the_seed_of_the_steps_alone(source: Source) -> None:
    plain, moved = Seeds(seed=5, source=source), Seeds(seed=5, source=source, step_seed_delta=31337)
    assert torch.equal(image_noise(plain, SHAPE), image_noise(moved, SHAPE))
    drawn = StepNoise(moved, SHAPE)(torch.zeros(SHAPE), 2.0, 1.0)
    assert torch.equal(drawn, image_noise(Seeds(seed=31342, source=source), SHAPE))


@pytest.mark.parametrize("source", SOURCES)
def test_variations_lead_from_one_seed_to_the_other(source: Source) -> None:
    first, other = (image_noise(Seeds(seed=seed, source=source), SHAPE) for seed in (7, 8))

    def varied(strength: float) -> torch.Tensor:
        seeds = Seeds(seed=7, source=source, variation_seed=8, variation_strength=strength)
        return image_noise(seeds, SHAPE)

    assert torch.equal(varied(0), first)
    torch.testing.assert_close(varied(1), other, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(varied(1e-6), first, atol=1e-4, rtol=1e-4)
    halfway = varied(0.3)
    for channel, column in itertools.product(range(4), range(8)):
        one, two, mixed = (noise[channel, :, column].double() for noise in (first, other, halfway))
        angle = math.acos(float(one @ two / (one.norm() * two.norm())))
        wanted = (math.sin(0.7 * angle) * one + math.sin(0.3 * angle) * two) / math.sin(angle)
        torch.testing.assert_close(mixed, wanted, atol=1e-5, rtol=1e-5)
    # At any strength the steps' noise is that of the first seed.
    seeds = Seeds(seed=7, source=source, variation_seed=8, variation_strength=1.0)
    steps = [StepNoise(each, SHAPE)(first, 2, 1) for each in (seeds, Seeds(seed=7, source=source))]
    assert torch.equal(*steps)


def test_nearly_parallel_noise_is_mixed_linearly_with_the_ends_exchanged() -> None:
    start = torch.arange(24.0).reshape(2, 3, 4) + 1
    end = start * 1.5
    torch.testing.assert_close(slerp(start, end, 0.25), start * 0.25 + end * 0.75)
    same = Seeds(seed=4, variation_seed=4, variation_strength=0.4)
    torch.testing.assert_close(image_noise(same, SHAPE), image_noise(Seeds(seed=4), SHAPE))


@pytest.mark.parametrize("source", SOURCES)
def test_a_resized_seed_keeps_the_middle(source: Source) -> None:
    small, own = ((4, 3, 4), SHAPE)
    noise = image_noise(Seeds(seed=6, source=source, resized_from=(3, 4)), own)
    assert torch.equal(noise[:, 1:4, 2:6], image_noise(Seeds(seed=6, source=source), small))
    rest = torch.ones(own, dtype=torch.bool)
    rest[:, 1:4, 2:6] = False
    assert torch.equal(noise[rest], image_noise(Seeds(seed=6, source=source), own)[rest])
    same = image_noise(Seeds(seed=6, source=source, resized_from=own[1:]), own)
    assert torch.equal(same, image_noise(Seeds(seed=6, source=source), own))


def numbered(height: int, width: int) -> torch.Tensor:
    return (torch.arange(height)[:, None] * 10.0 + torch.arange(width)).unsqueeze(0)


def test_larger_noise_is_cut_off_at_its_edges() -> None:
    outer = torch.full((1, 4, 4), -1.0)
    assert pasted(numbered(8, 2), outer)[0].tolist() == [
        [-1, row * 10, row * 10 + 1, -1] for row in range(2, 6)
    ]
    # Two rows off at both ends for a difference of three leave one row less than there is room for.
    assert pasted(numbered(7, 4), outer)[0, :, 0].tolist() == [20, 30, 40, -1]
    assert pasted(numbered(1, 4), outer)[0, :, 0].tolist() == [-1, 0, -1, -1]


SOURCES_OF_STEPS = {
    "cpu": lambda: StepNoise(Seeds(seed=11), SHAPE),
    "nv": lambda: StepNoise(Seeds(seed=11, source="nv"), SHAPE),
    "cpu with ENSD": lambda: StepNoise(Seeds(seed=11, step_seed_delta=5), SHAPE),
    "brownian": lambda: BrownianNoise(11, SHAPE, SIGMAS),
    "brownian nv": lambda: BrownianNoise(11, SHAPE, SIGMAS, "nv"),
}


def clean(x: torch.Tensor, sigma: float) -> Prediction:
    denoised = torch.tanh(x / (1 + sigma**2))
    return Prediction(denoised, denoised)


@pytest.mark.parametrize("source", SOURCES_OF_STEPS)
@pytest.mark.parametrize("sampler", ["Euler a", "DPM++ SDE", "DPM++ 3M SDE"])
def test_a_run_that_was_put_aside_ends_with_the_same_bits(source: str, sampler: str) -> None:
    """A new source from the saved state, after each step."""
    noise: ImageNoise = SOURCES_OF_STEPS[source]()
    begin = State(image_noise(Seeds(seed=11), SHAPE) * SIGMAS[0])
    kept: list[tuple[State, bytes, torch.dtype]] = []

    def keep(state: State) -> None:
        saved = noise.state()
        kept.append((state, saved.numpy().tobytes(), saved.dtype))

    end = run(SOLVERS[sampler], begin, SIGMAS, clean, noise, Options(), keep)
    other = run(SOLVERS[sampler], begin, SIGMAS, clean, SOURCES_OF_STEPS[source](), Options())
    assert torch.equal(end.x, other.x)
    for state, saved, dtype in kept:
        again: ImageNoise = SOURCES_OF_STEPS[source]()
        again.restore(torch.frombuffer(bytearray(saved), dtype=dtype) if saved else torch.empty(0))
        assert torch.equal(run(SOLVERS[sampler], state, SIGMAS, clean, again, Options()).x, end.x)


@pytest.mark.parametrize("generator", [CpuGenerator, PhiloxGenerator])
def test_a_generators_position_does_not_move_with_it(generator: type[CpuGenerator | PhiloxGenerator]) -> None:
    """Also for odd numbers of elements, of which torch keeps one for later."""
    source = generator(3)
    source.randn((7,))
    position = source.position()
    wanted = [source.randn((5,)).tolist() for _ in range(2)]
    source.seek(position)
    assert [source.randn((5,)).tolist() for _ in range(2)] == wanted


def test_the_path_does_not_depend_on_what_was_asked_for_before() -> None:
    pairs = [*itertools.pairwise(SIGMAS[:-1]), (14.6, 0.03), (5.0, 4.9999), (3.9, 1.6)]
    x = torch.zeros(SHAPE)
    forward, backward = BrownianNoise(2, SHAPE, SIGMAS), BrownianNoise(2, SHAPE, SIGMAS)
    found = [forward(x, *pair) for pair in pairs]
    for pair, wanted in reversed([*zip(pairs, found, strict=True)]):
        assert torch.equal(backward(x, *pair), wanted)
        assert torch.equal(BrownianNoise(2, SHAPE, SIGMAS)(x, *pair), wanted)


def test_the_path_is_torchsdes_and_adds_up() -> None:
    path = torchsde.BrownianInterval(
        0.029167, 14.614641, SHAPE, torch.float32, entropy=2, tol=1e-6, pool_size=24, halfway_tree=True
    )
    noise: NoiseSource = BrownianNoise(2, SHAPE, SIGMAS)
    x = torch.zeros(1, *SHAPE)
    for high, low in ((8.3, 3.9), (1.6, 0.62), (14.614641, 0.2)):
        wanted = -path(low, high) / math.sqrt(high - low)
        torch.testing.assert_close(noise(x, high, low)[0], wanted, atol=1e-5, rtol=1e-5)
    parts = [noise(x, high, low) * math.sqrt(high - low) for high, low in ((8.3, 3.9), (3.9, 1.6))]
    torch.testing.assert_close(sum(parts), noise(x, 8.3, 1.6) * math.sqrt(8.3 - 1.6), atol=1e-4, rtol=1e-4)


def test_the_path_takes_its_numbers_from_the_same_source() -> None:
    """Over its whole length it is one draw, from the first seed that torchsde makes of the entropy."""
    before = brownian_interval._randn
    path = BrownianNoise(2, SHAPE, SIGMAS, "nv")(torch.zeros(SHAPE), max(SIGMAS), min(SIGMAS[:-1]))
    first, *_ = np.random.SeedSequence(entropy=2, pool_size=24).generate_state(3)
    torch.testing.assert_close(path, -PhiloxGenerator(int(first)).randn(SHAPE), atol=1e-5, rtol=1e-5)
    assert brownian_interval._randn is before


def test_the_path_has_unit_variance_up_to_its_very_ends() -> None:
    """Sigmas that lie beyond the bounds as torchsde rounds them are moved inside."""
    sigmas = (9.00000049, 2.0, 0.1000004, 0.0)
    shape = (4, 40, 40)
    noise = BrownianNoise(8, shape, sigmas)
    for high, low in itertools.pairwise(sigmas[:-1]):
        assert float(noise(torch.zeros(shape), high, low).std()) == pytest.approx(1, abs=0.04)
    below = noise(torch.zeros(shape), 0.3, 0.02)
    assert torch.equal(below, noise(torch.zeros(shape), 0.3, 0.1))
    single = BrownianNoise(8, shape, (9.0, 0.0))
    assert torch.isfinite(single(torch.zeros(shape), 9.000001, 9.0)).all()


def test_two_seeds_are_two_paths() -> None:
    x = torch.zeros(SHAPE)
    assert not torch.equal(BrownianNoise(1, SHAPE, SIGMAS)(x, 8, 2), BrownianNoise(2, SHAPE, SIGMAS)(x, 8, 2))
