"""Trajectories of spectra: from checkpoints in all forms, and what they offer."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file, save_model
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import hdlib
from hdlib import ConvergenceError, Spectrum, Trajectory, dendrogram, spectrum
from hdlib.measures import subspace_overlap

STEPS = (0, 5, 20, 60)


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 7), nn.Tanh(), nn.BatchNorm1d(7), nn.Linear(7, 3)).eval()


def trained() -> tuple[nn.Module, tuple[torch.Tensor, torch.Tensor], dict[int, dict]]:
    """A network after 60 steps, its data, and its weights on the way."""
    torch.manual_seed(0)
    model, x, y = network(), torch.randn(50, 6), torch.randint(3, (50,))
    optimizer, weights = torch.optim.SGD(model.parameters(), lr=0.3), {}
    for step in range(STEPS[-1] + 1):
        if step in STEPS:
            weights[step] = copy.deepcopy(model.state_dict())
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model, (x, y), weights


MODEL, DATA, WEIGHTS = trained()
LOADER = [(DATA[0][i : i + 20], DATA[1][i : i + 20]) for i in (0, 20, 40)]
WHOLE = hdlib.trajectory(MODEL, F.cross_entropy, DATA, WEIGHTS, vectors=6)
ENDS = hdlib.trajectory(MODEL, F.cross_entropy, LOADER, WEIGHTS, top=6, bottom=4, vectors=3)


@pytest.fixture
def folder(tmp_path):
    for step, weights in WEIGHTS.items():
        save_file(weights, tmp_path / f"step_{step:05d}.safetensors")
    return tmp_path


def assert_same(first: Trajectory, second: Trajectory) -> None:
    """Bit by bit."""
    assert first.steps.tolist() == second.steps.tolist()
    for a, b in zip(first.spectra, second.spectra, strict=True):
        for name, value in vars(a).items():
            np.testing.assert_array_equal(value, getattr(b, name))


def ends_of(checkpoints, data=LOADER, **options) -> Trajectory:
    options = dict[str, Any](top=6, bottom=4, vectors=3) | options
    return hdlib.trajectory(MODEL, F.cross_entropy, data, checkpoints, **options)


class TestFromCheckpoints:
    def test_each_step_has_the_spectrum_at_its_weights(self):
        for step, found in ENDS:
            model = network()
            model.load_state_dict(WEIGHTS[step])
            H = hdlib.hessian(model, F.cross_entropy, DATA)
            alone = hdlib.spectrum(H, vectors=0)
            np.testing.assert_allclose(WHOLE[step].eigenvalues, alone.eigenvalues, atol=1e-12)
            values = np.r_[alone.eigenvalues[:4], alone.eigenvalues[-6:]]
            np.testing.assert_allclose(found.eigenvalues, values, atol=1e-9)
            v = found.top(3)
            np.testing.assert_allclose(H.numpy() @ v, v * values[:-4:-1], atol=1e-5)
        assert (WHOLE.n, WHOLE.spectra[0].unresolved) == (87, 0)
        np.testing.assert_allclose(ENDS.overlaps(3), WHOLE.overlaps(3), atol=1e-5)

    def test_files_and_folders_are_the_same_as_state_dicts(self, folder):
        paths = sorted(folder.iterdir())
        (folder / "notes.txt").write_text("not weights")
        by_step = {step: str(path) for step, path in zip(STEPS, paths, strict=True)}
        for checkpoints in (by_step, paths, map(str, reversed(paths)), folder, str(folder)):
            assert_same(ends_of(checkpoints), ENDS)
        assert_same(ends_of(paths[2]), ENDS.at([20]))

    @pytest.mark.parametrize("steps", [STEPS[::-1], (20, 0, 60, 5)])
    def test_order_does_not_matter(self, steps):
        assert_same(ends_of({np.int64(step): WEIGHTS[step] for step in steps}), ENDS)

    def test_data_are_gone_through_once(self):
        passes = []

        def generator():
            passes.append(1)
            yield from LOADER

        assert_same(ends_of(WEIGHTS, generator()), ENDS)
        assert passes == [1]

    def test_every_checkpoint_sees_the_same_samples(self):
        """A loader that draws others each time it is asked."""
        torch.manual_seed(1)
        loader = DataLoader(
            TensorDataset(*DATA), batch_size=10, shuffle=True, drop_last=True, num_workers=0
        )
        drawn = []
        original = DATA[0].clone()

        class Few:
            def __iter__(self):
                drawn.append(1)
                return (pair for pair, _ in zip(iter(loader), range(2), strict=False))

        same = dict.fromkeys((0, 1, 2), WEIGHTS[20])
        found = ends_of(same, Few())
        assert drawn == [1]
        assert len({tuple(s.eigenvalues) for s in found.spectra}) == 1
        assert torch.equal(original, DATA[0])

    def test_the_model_is_left_as_it_is(self):
        before = copy.deepcopy(MODEL.state_dict())
        MODEL.train()
        try:
            with pytest.raises(ValueError, match=r"at step 0: .*model\.eval\(\)"):
                ends_of(WEIGHTS)
            assert MODEL.training
        finally:
            MODEL.eval()
        ends_of({5: WEIGHTS[5]})
        for name, tensor in MODEL.state_dict().items():
            assert torch.equal(tensor, before[name])
        assert all(p.requires_grad for p in MODEL.parameters())

    def test_some_of_the_parameters(self):
        found = ends_of(WEIGHTS, top=3, bottom=0, parameters=["3"])
        model = network()
        model.load_state_dict(WEIGHTS[60])
        H = hdlib.hessian(model, F.cross_entropy, DATA, parameters=["3"])
        assert found.n == len(H) == 24
        wanted = hdlib.spectrum(H, vectors=0).eigenvalues[-3:]
        np.testing.assert_allclose(found[60].eigenvalues, wanted, atol=1e-9)
        with pytest.raises(ValueError, match="no 'head' among"):
            ends_of(WEIGHTS, parameters=["head"])

    def test_weights_in_double_precision_are_taken_as_they_are(self):
        fine = {
            0: {
                k: v.double() + 1e-10 if v.is_floating_point() else v
                for k, v in WEIGHTS[60].items()
            }
        }
        model = network().double()
        model.load_state_dict(fine[0])
        H = hdlib.hessian(model, F.cross_entropy, DATA)
        found = hdlib.trajectory(MODEL, F.cross_entropy, DATA, fine)
        np.testing.assert_allclose(
            found[0].eigenvalues, hdlib.spectrum(H, vectors=0).eigenvalues, rtol=0, atol=1e-14
        )

    def test_tied_weights(self, tmp_path):
        class Tied(nn.Module):
            def __init__(self):
                super().__init__()
                self.into, self.out = nn.Linear(6, 6), nn.Linear(6, 6)
                self.out.weight = self.into.weight

            def forward(self, x):
                return self.out(torch.tanh(self.into(x)))

        torch.manual_seed(0)
        model, path = Tied(), tmp_path / "1.safetensors"
        save_model(model, str(path))
        pair = DATA[0], torch.randn(50, 6)
        by_file = hdlib.trajectory(model, F.mse_loss, pair, path)
        assert by_file.n == 48
        assert_same(by_file, hdlib.trajectory(model, F.mse_loss, pair, {1: model.state_dict()}))

    def test_pairs_that_do_not_converge(self):
        short = {"top": 12, "bottom": 0, "max_products": 12, "tol": 1e-12, "vectors": 0}
        with pytest.raises(ConvergenceError, match=r"at step 0: \d+ of 12 eigenpairs did not"):
            ends_of(WEIGHTS, **short)
        found = ends_of(WEIGHTS, mark=True, **short)
        assert not all(s.certified.all() for s in found.spectra)
        with pytest.raises(ConvergenceError, match=r"at step 0: .*not certified"):
            found.dendrograms  # noqa: B018
        assert all(s.certified.all() for s in found.certified_ends().spectra)

    def test_single_precision_is_said(self):
        found = ends_of(WEIGHTS, dtype=torch.float32)
        assert {s.dtype for s in found.spectra} == {"float32"}
        np.testing.assert_allclose(found.eigenvalues, ENDS.eigenvalues, atol=1e-5)

    def test_no_bar_where_output_is_no_terminal(self, capfd):
        ends_of({5: WEIGHTS[5]})
        assert capfd.readouterr() == ("", "")

    def test_what_does_not_fit_the_model(self, tmp_path):
        renamed = {f"module.{k}": v for k, v in WEIGHTS[5].items()}
        with pytest.raises(ValueError, match=r"at step 5 does not fit .* missing: 0\.weight, .*; "):
            ends_of({0: WEIGHTS[0], 5: renamed})
        path = tmp_path / "step5.safetensors"
        save_file(WEIGHTS[5] | {"extra": torch.zeros(1)}, path)
        with pytest.raises(ValueError, match=r"step5\.safetensors, does not .* unexpected: extra$"):
            ends_of(path)
        other = WEIGHTS[5] | {"0.weight": torch.zeros(7, 5)}
        with pytest.raises(ValueError, match=r"at step 5 does not fit .* size mismatch for 0\.wei"):
            ends_of({5: other})
        broken = WEIGHTS[5] | {"0.weight": torch.full((7, 6), torch.nan)}
        with pytest.raises(ValueError, match=r"at step 5: parameter 0\.weight has values that are"):
            ends_of({5: broken})

    def test_pickles_are_not_read(self, tmp_path):
        path = tmp_path / "step_3.pt"
        torch.save(WEIGHTS[0], path)
        words = r"step_3\.pt is no \.safetensors file: .* pickles, .*\(torch\.load\('.*step_3\.pt'"
        for checkpoints in ({3: path}, [path], path, tmp_path):
            with pytest.raises(ValueError, match=words):
                ends_of(checkpoints)

    def test_the_sentence_about_pickles_is_python(self, tmp_path):
        path = tmp_path / "step_20.pt"
        torch.save(WEIGHTS[20], path)
        with pytest.raises(ValueError, match="Convert it once") as raised:
            ends_of(path)
        exec("import safetensors.torch, torch;" + str(raised.value).split("Convert it once:")[1])
        assert_same(ends_of(tmp_path), ENDS.at([20]))

    def test_damaged_files(self, tmp_path):
        path = tmp_path / "4.safetensors"
        save_file(WEIGHTS[5], path)
        path.write_bytes(path.read_bytes()[:-9])
        with pytest.raises(ValueError, match=r"4\.safetensors is truncated, or no safetensors"):
            ends_of(path)

    @pytest.mark.parametrize("name", ["none.safetensors", "none_4.safetensors", "none_4", "none"])
    def test_what_is_not_there(self, tmp_path, name):
        for checkpoints in ({4: tmp_path / name}, tmp_path / name):
            with pytest.raises(FileNotFoundError, match=f"{name}: no such"):
                ends_of(checkpoints)

    def test_complex_weights_of_a_real_model(self):
        turned = WEIGHTS[5] | {"0.weight": WEIGHTS[5]["0.weight"] + 1j}
        with pytest.raises(ValueError, match=r"at step 5 does not fit .* in one only: 0\.weight"):
            ends_of({5: turned})

    @pytest.mark.parametrize(
        ("checkpoints", "kind", "words"),
        [
            ({}, ValueError, "no checkpoint is given"),
            ([], ValueError, "no checkpoint is given"),
            ({-1: {}}, ValueError, "steps must not be negative, got -1"),
            ({"1": {}}, TypeError, "steps must be integers, got '1'"),
            ({True: {}}, TypeError, "steps must be integers, got True"),
            ({0: MODEL}, TypeError, "at step 0 must be a state dict or a path, got Sequential"),
            ([WEIGHTS[0]], TypeError, "checkpoints must be paths or step → weights, got"),
            (7, TypeError, "checkpoints must be step → weights or paths"),
            (["final.safetensors"], ValueError, "the name of final.safetensors does not end in"),
            (["a1.safetensors", "b1.safetensors"], ValueError, "two checkpoints of step 1: a1"),
        ],
    )
    def test_other_checkpoints(self, checkpoints, kind, words):
        with pytest.raises(kind, match=words):
            ends_of(checkpoints)

    @pytest.mark.parametrize(
        ("options", "kind", "words"),
        [
            ({"vectors": 7}, ValueError, "vectors=7: must be 0 to top=6"),
            ({"vectors": -1}, ValueError, "vectors=-1: must be 0"),
            ({"top": None, "vectors": 1}, ValueError, "vectors=1: must be 0 to top=0"),
            ({"top": -1, "vectors": 0}, ValueError, "top must not be negative"),
            (
                {"top": None, "bottom": None, "tol": 1e-3, "mark": True},
                TypeError,
                "tol, mark: only with top or bottom",
            ),
        ],
    )
    def test_other_options(self, options, kind, words):
        with pytest.raises(kind, match=words):
            ends_of(WEIGHTS, **options)

    def test_an_empty_folder(self, tmp_path):
        with pytest.raises(ValueError, match="no checkpoint is given"):
            ends_of(tmp_path)


def test_lines_of_the_design(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    model, loader, checkpoints = MODEL, LOADER, WEIGHTS

    H = hdlib.HessianOperator(model, F.cross_entropy, loader)
    s = hdlib.spectrum(H, top=20, bottom=20)
    tree = hdlib.dendrogram(s)
    print(s, tree.gaps(3), hdlib.trace(H))
    drawn = [hdlib.figures.dendrogram(tree), hdlib.figures.density(hdlib.density(H))]
    t = hdlib.trajectory(model, F.cross_entropy, loader, checkpoints, top=20, bottom=20)
    drawn.append(hdlib.figures.evolution(t))
    slider = hdlib.figures.dendrogram_slider(t)
    print(t, t.gaps(3))
    t.save("my-net")

    said = capsys.readouterr().out
    for words in ("Spectrum of 87 eigenvalues", "Gap(", "Trace", "Trajectory of 4 checkpoints"):
        assert words in said
    assert all(figure.axes for figure in drawn)
    assert len(slider.frames) == len(t)
    assert_same(hdlib.Trajectory.load("my-net"), t)


class TestValue:
    def test_parts(self):
        assert len(ENDS) == 4
        assert [step for step, _ in ENDS] == list(STEPS)
        assert ENDS[20] is ENDS.spectra[2]
        assert 20 in ENDS
        assert 21 not in ENDS
        with pytest.raises(KeyError, match=r"no checkpoint at step 21: there are \[0, 5, 20, 60\]"):
            ENDS[21]

    def test_some_steps(self):
        some = ENDS.at(np.array([60, 5]))
        assert some.steps.tolist() == [5, 60]
        assert some[60] is ENDS[60]
        with pytest.raises(KeyError, match="no checkpoint at step 1"):
            ENDS.at([5, 1])
        with pytest.raises(ValueError, match="steps of a Trajectory must be a non-empty vector"):
            ENDS.at([])
        with pytest.raises(ValueError, match=r"strictly ascending, got \[5 5\]"):
            ENDS.at([5, 5])

    @pytest.mark.parametrize(
        ("steps", "spectra", "words"),
        [
            ([5, 0], ENDS.spectra[:2], "strictly ascending"),
            ([-1, 0], ENDS.spectra[:2], "int64 ≥ 0"),
            ([0.0, 1.0], ENDS.spectra[:2], "int64 ≥ 0"),
            ([], (), "non-empty"),
            ([0], ENDS.spectra[:2], "spectra of a Trajectory must be 1, one for each step"),
            ([0, 1], (ENDS.spectra[0], spectrum(np.eye(3))), r"of one size, got n of \[3, 87\]"),
        ],
    )
    def test_parts_that_do_not_fit(self, steps, spectra, words):
        with pytest.raises(ValueError, match=words):
            Trajectory(np.array(steps), spectra)

    def test_what_is_known_at_every_checkpoint(self):
        parts = [(4, 2), (1, 6), (3, 5), (2, 4)]
        cut = [s.ends(lowest=a, highest=b) for s, (a, b) in zip(ENDS.spectra, parts, strict=True)]
        t = Trajectory(ENDS.steps, tuple(cut))
        wanted = np.delete(ENDS.eigenvalues, [1, 2, 3, 4, 5, 6, 7], 1)
        np.testing.assert_array_equal(t.eigenvalues, wanted)
        mixed = Trajectory(ENDS.steps, (WHOLE.spectra[0], *cut[1:]))
        assert mixed.eigenvalues.shape == (4, 1 + 4)
        np.testing.assert_array_equal(
            mixed.eigenvalues[0], WHOLE[0].eigenvalues[[0, -4, -3, -2, -1]]
        )
        assert WHOLE.eigenvalues.shape == (4, 87)
        assert "known at every checkpoint: 1 lowest and 2 highest" in repr(t)

    def test_certified_ends(self):
        bad = ENDS[5].residuals.copy()
        bad[[2, 5]] = 1.0  # the third of the lowest, the fifth from above
        spectra = [replace(s, residuals=bad) if step == 5 else s for step, s in ENDS]
        t = Trajectory(ENDS.steps, tuple(spectra))
        sure = t.certified_ends()
        assert {(s.lowest, s.highest) for s in sure.spectra} == {(2, 4)}
        np.testing.assert_array_equal(sure.eigenvalues, ENDS.eigenvalues[:, [0, 1, 6, 7, 8, 9]])
        assert t.eigenvalues.shape == (4, 10)
        assert "certified at every checkpoint: 2 lowest and 4 highest" in repr(t)
        np.testing.assert_array_equal(sure[5].top(3), ENDS[5].top(3))
        assert_same(ENDS.certified_ends(), ENDS)

    def test_relative(self):
        relative = ENDS.relative()
        largest = ENDS.eigenvalues[:, -1:]
        np.testing.assert_array_equal(relative.eigenvalues, ENDS.eigenvalues / largest)
        assert (relative.eigenvalues[:, -1] == 1).all()
        np.testing.assert_array_equal(relative.overlaps(3), ENDS.overlaps(3))
        assert all(s.certified.all() for s in relative.spectra)
        below = Trajectory(ENDS.steps, tuple(s.ends(lowest=2, highest=0) for s in ENDS.spectra))
        with pytest.raises(ValueError, match="at step 0 the largest eigenvalue is not known"):
            below.relative()
        flat = Trajectory(np.array([4]), (spectrum(-np.eye(3)),))
        with pytest.raises(
            ValueError, match="at step 4 the largest eigenvalue is -1, not positive"
        ):
            flat.relative()

    def test_dendrograms_gaps_and_counts(self):
        eps = ENDS.resolutions(7)
        counts = ENDS.cluster_counts(eps)
        assert counts.shape == (4, 7)
        for i, (step, found) in enumerate(ENDS):
            tree = dendrogram(found)
            assert counts[i].tolist() == tree.n_clusters(eps).tolist()
            assert ENDS.gaps(3)[step] == tree.gaps(3)
        assert counts[:, -1].tolist() == [1, 1, 1, 1]

    def test_resolutions(self):
        largest = max(gap.size for gaps in ENDS.gaps(1).values() for gap in gaps)
        eps = ENDS.resolutions()
        assert (len(eps), eps[-1]) == (200, pytest.approx(largest, rel=1e-15))
        assert eps[0] == pytest.approx(largest * 1e-9)
        np.testing.assert_allclose(eps[1:] / eps[:-1], (1e9) ** (1 / 199))
        assert ENDS.resolutions(3, finest=1e-6)[0] == 1e-6
        for wrong in (0.0, -1.0, largest, np.nan):
            with pytest.raises(ValueError, match=r"finest=.*: must be positive and below"):
                ENDS.resolutions(finest=wrong)
        with pytest.raises(ValueError, match="count=1: must be at least 2"):
            ENDS.resolutions(1)
        with pytest.raises(ValueError, match="no two eigenvalues differ"):
            Trajectory(np.array([4]), (spectrum(np.eye(3)),)).resolutions()

    def test_overlaps(self):
        overlaps = WHOLE.overlaps(5)
        for i, a in enumerate(WHOLE.spectra):
            for j, b in enumerate(WHOLE.spectra):
                assert overlaps[i, j] == pytest.approx(subspace_overlap(a.top(5), b.top(5)))
        np.testing.assert_allclose(overlaps.diagonal(), 1)
        with pytest.raises(
            ValueError, match="at step 0: the top 4 eigenvectors were asked for, no"
        ):
            ENDS.overlaps(4)
        with pytest.raises(ValueError, match="k=0: must be at least 1"):
            ENDS.overlaps(0)

    def test_follow(self):
        tracks = ENDS.relative().follow(eps=0.1)
        for clusters, tree in zip(tracks.clusters, ENDS.relative().dendrograms, strict=True):
            assert len(clusters) == tree.n_clusters(0.1)
        assert tracks.steps.tolist() == list(STEPS)
        twice = Trajectory(np.array([0, 1]), (ENDS[20], ENDS[20]))
        assert twice.follow(gaps=4).events == ()

    def test_what_it_says(self):
        assert repr(ENDS) == (
            "Trajectory of 4 checkpoints, steps 0 … 60, 87 eigenvalues each\n"
            "  known at every checkpoint: 4 lowest and 6 highest\n"
            "  certified at every checkpoint: 4 lowest and 6 highest\n"
            f"  largest λ: {ENDS.eigenvalues[:, -1].min():.6g} … "
            f"{ENDS.eigenvalues[:, -1].max():.6g}\n"
            "  vectors kept at each: 3"
        )
        one = repr(Trajectory(np.array([1_000]), (spectrum(np.eye(3), vectors=0),)))
        assert one.startswith("Trajectory of 1 checkpoint, step 1,000, 3 eigenvalues each")
        assert "vectors kept at each: none" in one
        below = Trajectory(ENDS.steps, tuple(s.ends(lowest=2, highest=0) for s in ENDS.spectra))
        assert "2 lowest and 0 highest" in repr(below)
        assert "largest" not in repr(below)


class TestFile:
    def test_round_trip(self, tmp_path):
        for t in (ENDS, WHOLE, ENDS.at([5]), ENDS.relative()):
            t.save(tmp_path / "my-net")
            again = Trajectory.load(tmp_path / "my-net")
            assert_same(again, t)
            assert repr(again) == repr(t)
            again.save(tmp_path / "again")
            assert (tmp_path / "again").read_bytes() == (tmp_path / "my-net").read_bytes()

    def test_more_than_ten_spectra_keep_their_order(self, tmp_path):
        spectra = tuple(spectrum(np.diag([0.0, at + 1])) for at in range(25))
        t = Trajectory(np.arange(25), spectra)
        t.save(tmp_path / "t")
        assert Trajectory.load(tmp_path / "t").eigenvalues[:, 1].tolist() == list(range(1, 26))

    def test_damage_is_named(self, tmp_path):
        path = tmp_path / "my-net"
        ENDS.at([0, 5]).save(path)
        content = path.read_bytes()
        rng = np.random.default_rng(0)
        for where in [*range(60), *rng.integers(len(content), size=300).tolist()]:
            flipped = bytearray(content)
            flipped[where] ^= 1 << int(rng.integers(8))
            path.write_bytes(flipped)
            with pytest.raises(ValueError, match="my-net"):
                Trajectory.load(path)
        path.write_bytes(content[:-1])
        with pytest.raises(ValueError, match="my-net is truncated"):
            Trajectory.load(path)

    def test_other_types_are_named(self, tmp_path):
        ENDS.save(tmp_path / "t")
        with pytest.raises(ValueError, match="holds a Trajectory, not a Spectrum"):
            Spectrum.load(tmp_path / "t")
        ENDS[0].save(tmp_path / "s")
        with pytest.raises(ValueError, match="holds a Spectrum, not a Trajectory"):
            Trajectory.load(tmp_path / "s")
